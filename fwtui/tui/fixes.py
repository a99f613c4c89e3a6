"""Which lane option tries a finding's advice."""

from __future__ import annotations

from collections.abc import Mapping

_FIXES: Mapping[str, Mapping[str, str]] = {
    "input-bound": {"torch": "workers=2"},
    "no-prefetch": {"torch": "workers=2"},
    "per-sample-transform": {"*": "-per_sample"},
    "worker-startup": {"torch": "-workers"},
    "slow-callback": {"*": "-callback_ms"},
    "slow-optimizer": {"torch": "optimizer_impl=fused"},
    "dispatch-bound": {"torch": "compile", "keras": "jit", "tensorflow": "jit"},
    "compiled-on-one-side": {"torch": "compile", "keras": "jit"},
    "unfused-kernel": {"torch": "compile", "keras": "jit", "tensorflow": "jit"},
    "per-execution-overhead": {"keras": "steps_per_execution=16"},
    "sync-every-step": {"keras": "steps_per_execution=16"},
    "backend-wrapper": {"keras": "backend=tensorflow"},
}
"""By finding and framework: the option to add; with a `-`, the option to take away."""


def fix_of(lane: str, code: str) -> str | None:
    """The lane that tries the advice: `torch` and `input-bound` give `torch:workers=2`. None: nothing to try."""
    framework, *options = lane.partition("#")[0].split(":")
    by_framework = _FIXES.get(code, {})
    fix = by_framework.get(framework) or by_framework.get("*")
    if fix is None:
        return None
    name = fix.removeprefix("-").partition("=")[0]
    kept = [option for option in options if option.partition("=")[0] != name]
    if fix.startswith("-"):
        return ":".join((framework, *kept)) if len(kept) < len(options) else None
    return ":".join((framework, *kept, fix)) if fix not in options else None
