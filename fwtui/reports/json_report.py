"""A run as JSON. The keys are a contract (see `schema.py`); what is unknown is null."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from fwtui import __version__
from fwtui.analysis.explanation import Explanation
from fwtui.recording.vocabulary import PHASE_NAMES
from fwtui.reports.schema import LANE_STATUSES, SCHEMA_VERSION
from fwtui.view.frame import Frame, LaneFrame


def report(frame: Frame) -> dict[str, Any]:
    """The report of a run at one moment; `json.dumps` takes it as it is."""
    value: dict[str, Any] = plain(
        {
            "schema": SCHEMA_VERSION,
            "fwtui": __version__,
            "run": {
                "id": frame.run_id,
                "name": frame.name,
                "started": frame.started,
                "elapsed_s": frame.elapsed_s,
                "status": frame.status,
                "schedule": frame.schedule,
                "seed": frame.seed,
                "workload": frame.workload,
                "path": frame.path,
                "headline": frame.headline,
                "notice": frame.notice,
            },
            "host": {
                "cpu": frame.host.cpu,
                "cores": frame.host.cores,
                "memory_bytes": frame.host.memory_bytes,
                "gpus": frame.host.gpus,
            },
            "lanes": [_lane(lane) for lane in frame.lanes],
            "comparison": frame.comparison,
            "explanation": frame.explanation,
        }
    )
    for pair in (value["comparison"] or {}).get("pairs", ()):
        if pair["verdict"] == "unfair":  # a figure of unequal work must not be taken for one
            pair.update(ratio=None, ci95=None, gap_ms=None, gap_ci95=None, causes=[])
    if frame.explanation is not None and value["comparison"]:
        for pair in value["comparison"]["pairs"]:
            pair["causes"] += _tested_causes(pair["lane"], frame.explanation)
    return value


def _tested_causes(lane: str, explanation: Explanation) -> list[dict[str, Any]]:
    """The causes that experiments measured, beside the parts by phase; `how` tells them apart."""
    if lane not in (explanation.slower, explanation.faster) or lane == explanation.baseline:
        return []
    sign = 1 if lane == explanation.slower else -1
    causes = []
    for item in explanation.experiments:
        if item.effect_ms is None:
            continue
        interval = item.effect_ms.ci95
        causes.append(
            {
                "code": item.code,
                "ms": sign * item.effect_ms.value,
                "share_of_gap": item.share_of_gap.value if item.share_of_gap else None,
                "ci95": interval and sorted(sign * bound for bound in interval),
                "how": "experiment",
                "verdict": item.verdict,
                "cause": item.cause,
                "change": item.change,
                "run": item.run,
                "command": item.command,
            }
        )
    return causes


_SAME_NAME = (
    "name",
    "framework",
    "version",
    "backend",
    "python",
    "device",
    "exit_code",
    "signal",
    "error",
    "why_no_steps",
    "steps",
    "steps_counted",
    "samples_per_step",
    "startup_s",
    "compile_s",
    "evaluation_s",
    "waiting_s",
    "step_ms",
    "throughput_samples_s",
    "stalls",
    "lost_share",
    "wall_s",
    "attributed_s",
    "rss_peak_bytes",
    "gpu",
    "loss_first",
    "loss_last",
    "results",
    "facts",
    "deep",
    "ranks",
)
"""Keys of a lane that a `LaneFrame` has under the same name."""


def _lane(lane: LaneFrame) -> dict[str, Any]:
    return {
        **{name: getattr(lane, name) for name in _SAME_NAME},
        "status": lane.state if lane.state in LANE_STATUSES else None,
        "state": lane.state,
        "cpu_cores": lane.cpu_cores_mean,
        "phases": {name: lane.phases.get(name) for name in PHASE_NAMES},
        "findings": lane.findings,
    }


def plain(value: Any) -> Any:
    """The value in what JSON knows: frozen results as objects, tuples as lists, NaN and infinity as null."""
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item"):  # numpy's own scalars
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
