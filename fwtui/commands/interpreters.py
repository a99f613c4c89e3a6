"""Python interpreters on this machine and what each has, asked from package metadata: no framework is imported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FRAMEWORKS = ("torch", "tensorflow", "keras", "jax", "lightning")
PROBE_LIMIT_S = 30.0
OLDEST = (3, 9)
"""The oldest Python in which a lane can be watched."""

_PROBE = """
import json, sys
sys.path[:1] = []
python = "%d.%d.%d" % sys.version_info[:3]
if sys.version_info < (3, 9):
    print(json.dumps({"python": python, "packages": {}, "cuda": False}))
    sys.exit()
import importlib.metadata, importlib.util
names = {
    "torch": ("torch",), "keras": ("keras",), "jax": ("jax",), "lightning": ("lightning", "pytorch-lightning"),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-gpu", "tensorflow-macos", "tf-nightly"),
}
found = {}
for module, packages in names.items():
    try:
        also = {"lightning": "pytorch_lightning"}.get(module, module)
        if importlib.util.find_spec(module) is None and importlib.util.find_spec(also) is None:
            continue
    except (ImportError, ValueError):
        continue
    found[module] = "of unknown version"
    for package in packages:
        try:
            found[module] = importlib.metadata.version(package)
            break
        except importlib.metadata.PackageNotFoundError:
            pass
cuda = any(
    (package.metadata["Name"] or "").lower().startswith(("nvidia-cudnn", "jax-cuda"))
    for package in (importlib.metadata.distributions() if found else ())
)
print(json.dumps({"python": python, "packages": found, "cuda": cuda}))
"""


@dataclass(frozen=True)
class Interpreter:
    """An interpreter and what was found in it."""

    path: str
    version: str | None
    """None: it cannot be run."""
    packages: dict[str, str]
    """Version by framework."""
    problem: str | None = None
    cuda: bool = False
    """Whether CUDA's libraries are installed beside the frameworks."""


def probe(path: str) -> Interpreter:
    """Ask an interpreter for its version and its frameworks' versions."""
    try:
        done = subprocess.run(
            [path, "-c", _PROBE], capture_output=True, text=True, timeout=PROBE_LIMIT_S, stdin=subprocess.DEVNULL
        )
        answer = json.loads(done.stdout.splitlines()[-1])
        if tuple(map(int, str(answer["python"]).split(".")[:2])) < OLDEST:
            problem = f"is Python {answer['python']}: fwtui needs {OLDEST[0]}.{OLDEST[1]} or newer"
            return Interpreter(path, str(answer["python"]), dict(answer["packages"]), problem)
        return Interpreter(path, str(answer["python"]), dict(answer["packages"]), cuda=bool(answer["cuda"]))
    except OSError as error:
        return Interpreter(path, None, {}, f"cannot be run: {error.strerror}")
    except subprocess.TimeoutExpired:
        return Interpreter(path, None, {}, "does not answer")
    except (ValueError, IndexError, KeyError, TypeError):
        return Interpreter(path, None, {}, "is no working Python")


def python_in(path: str) -> str | None:
    """The interpreter that a path names: itself, or the one in an environment's folder or in its `bin`."""
    found = Path(path).expanduser()
    if found.is_dir():
        found = next(
            (
                found / name
                for name in ("bin/python", "bin/python3", "python", "python3", "python.exe", "Scripts/python.exe")
                if _runs(found / name)
            ),
            found,
        )
    if path and _runs(found):
        return str(found.absolute())  # links stay: a virtual environment is known by its own path
    return None if found.is_dir() or os.sep in path else shutil.which(path)


def _runs(file: Path) -> bool:
    return file.is_file() and os.access(file, os.X_OK)


def active() -> list[str]:
    """The interpreters a person means without saying so: ours, then the activated environment's."""
    folders = [os.environ.get(name) for name in ("VIRTUAL_ENV", "CONDA_PREFIX")]
    return list(
        dict.fromkeys([sys.executable, *(path for folder in folders if folder and (path := python_in(folder)))])
    )


def found_here() -> list[tuple[str, str]]:
    """(where it was found, path) of the interpreters on this machine, each once."""
    known: dict[str, tuple[str, str]] = {}
    for where, folder in _places():
        path = python_in(str(folder))
        if path is not None:
            known.setdefault(_identity(path), (where, path))
    return list(known.values())


def _identity(path: str) -> str:
    """The same for two paths of one interpreter; a virtual environment's differs from its base's."""
    folder = Path(path).parent.parent
    return str(folder.resolve()) if (folder / "pyvenv.cfg").is_file() else os.path.realpath(path)


def _places() -> Iterator[tuple[str, str | Path]]:
    yield "this one", sys.executable
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if os.environ.get(name):
            yield f"${name}", os.environ[name]
    yield "./.venv", Path(".venv")
    yield "./venv", Path("venv")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for folder in _folders(pyenv):
        yield "pyenv", folder
    for root in ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba", ".conda"):
        if (Path.home() / root / "conda-meta").is_dir():
            yield "conda", Path.home() / root
        for folder in _folders(Path.home() / root / "envs"):
            yield "conda", folder
    for folder_name in os.environ.get("PATH", "").split(os.pathsep):
        if "shims" not in folder_name:
            for name in ("python3", "python"):
                if folder_name and (Path(folder_name) / name).is_file():
                    yield "PATH", Path(folder_name) / name


def _folders(parent: Path) -> list[Path]:
    try:
        return sorted(path for path in parent.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError:
        return []
