"""A run as JSON. The keys are a contract (see `schema.py`); what is unknown is null."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from fwtui import __version__
from fwtui.analysis.cause_split import UNEXPLAINED, split
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
            "starts": None,
            "explanation": frame.explanation,
        }
    )
    for pair in (value["comparison"] or {}).get("pairs", ()):
        if pair["verdict"] == "unfair":  # a figure of unequal work must not be taken for one
            fair = (one for one in pair["alternatives"] if one["code"] == "per-sample")
            instead: dict[str, Any] = next(fair, {})
            pair.update(ratio=instead.get("ratio"), ci95=instead.get("ci95"), gap_ms=None, gap_ci95=None, causes=[])
        pair["by_phase"] = pair["causes"]
        tested = _by_experiment(pair, frame.explanation) if frame.explanation is not None else []
        pair["causes"] = tested or pair["causes"]
    return value


def _by_experiment(pair: dict[str, Any], explanation: Explanation) -> list[dict[str, Any]]:
    """The parts of a gap that experiments proved, and the rest; they sum to the pair's gap as the phases do."""
    lane = pair["lane"]
    if lane not in (explanation.slower, explanation.faster) or lane == explanation.baseline:
        return []
    sign, gap = (1 if lane == explanation.slower else -1), pair["gap_ms"]
    causes: list[dict[str, Any]] = []
    for part in split(explanation):
        ms = sign * part.ms.value
        if part.code == UNEXPLAINED and gap is not None:
            ms = gap - sum(cause["ms"] for cause in causes)
        cause: dict[str, Any] = {
            "code": part.code,
            "ms": ms,
            "share_of_gap": ms / gap if gap else part.share,
            "ci95": part.ms.ci95 and sorted(sign * bound for bound in part.ms.ci95),
            "how": "experiment",
            "cause": part.cause,
        }
        if part.experiment is not None:
            item = part.experiment
            cause.update(verdict=item.verdict, change=item.change, run=item.run, command=item.command)
        causes.append(cause)
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
    "lost",
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
