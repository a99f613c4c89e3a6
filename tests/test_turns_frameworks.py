"""Turns on users' own scripts, with real frameworks: one lane at a time, in blocks, and no wait in any statistic."""

from __future__ import annotations

import array
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fwtui.recording.event_log import EventLogReader
from fwtui.recording.run_folder import RunFolder, list_runs
from fwtui.recording.vocabulary import CODE_BITS, CODE_MASK, EVENT

pytestmark = pytest.mark.frameworks

TORCH = """
import torch
from torch.utils.data import DataLoader, TensorDataset
if __name__ == "__main__":
    torch.set_num_threads(1)
    data = TensorDataset(torch.randn(3200, 100), torch.randn(3200, 1))
    model = torch.nn.Sequential(torch.nn.Linear(100, 10), torch.nn.ReLU(), torch.nn.Linear(10, 1))
    optimizer = torch.optim.Adam(model.parameters())
    loader = DataLoader(data, batch_size=32, shuffle=True, num_workers=1, persistent_workers=True)
    while True:
        for inputs, targets in loader:
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(inputs), targets).backward()
            optimizer.step()
"""
KERAS = """
import keras, numpy as np
x, y = np.random.rand(3200, 100).astype("float32"), np.random.rand(3200, 1).astype("float32")
model = keras.Sequential([keras.Input((100,)), keras.layers.Dense(10, activation="relu"), keras.layers.Dense(1)])
model.compile(optimizer="adam", loss="mse")
model.fit(x, y, batch_size=32, epochs=100000, verbose=0)
"""


def turns_of(folder: RunFolder, index: int) -> list[tuple[int, int]]:
    """(begin, end) in ns of the times in which a lane had the machine, its waits' edges."""
    lane = folder.read_manifest()["lanes"][index]["name"]
    words = array.array("Q")
    words.frombytes(EventLogReader(str(folder.lane(lane) / "rank-0" / "events.log")).read_new())
    begins = [word >> CODE_BITS for word in words if word & CODE_MASK == EVENT["wait_end"]]
    ends = [word >> CODE_BITS for word in words if word & CODE_MASK == EVENT["wait_begin"]]
    return [(begin, end) for begin in begins if (end := min((e for e in ends if e > begin), default=0))]


def test_scripts_of_two_frameworks_take_turns(tmp_path: Path) -> None:
    (tmp_path / "torch_script.py").write_text(TORCH, encoding="utf-8")
    (tmp_path / "keras_script.py").write_text(KERAS, encoding="utf-8")
    command = [sys.executable, "-m", "fwtui", "run", "--json", "-", "--run-dir", str(tmp_path / "runs")]
    path = os.pathsep.join(filter(None, (os.getcwd(), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [*command, "--seconds", "7", "torch_script.py", "keras_script.py"],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "2"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    (folder,) = list_runs(tmp_path / "runs")
    turns = sorted((*turn, lane) for lane in (0, 1) for turn in turns_of(folder, lane))
    assert {lane for *_, lane in turns} == {0, 1}
    for (_, end, _), (begin, _, _) in itertools.pairwise(turns):
        assert begin >= end  # never two at once
    lengths = sorted(end - begin for begin, end, _ in turns[2:])
    assert lengths[len(lengths) // 2] >= 250e6
    for lane in report["lanes"]:
        assert lane["waiting_s"] > 1
        assert lane["attributed_s"] == pytest.approx(lane["wall_s"], rel=0.02)
        assert lane["step_ms"]["median"] < 250  # a wait is twice as long
    items = {item["name"]: item for item in report["comparison"]["conditions"]}
    for name in ("batch size", "samples per epoch", "optimizer updates per epoch", "last batch", "shuffle", "loss",
                 "loss reduction", "input values a sample", "parameters", "precision", "optimizer"):  # fmt: skip
        assert items[name]["mark"] == "equal", items[name]
    assert items["compiled"]["mark"] == "condition"
    assert items["threads"]["mark"] in ("equal", "condition")
    assert report["comparison"]["fair"] is True
