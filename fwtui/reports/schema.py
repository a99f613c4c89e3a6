"""The JSON report's schema (JSON Schema 2020-12). Its keys are a contract: more may come, none goes."""

from __future__ import annotations

from typing import Any

from fwtui.recording.vocabulary import PHASE_NAMES

SCHEMA_VERSION = 1
LANE_STATUSES = ("finished", "failed", "killed", "stopped", "hung")
VERDICTS = ("faster", "slower", "no difference", "unfair", "undecided")


def _or_null(kind: str) -> dict[str, Any]:
    return {"type": [kind, "null"]}


def _object(**properties: Any) -> dict[str, Any]:
    """An object with all of these keys; others may stand beside them."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


TEXT, NUMBER, COUNT = {"type": "string"}, {"type": "number"}, {"type": "integer", "minimum": 0}
SHARE = _nullable({"type": "number", "minimum": 0, "maximum": 1.02})
"""Clocks differ by a tick: a share may come out a little above 1."""
INTERVAL = _nullable({"type": "array", "items": NUMBER, "minItems": 2, "maxItems": 2})

STEP_MS = _object(median=NUMBER, p5=NUMBER, p95=NUMBER, p99=NUMBER, iqr=NUMBER)
PHASE = _object(ms=NUMBER, share=NUMBER)
FINDING = _object(
    code={"type": "string", "pattern": "^[a-z]+(-[a-z]+)*$"},
    severity={"enum": ["critical", "warning", "note"]},
    share=SHARE,
    evidence=TEXT,
    location=_or_null("string"),
    advice=TEXT,
)
LANE = _object(
    name=TEXT,
    framework=TEXT,
    version=_or_null("string"),
    backend=_or_null("string"),
    python=TEXT,
    device=_or_null("string"),
    status={"enum": [*LANE_STATUSES, None]},
    exit_code=_or_null("integer"),
    steps=COUNT,
    steps_counted=COUNT,
    samples_per_step=_or_null("number"),
    startup_s=_or_null("number"),
    compile_s=_or_null("number"),
    step_ms=_nullable(STEP_MS),
    throughput_samples_s=_or_null("number"),
    phases=_object(**{name: _nullable(PHASE) for name in PHASE_NAMES}),
    wall_s=_or_null("number"),
    attributed_s=_or_null("number"),
    cpu_cores=_or_null("number"),
    rss_peak_bytes=_or_null("number"),
    gpu=_or_null("object"),
    loss_first=_or_null("number"),
    loss_last=_or_null("number"),
    findings=_list(FINDING),
    deep=_nullable(
        _object(how=TEXT, steps=COUNT, phases={"type": "object"}, operations=_list({"type": "array"}), cost_ms=NUMBER)
    ),
    ranks=_nullable(_list({"type": "object"})),
)
STARTS = _object(
    lane=TEXT, ratios=_list(NUMBER), ratio=_or_null("number"), ci95=INTERVAL, verdict={"enum": list(VERDICTS)}
)
CAUSE = _object(code=TEXT, ms=NUMBER, share_of_gap=_or_null("number"), ci95=INTERVAL)
# Of an unfair pair gap_ms is null and by_phase is empty; its ratio is per sample where only batches differ, else null.
# `causes` sums to the gap: by what experiments proved where there are any, else by phase; `by_phase` is always that.
PAIR = _object(
    lane=TEXT,
    ratio=_or_null("number"),
    ci95=INTERVAL,
    verdict={"enum": list(VERDICTS)},
    gap_ms=_or_null("number"),
    causes=_list(CAUSE),
    by_phase=_list(CAUSE),
)
COMPARISON = _object(
    baseline=TEXT,
    fair={"type": "boolean"},
    unfair_reasons=_list(_object(code=TEXT, detail=TEXT)),
    parity=_nullable(_object(checked_steps=COUNT, max_abs_loss_difference=NUMBER)),
    pairs=_list(PAIR),
)
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "fwtui report",
    **_object(
        schema={"const": SCHEMA_VERSION},
        fwtui=TEXT,
        run=_object(id=TEXT, started=TEXT, schedule=TEXT, seed=_or_null("integer"), workload=_or_null("string")),
        host=_object(cpu=TEXT, cores=COUNT, memory_bytes=COUNT, gpus=_list({"type": "object"})),
        lanes=_list(LANE),
        comparison=_nullable(COMPARISON),
        starts=_nullable(_object(runs=_list(TEXT), pairs=_list(STARTS))),
    ),
}
