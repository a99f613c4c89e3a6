"""A run as one HTML file that needs nothing else: it opens offline, in light and in dark."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from fwtui import __version__
from fwtui.analysis.cause_split import split
from fwtui.analysis.explanation import Explanation
from fwtui.recording.vocabulary import PHASES
from fwtui.reports import chart_data, facts, json_report
from fwtui.reports.explanation import table as explanation_table
from fwtui.view.frame import Frame, LaneFrame
from fwtui.view.session import Session
from fwtui.view.units import NOT_KNOWN, show

LONG_HEADLINE = 110
"""Characters from which on the verdict is set smaller."""
PAGE = Path(__file__).parent / "page"


def report(session: Session) -> str:
    """The page for the newest moment of a run."""
    frame = session.frame()
    title = escape(f"{frame.headline or frame.name} · fwtui")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>\n{(PAGE / 'page.css').read_text(encoding='utf-8')}</style>\n</head>\n<body>\n"
        + "\n".join(_sections(session, frame))
        + f'\n<script type="application/json" id="run">{_embedded(_data(session, frame))}</script>\n'
        f"<script>\n{(PAGE / 'page.js').read_text(encoding='utf-8')}</script>\n</body>\n</html>\n"
    )


def _data(session: Session, frame: Frame) -> dict[str, Any]:
    """The JSON report, with what the charts draw beside it."""
    value = json_report.report(frame)
    value["series"] = chart_data.series(session, frame)
    value["state_names"] = chart_data.STATE_NAMES
    value["phases"] = {phase.name: phase.meaning for phase in PHASES}
    for told, lane in zip(value["lanes"], frame.lanes, strict=True):
        told["series"] = chart_data.lane_series(session, frame, lane)
        told["stall_list"] = chart_data.stall_list(session, lane)
        told["typical"], told["stalled"] = lane.typical_ms, lane.stalled_ms
    return value


def _embedded(value: Any) -> str:
    """JSON that no text of a program can end the script element from."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _sections(session: Session, frame: Frame) -> Iterator[str]:
    yield _head(frame)
    yield f'<div class="cards">{"".join(_lane(frame, lane) for lane in frame.lanes)}</div>'
    yield _section(
        "Step times",
        "Mean of the steps in each slot, in a band that holds nine steps in ten; all lanes on one scale. "
        "▲ is a stalled step. The strips below say when a lane started, warmed up, trained and evaluated.",
        '<div class="card chart wide" data-chart="steps"></div>',
    )
    if any(lane.typical_ms for lane in frame.lanes):
        yield _section(
            "Where a step's time goes",
            "The typical step of each lane by phase, on one scale, and the mean stalled step where there was one.",
            '<div class="card chart wide" data-chart="phases"></div>',
        )
    yield from _gaps(frame)
    yield from _findings(frame)
    yield from _explanation(frame)
    yield _series(frame)
    yield _tables(frame)
    yield from _environment(session, frame)
    yield f"<footer>fwtui {__version__} · {escape(frame.run_id)} · this file needs no network</footer>"


def _head(frame: Frame) -> str:
    told = (frame.headline or frame.name).split(" · ")
    style = ["bad"] if frame.comparison and not frame.comparison.fair else []
    style += ["long"] if len("".join(told)) > LONG_HEADLINE else []
    lines = [escape(frame.notice)] if frame.notice else []
    lines += [escape(line) for line in (*facts.unfair_lines(frame), *facts.condition_lines(frame))]
    lead = f'<p class="lead">{" · ".join(lines)}</p>' if lines else '<p class="lead"></p>'
    return (
        f"<header><b>fwtui</b><span>{escape(facts.title(frame))}</span><span>{escape(frame.started[:16])}</span>"
        '<button id="theme" type="button">dark</button></header>\n'
        f'<h1 class="{" ".join(style)}">{"<br>".join(map(escape, told))}</h1>\n{lead}'
    )


def _section(heading: str, meaning: str, body: str) -> str:
    return f"<section><h2>{escape(heading)}</h2><p>{escape(meaning)}</p>{body}</section>"


def _lane(frame: Frame, lane: LaneFrame) -> str:
    ratio = next((row.cells[lane.index] for row in facts.lane_rows(frame) if row.label == "step time"), "")
    rows = (
        ("against the baseline", ratio),
        ("throughput", show(lane.throughput_samples_s, "samples/s")),
        ("lost in stalls", show(lane.lost_share, "share")),
        ("steps counted", f"{lane.steps_counted:,} of {lane.steps:,}"),
        ("start-up, compile", f"{show(lane.startup_s, 's')}, {show(lane.compile_s, 's')}"),
    )
    told = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in rows if value)
    step = show(lane.step_ms.median if lane.step_ms else None, "ms")
    spread = f" {lane.step_ms.p5:.3g} – {lane.step_ms.p95:.3g}" if lane.step_ms else ""
    error = f'<p class="mono">{escape(lane.error)}</p>' if lane.error else ""
    return (
        f'<div class="card lane" style="--c:var(--lane-{lane.index % 6})">'
        f'<span class="state {lane.state}">{lane.state}</span><h3>{escape(lane.name)}</h3>'
        f'<div class="title">{escape(lane.title)}</div><p class="big">{step}<small>{spread}</small></p>'
        f"<dl>{told}</dl>{error}</div>"
    )


def _gaps(frame: Frame) -> Iterator[str]:
    comparison = frame.comparison
    for number, pair in enumerate(comparison.pairs if comparison else ()):
        if comparison is None or pair.verdict == "unfair" or pair.gap_ms is None or not pair.causes:
            continue
        sign = "more" if pair.gap_ms >= 0 else "less"
        meaning = (
            f"{pair.lane} takes {show(abs(pair.gap_ms), 'ms')} {sign} a step than {comparison.baseline}. Each bar is a "
            "part of it; the whiskers are 95 % intervals. The parts sum to the gap."
        )
        yield _section(
            f"The gap: {pair.lane}",
            meaning,
            f'<div class="card chart wide" data-chart="gap" data-pair="{number}"></div>',
        )


def _findings(frame: Frame) -> Iterator[str]:
    cards = []
    for lane in frame.lanes:
        for finding in lane.findings:
            share = "" if finding.share is None else f", {show(finding.share, 'share')} of its time"
            where = f"<p><code>{escape(finding.place)}</code></p>" if finding.location else ""
            cards.append(
                f'<div class="card finding {finding.severity}"><i></i><div><h3>{finding.code} '
                f"<span>{escape(lane.name)} · {finding.severity}{share}</span></h3><p>{escape(finding.evidence)}</p>"
                f'{where}<p class="advice">{escape(finding.advice)}</p></div></div>'
            )
    if cards:
        yield _section("Findings", "What slows a lane down, the weightiest first, and what to change.", "".join(cards))


def _explanation(frame: Frame) -> Iterator[str]:
    if frame.explanation is None:
        return
    heads, rows = explanation_table(frame.explanation)
    yield _section(
        "Why, by experiment",
        frame.explanation.sentence,
        f'{_causes(frame, frame.explanation)}<div class="card">{_table(heads, rows)}</div>{_again(frame.explanation)}',
    )


def _again(explanation: Explanation) -> str:
    """The commands that make each experiment again."""
    known = [(item.cause, item.command) for item in explanation.experiments if item.command]
    if explanation.together is not None and explanation.together.command:
        known.append((f"{explanation.slower}, {explanation.together.changed}", explanation.together.command))
    rows = "".join(f"<p>{escape(cause)}<br><code>{escape(command)}</code></p>" for cause, command in known)
    return f'<br><div class="card"><h3>Again, each in one command</h3>{rows}</div>' if rows else ""


def _causes(frame: Frame, explanation: Explanation) -> str:
    """The chart of the gap by cause, once a cause is proven."""
    pairs = frame.comparison.pairs if frame.comparison else ()
    for number, pair in enumerate(pairs):
        if pair.lane in (explanation.slower, explanation.faster) and split(explanation):
            return f'<div class="card chart" data-chart="causes" data-pair="{number}"></div><br>'
    return ""


def _series(frame: Frame) -> str:
    kinds = ["loss", "cpu", "memory", *(["gpu"] if any(lane.gpu for lane in frame.lanes) else [])]
    charts = "".join(f'<div class="card chart" data-chart="{kind}"></div>' for kind in kinds)
    return _section(
        "Loss and the machine",
        "Over the whole run, every lane's own process tree.",
        f'<div class="cards">{charts}</div>',
    )


def _tables(frame: Frame) -> str:
    heads = ("", *(lane.name for lane in frame.lanes))
    lanes = _table(heads, [(row.label, *row.cells) for row in facts.lane_rows(frame)])
    phases = _table(("mean step", *heads[1:]), [(row.label, *row.cells) for row in facts.phase_rows(frame)])
    return _section(
        "All figures",
        NOT_KNOWN + " is what nothing could measure.",
        f'<div class="card">{lanes}</div><br><div class="card">{phases}</div>',
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "".join(
        f"<tr><th>{escape(row[0])}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])}</tr>" for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _environment(session: Session, frame: Frame) -> Iterator[str]:
    if frame.comparison and frame.comparison.conditions:
        words = {True: ("same", "equal"), None: ("", "not known"), False: ("named", "differs")}
        rows = []
        for item in frame.comparison.conditions:
            style, word = ("differs", "unequal work") if item.equal is False and item.fatal else words[item.equal]
            cells = "".join(f"<td>{escape(value)}</td>" for _, value in item.values)
            rows.append(f'<tr><th>{escape(item.name)}</th>{cells}<td class="{style}">{word}</td></tr>')
        head = "".join(f"<th>{escape(name)}</th>" for name in ("", *(lane.name for lane in frame.lanes), ""))
        body = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
        yield _section("Parity", "What was compared before any verdict.", f'<div class="card">{body}</div>')
    manifest = session.manifest
    host = frame.host
    gpus = ", ".join(str(gpu.get("name")) for gpu in host.gpus) or NOT_KNOWN
    known = [
        ("machine", f"{host.cpu}, {host.cores} cores, {show(host.memory_bytes, 'bytes')} memory"),
        ("system", str((manifest.get("host") or {}).get("os") or NOT_KNOWN)),
        ("GPUs", gpus),
        ("command", " ".join(["fwtui", *map(str, manifest.get("argv", [])[1:])])),
        ("run folder", frame.path),
    ]
    for lane in frame.lanes:
        interpreter = lane.facts.get("python") or ""
        known.append((lane.name, f"{lane.title} · Python {interpreter} · {lane.python}"))
    yield _section("Environment", "Where and how it was run.", f'<div class="card">{_table(("", ""), known)}</div>')
