"""Every program of the matrix under the real recorder; a small sample of it in the default run."""

from __future__ import annotations

import sys
from pathlib import Path

import matrix
import pytest

pytestmark = pytest.mark.frameworks
SAMPLE = (
    "PyTorch loop: two optimizers in turn (GAN)",
    "PyTorch loop: evaluation by hand",
    "PyTorch loop: no optimizer: says why",
    "Keras on tensorflow: train_on_batch",
    "JAX: optax, jitted update",
    "started as: python -I: says why",
    "program that: execs itself",
)


def check(cell: matrix.Cell, folder: Path) -> None:
    lacking = cell.absent or matrix.missing(cell)
    if lacking:
        pytest.skip(f"n/a: {lacking}")
    assert matrix.run_cell(cell, folder, sys.executable).problems == []


@pytest.mark.parametrize("cell", [cell for cell in matrix.CELLS if cell.id in SAMPLE], ids=lambda cell: cell.id)
def test_a_sample_of_the_matrix(cell: matrix.Cell, tmp_path: Path) -> None:
    check(cell, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("cell", [cell for cell in matrix.CELLS if cell.id not in SAMPLE], ids=lambda cell: cell.id)
def test_the_matrix(cell: matrix.Cell, tmp_path: Path) -> None:
    check(cell, tmp_path)


def test_the_sample_names_cells() -> None:
    assert set(SAMPLE) <= {cell.id for cell in matrix.CELLS}
