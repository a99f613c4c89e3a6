"""What a viewer may ask of the recorder: one small function a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from fwtui.recorder.additions import add_lane
from fwtui.recorder.schedules import SCHEDULES
from fwtui.recorder.stack_dump import NoStackError

if TYPE_CHECKING:
    from fwtui.recorder.run import Run

Answer = dict[str, Any]
OK: Mapping[str, Any] = {"ok": True}


def answer(run: Run, request: dict[str, Any]) -> Answer:
    """Do what is asked; `{"ok": False, "error": sentence}` when it cannot be done."""
    handler = REQUESTS.get(str(request.get("do")))
    if handler is None:
        return _refuse(f"the recorder knows no request {request.get('do')!r}: there are {', '.join(REQUESTS)}")
    if "lane" in request and run.lane(request["lane"]) is None:
        return _refuse(f"the run has no lane {request['lane']!r}")
    return handler(run, request)


def _refuse(sentence: str) -> Answer:
    return {"ok": False, "error": sentence}


def _ping(run: Run, request: dict[str, Any]) -> Answer:
    return {**OK, "pid": run.manifest["recorder"]["pid"], "status": run.manifest["status"]}


def _stop(run: Run, request: dict[str, Any]) -> Answer:
    reason = str(request.get("reason") or "stopped by the user")
    lane = run.lane(request.get("lane"))
    if lane is None:
        run.stop(reason)
    else:
        lane.end(reason)
    return dict(OK)


def _finish(run: Run, request: dict[str, Any]) -> Answer:
    run.limit.finish()
    return dict(OK)


def _pause(run: Run, request: dict[str, Any]) -> Answer:
    lane = run.lane(request.get("lane"))
    if lane is None:
        return _refuse("say which lane to pause")
    if not lane.alive:
        return _refuse(f"{lane.name} does not run")
    if not lane.ranks.known:
        return _refuse(f"{lane.name} has not come to a step yet: only between two steps can it be held")
    lane.entry["paused"] = True
    return dict(OK)


def _resume(run: Run, request: dict[str, Any]) -> Answer:
    lane = run.lane(request.get("lane"))
    if lane is None:
        return _refuse("say which lane to resume")
    lane.entry["paused"] = False
    return dict(OK)


def _schedule(run: Run, request: dict[str, Any]) -> Answer:
    name = str(request.get("value"))
    if name not in SCHEDULES:
        return _refuse(f"there is no schedule {name!r}: there are {', '.join(SCHEDULES)}")
    run.use_schedule(name)
    return dict(OK)


def _stack(run: Run, request: dict[str, Any]) -> Answer:
    lane = run.lane(request.get("lane"))
    if lane is None:
        return _refuse("say whose stack to take")
    if not lane.alive:
        return _refuse(f"{lane.name} does not run")
    try:
        return {**OK, "stacks": run.stacks.take(lane)}
    except NoStackError as error:
        return _refuse(f"{lane.name} does not tell its stack: {error}")


def _deep(run: Run, request: dict[str, Any]) -> Answer:
    lane = run.lane(request.get("lane"))
    if lane is None:
        return _refuse("say which lane to look into")
    if not lane.alive or not lane.ranks.stepped:
        return _refuse(f"{lane.name} does not train: a profiler window needs steps")
    if not lane.ranks.ask_deep():
        return _refuse(f"{lane.name} is being profiled already")
    return dict(OK)


def _add(run: Run, request: dict[str, Any]) -> Answer:
    like = run.lane(request.get("like"))
    if like is None:
        return _refuse(f"the run has no lane {request.get('like')!r}")
    try:
        return {**OK, "lane": add_lane(run, like, str(request["name"])).name}
    except (KeyError, ValueError) as error:
        return _refuse(str(error))


def _restart(run: Run, request: dict[str, Any]) -> Answer:
    lane = run.lane(request.get("lane"))
    if lane is None:
        return _refuse("say which lane to restart")
    if run.stop_reason is not None:
        return _refuse("the run is being stopped")
    lane.restart()
    return dict(OK)


REQUESTS: Mapping[str, Callable[[Run, dict[str, Any]], Answer]] = {
    "ping": _ping,
    "stop": _stop,
    "finish": _finish,
    "pause": _pause,
    "resume": _resume,
    "schedule": _schedule,
    "deep": _deep,
    "add": _add,
    "restart": _restart,
    "stack": _stack,
}
