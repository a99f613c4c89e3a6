"""The programs of the matrix in older environments: at least two real versions of every framework.

    python tests/other_versions.py make [NAME…] --root DIR [--find-links DIR]      makes the environments: some 15 GB
    python tests/other_versions.py run [NAME…] --root DIR                          runs the programs; prints the tables

An environment needs an interpreter of its Python version (pyenv's, or one on PATH). torch's older releases have no
builds for the CPU on PyPI: its CUDA builds are installed, and used without a GPU.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import matrix

from fwtui.commands import interpreters

TORCH = (
    "PyTorch loop: DataLoader",
    "PyTorch loop: batches made by hand",
    "PyTorch loop: accumulation over 4 batches",
    "PyTorch loop: two optimizers in turn (GAN)",
    "PyTorch loop: LBFGS with a closure",
    "PyTorch loop: evaluation between epochs",
    "program that: trains in a thread",
)
TENSORFLOW = (
    "TensorFlow: GradientTape, eager",
    "TensorFlow: tf.function",
    "TensorFlow: retracing",
    "TensorFlow: the optimizer outside of tf.function",
    "program that: trains in a thread: tf.function",
    "program that: trains in a thread: TensorFlow, eager",
)
JAX = (
    "JAX: optax, jitted update",
    "JAX: optax, jitted gradient",
    "JAX: optax, eager",
    "JAX: gradients by hand, jitted",
    "JAX: no optax, jitted",
    "program that: trains in a thread: JAX",
)
KERAS_2 = tuple(cell.id for cell in matrix.CELLS if cell.group == "Keras 2")


def keras_3(backend: str) -> tuple[str, ...]:
    """Six programs on a backend."""
    cases = ("numpy arrays", "PyDataset", "run_eagerly", "a custom train_step", "validation_data", "train_on_batch")
    return tuple(f"Keras on {backend}: {case}" for case in cases)


@dataclass(frozen=True)
class Environment:
    """One environment and what runs in it."""

    name: str
    python: str
    requirements: tuple[str, ...]
    programs: tuple[str, ...]
    own_keras: bool = False
    """Whether `keras` itself is Keras 2."""


ENVIRONMENTS = (
    Environment(
        "2023",
        "3.9",
        ("torch==2.0.1", "tensorflow-cpu==2.13.1", "keras==2.13.1", "jax==0.4.30", "jaxlib==0.4.30", "optax==0.2.2",
         "numpy<2"),
        (*TORCH, *TENSORFLOW, *KERAS_2, *JAX),
        own_keras=True,
    ),
    Environment(
        "2024",
        "3.12",
        ("torch==2.4.1", "tensorflow-cpu==2.16.2", "keras==3.5.0", "jax==0.4.30",
         "jaxlib==0.4.30", "optax==0.2.3", "numpy<2", "setuptools<81"),
        (*TORCH, *TENSORFLOW, *JAX, *keras_3("tensorflow"), *keras_3("torch"), *keras_3("jax")),
    ),
    Environment(
        "2024-keras2",
        "3.11",  # tf_keras 2.16 itself fails on 3.12
        ("tensorflow-cpu==2.16.2", "tf_keras==2.16.0", "numpy<2", "setuptools<81"),
        KERAS_2,
    ),
    Environment(
        "2026",
        "3.13",
        ("tensorflow-cpu==2.21.0", "keras==3.15.1", "jax==0.10.2", "optax==0.2.8"),
        (*TENSORFLOW, *JAX, *keras_3("tensorflow"), *keras_3("jax")),
    ),
)  # fmt: skip


def interpreter(version: str) -> str:
    """An interpreter of a Python version on this machine.

    Raises:
        SystemExit: there is none.
    """
    for _, path in interpreters.found_here():
        if (interpreters.probe(path).version or "").startswith(version + "."):
            return path
    raise SystemExit(f"there is no Python {version} here: install one, with pyenv for example")


def python_of(environment: Environment, root: Path) -> Path:
    return root / environment.name / "bin" / "python"


def make(environment: Environment, root: Path, options: list[str]) -> None:
    """Make an environment and install what it needs; one that is there is completed."""
    python = python_of(environment, root)
    if not python.exists():
        subprocess.run([interpreter(environment.python), "-m", "venv", str(root / environment.name)], check=True)
    command = [str(python), "-m", "pip", "install", "--quiet", *options, *environment.requirements]
    subprocess.run(command, check=True)


def cells(environment: Environment) -> list[matrix.Cell]:
    """The environment's programs, with what they need there."""
    known = {cell.id: cell for cell in matrix.CELLS}
    chosen = [known[name] for name in environment.programs]
    if environment.own_keras:
        chosen = [
            dataclasses.replace(cell, name=cell.name.replace("tf_keras", "Keras 2.13"), needs=("tensorflow",), env={})
            if cell.group == "Keras 2"
            else cell
            for cell in chosen
        ]
    return chosen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("make", "run"))
    parser.add_argument("names", nargs="*", metavar="NAME", help="environments; all")
    parser.add_argument("--root", type=Path, required=True, help="the folder of the environments")
    parser.add_argument("--find-links", help="a folder of wheels to install from")
    parser.add_argument("--only", default="", help="only programs with this word in their name")
    arguments = parser.parse_args()
    failed = 0
    for environment in ENVIRONMENTS:
        if arguments.names and environment.name not in arguments.names:
            continue
        if arguments.what == "make":
            local = ["--no-index", "--find-links", arguments.find_links] if arguments.find_links else []
            make(environment, arguments.root, local)
            continue
        python = os.path.abspath(python_of(environment, arguments.root))
        table = matrix.run([cell for cell in cells(environment) if arguments.only in cell.id], python)
        failed += sum(result.startswith("FAILED") for _, _, result in table)
        print(f"\nPython {environment.python}: {', '.join(environment.requirements)}\n")
        matrix.print_table(table)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
