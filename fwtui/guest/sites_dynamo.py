"""Why Dynamo broke a graph or compiled again, and at which line of the user's code."""

from __future__ import annotations

from typing import Any, Dict, List

from fwtui.guest import agent, notes, sites
from fwtui.recording.code_lines import is_users

MOST = 20
_breaks: Dict[str, Dict[str, Any]] = {}
_recompiles: List[Dict[str, Any]] = []


def arm_breaks(module: Any) -> None:
    """Dynamo tells each break to `log_graph_break`, whether it is shown or not."""
    kind = getattr(module, "InstructionTranslatorBase", None)
    if kind is not None and hasattr(kind, "log_graph_break"):
        sites.after(kind, "log_graph_break", _broke)


def _broke(translator: Any, code_options: Any, reason: str = "", exc: Any = None, *_: Any, **more: Any) -> None:
    exc = exc or more.get("exc")
    stack = getattr(exc, "real_stack", None) or more.get("user_stack") or ()
    frames = [frame for frame in stack if is_users(frame.filename)]
    if frames:
        place = sites.shown(frames[-1].filename, int(frames[-1].lineno))
    else:
        place = sites.shown(translator.f_code.co_filename, int(translator.lineno or 0))
    words = next((line.strip() for line in str(exc or reason).split("\n") if line.strip()), "")[:160]
    row = _breaks.setdefault(place, {"at": place, "reason": words, "count": 0})
    row["count"] += 1
    notes.learn({"graph_breaks": list(_breaks.values())[:MOST]})


def arm_recompiles(module: Any) -> None:
    """Learn which guard failed."""
    for name in ("get_and_maybe_log_recompilation_reasons", "get_and_maybe_log_recompilation_reason"):
        if hasattr(module, name):
            agent.patch(module, name, _keep_reasons)


def _keep_reasons(original: Any) -> Any:
    def reasons(cache_entries: Any, frame: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(cache_entries, frame, *args, **kwargs)
        agent.arm("dynamo recompile", _recompiled, (found, frame))
        return found

    return reasons


def _recompiled(known: Any) -> None:
    found, frame = known
    if not found or _is_empty(found):
        return
    code = frame.f_code
    words = str(found[0] if isinstance(found, (list, tuple)) else found).split("\n")[0][:160]
    row = {"function": code.co_name, "at": sites.shown(code.co_filename, code.co_firstlineno), "reason": words}
    _recompiles.append(row)
    notes.learn({"recompiles": _recompiles[-MOST:], "recompile_count": len(_recompiles)})


def _is_empty(found: Any) -> bool:
    """Whether there is no reason in what was found."""
    return isinstance(found, (list, tuple)) and not found[0]
