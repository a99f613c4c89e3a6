"""The two scripts that the project began with, run as they are: unequal work, named as such."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("torch", "keras", "tensorflow")),
        reason="needs torch, Keras and TensorFlow",
    ),
]


def test_ten_updates_against_three_hundred_and_twenty_are_unfair(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "fwtui", "run", "--workload", "origin", "--strict", "--json", "-"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "FWTUI_RUN_DIR": str(tmp_path)},
        timeout=240,
    )
    assert ended.returncode == 4, ended.stderr
    report = json.loads(ended.stdout)
    pytorch, keras = report["lanes"]
    assert (pytorch["name"], pytorch["steps"], pytorch["samples_per_step"]) == ("pytorch", 10, 1_000)
    assert (keras["name"], keras["steps"], keras["samples_per_step"]) == ("keras", 320, 32)
    assert keras["compile_s"] > 0
    assert pytorch["startup_s"] > 0

    comparison = report["comparison"]
    assert comparison["fair"] is False
    details = " ".join(f"{reason['code']} {reason['detail']}" for reason in comparison["unfair_reasons"])
    assert "batch" in details
    for figure in ("10", "320", "1000", "32"):
        assert figure in details.replace(",", "").replace(":", " ").split(), details
    inside = next(item for item in comparison["conditions"] if item["name"] == "compiling in training")
    assert (inside["mark"], dict(inside["values"])) == ("condition", {"pytorch": "no", "keras": "yes"})
    assert "compile-in-timing" in {finding["code"] for finding in keras["findings"]}
    assert "UNFAIR" in report["run"]["headline"]
    assert "fwtui run --workload regression-mlp --until-decided" in ended.stderr
