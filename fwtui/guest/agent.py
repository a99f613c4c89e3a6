"""The guest's heart: lists that hooks append to, and what writes them down ten times a second.

On the hot path a hook does one thing: `log(perf_counter_ns() << CODE_BITS | code)`, or, where it is rare,
`append(perf_counter_ns())` to the list of its event. Everything else (files, notes, facts) happens when that is written
down: at the end of a step that finds it due, for a thread that wakes takes the interpreter's lock from the trainer and
costs it ten times the work; or by the drain thread, when no step does. An error of ours never reaches the program.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import pathlib
import sys
import threading
import time
from bisect import bisect_right
from typing import Any, Callable, Dict, List, Optional, Set, Tuple, Union

from fwtui.guest import notes
from fwtui.recording.event_log import SLOT_GATE, AppendLogWriter, EventLogWriter
from fwtui.recording.run_folder import EVENTS as EVENTS_FILE
from fwtui.recording.run_folder import HOST, write_json
from fwtui.recording.vocabulary import CODE_BITS, EVENT, EVENTS, GATE_GO, GATE_HOLD

DRAIN_NS = 100_000_000
DRAIN_ELSEWHERE_NS = 500_000_000
"""On a file system that hosts share: a write there may cost milliseconds, and a thousand ranks may do so."""
FIRST_DRAIN_NS = 8_000_000
"""The first steps are told soon, so that they can be looked at: the times between drains double up to the usual one."""
NEVER = 1 << 62
HOLD_BACK_NS = 5_000_000
"""Words younger than this wait for the next drain: another thread may be about to append an older one."""

QUIET_NS = 1_000_000_000
"""After this long without an event a `guest_flush` says that the guest lives."""

lists: Dict[int, List[int]] = {event.code: [] for event in EVENTS}
"""Times by event code; the drain thread empties them."""
words: List[int] = []
"""Events as they stand in the log: the cheapest to write down, so whatever comes in each step uses it."""
log = words.append
counters: Dict[str, List[int]] = {}
"""Counts, kept by their hooks, of events that go to `words`."""
due = [0]
"""When the lists shall be written down next: a hook at a step's end that is later than this calls `drain`."""
fitting = [False]
"""Whether Keras's own training loop runs the steps: it stands at the gate and tells the loss itself."""
_broken: Set[Tuple[str, Callable[[Any], None]]] = set()
"""What failed in `arm`."""
undo: List[Callable[[], None]] = []
"""Takes every hook out again."""
header: Any = [0] * 16
"""The event log's header once it exists; before that a list of zeros, so that the gate is open."""

_lane_dir = ""
_rank_dir: Optional[str] = None
_writer: Union[EventLogWriter, AppendLogWriter, None] = None
_held: List[int] = []
_period = [FIRST_DRAIN_NS]
_lock = threading.Lock()
_start_ns = 0
_last_ns = 0
_thread: Optional[threading.Thread] = None
_leave_off = threading.Lock()
"""Held while the drain thread shall run; to let it go ends the thread."""
_written: Dict[int, int] = dict.fromkeys(lists, 0)
_elsewhere: Callable[[], bool] = bool
"""Whether the calling thread is another than the one that trains."""
main_thread = threading.get_ident()


def start() -> None:
    """Arm the guest: post-import hooks only. Files are made when a framework is met, or `fwtui.mark` is used."""
    global _lane_dir, _start_ns
    from fwtui.guest import helper_processes

    if helper_processes.is_one():
        return
    _lane_dir = os.environ["FWTUI_LANE_DIR"]
    _start_ns = time.perf_counter_ns()
    from fwtui.guest import import_hooks

    import_hooks.install()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_pause, after_in_parent=_go_on, after_in_child=_leave)


def active() -> bool:
    """Whether events of this process are being written."""
    return _writer is not None


def rank_dir() -> Optional[str]:
    """The folder that this process writes to; None before there is one."""
    return _rank_dir if _writer is not None else None


def recorder(name: str) -> Callable[[int], None]:
    """The bound `append` of an event's list: what a hook calls with `perf_counter_ns()`."""
    return lists[EVENT[name]].append


def count(name: str) -> int:
    """How often an event was noted so far, about."""
    code = EVENT[name]
    return _written[code] + len(lists[code]) + counters.get(name, [0])[0]


def in_keras_fit() -> bool:
    """Whether Keras's own training loop runs the steps: it stands at the gate and tells the loss itself."""
    return fitting[0]


def activate() -> None:
    """Make the rank's folder and its log, and start the drain thread. Safe to call again."""
    global _writer, _rank_dir, header, _elsewhere
    with _lock:
        if _writer is not None or not _lane_dir or _rank_dir is not None:
            return
        from fwtui.guest import where

        rank, size = where.rank_and_size()
        elsewhere = where.is_elsewhere()
        make = AppendLogWriter if elsewhere else EventLogWriter
        for name in (f"rank-{rank}", f"rank-{rank}.{os.getpid()}", f"rank-{rank}.{os.getpid()}.{_start_ns}"):
            _rank_dir = os.path.join(_lane_dir, name)
            try:
                os.makedirs(_rank_dir, exist_ok=True)
                _writer = make(os.path.join(_rank_dir, EVENTS_FILE), _start_ns)
                if elsewhere or size > 1:
                    write_json(pathlib.Path(_rank_dir) / HOST, where.describe(rank, size))
            except FileExistsError:
                continue
            except OSError as error:
                _report("the event log cannot be made", error)
                return
            break
        if _writer is None:
            return
        header = _writer.header
        header[SLOT_GATE] = GATE_HOLD if os.environ.get("FWTUI_GATE") == "hold" else GATE_GO
        lists[EVENT["program_begin"]].append(_start_ns)
    from fwtui.guest import stack_signals, trainer

    _elsewhere = trainer.elsewhere
    stack_signals.register()
    gc.callbacks.append(_on_gc)
    undo.append(lambda: gc.callbacks.remove(_on_gc))
    atexit.register(close)
    patch(os, "_exit", _before_exit)
    _go_on()


def _before_exit(original: Any) -> Any:
    """`os._exit` runs no exit handler: write down what happened, without a trailer, for it is no clean end."""

    def _exit(*args: Any, **kwargs: Any) -> Any:
        drain(time.perf_counter_ns() + HOLD_BACK_NS)
        return original(*args, **kwargs)

    return _exit


def _go_on() -> None:
    """Start the drain thread."""
    global _thread
    if _writer is not None:
        _leave_off.acquire(blocking=False)
        _thread = threading.Thread(target=_drain_for_ever, name="fwtui", daemon=True)
        _thread.start()


def _pause() -> None:
    """Stop the drain thread before a fork: the child must not inherit its locks, nor Python warn of a second thread."""
    ident = threading.get_ident()
    if _thread is None or _thread.ident == ident or not _thread.is_alive():
        return
    known = ident in threading._active  # type: ignore[attr-defined]
    _leave_off.release()
    _thread.join(1.0)
    if not known:
        # `join` made a stand-in for a thread that Python did not start: a child cannot end with that as its main one
        threading._active.pop(ident, None)  # type: ignore[attr-defined]


def _on_gc(
    phase: str,
    info: Dict[str, int],
    begin: Callable[[int], None] = lists[EVENT["gc_begin"]].append,
    end: Callable[[int], None] = lists[EVENT["gc_end"]].append,
    now: Callable[[], int] = time.perf_counter_ns,
) -> None:
    if info["generation"] and not _elsewhere():
        (begin if phase == "start" else end)(now())


def note_now(kind: str, **values: Any) -> None:
    """Note a slow fact and write it at once: before an import that may hold the GIL for seconds."""
    notes.note(kind, **values)
    with _lock:
        try:
            _write_notes()
        except Exception as error:  # the outermost guard, as in `_drain`
            _give_up(error)


def patch(owner: Any, name: str, make: Callable[[Any], Any]) -> Callable[[], None]:
    """Replace `owner.name` by `make(original)`; remembers, and returns, how to take it back."""
    original = getattr(owner, name)
    own = name in vars(owner)
    wrapper = make(original)
    with contextlib.suppress(AttributeError, TypeError):
        wrapper.__name__, wrapper.__qualname__, wrapper.__doc__ = name, original.__qualname__, original.__doc__
        wrapper.__module__, wrapper.__wrapped__ = original.__module__, original
    setattr(owner, name, wrapper)

    def restore() -> None:
        if own:
            setattr(owner, name, original)
        else:
            delattr(owner, name)

    undo.append(restore)
    return restore


def arm(name: str, hooks: Callable[[Any], None], module: Any) -> None:
    """Run one framework's hooking, or what a hook does beside logging; its failure is noted, leaves the program as it
    was, and is its end: it is not called again."""
    if (name, hooks) in _broken:
        return
    before = len(undo)
    try:
        hooks(module)
    except Exception as error:  # the outermost guard: whatever a strange version does, the program goes on
        _broken.add((name, hooks))
        for restore in reversed(undo[before:]):
            with contextlib.suppress(Exception):
                restore()
        del undo[before:]
        notes.hook_error(name, error)


def drain(now_ns: int) -> None:
    """Write down what happened so far, in the thread that trains."""
    if _lock.acquire(blocking=False):
        try:
            due[0] = now_ns + _period[0]
            _period[0] = min(DRAIN_NS, 2 * _period[0])
            _drain(now_ns - HOLD_BACK_NS)
        finally:
            _lock.release()


def _drain_for_ever() -> None:
    """Write down what no step's end did; on a shared file system all of it, since a write there may take long."""
    elsewhere = isinstance(_writer, AppendLogWriter)
    due[0] = NEVER if elsewhere else 0
    period_ns = DRAIN_ELSEWHERE_NS if elsewhere else DRAIN_NS
    while not _leave_off.acquire(timeout=period_ns / 1e9):
        now_ns = time.perf_counter_ns()
        if elsewhere or now_ns >= due[0]:
            with _lock:
                if not _drain(now_ns - HOLD_BACK_NS):
                    return
        from fwtui.guest import stack_signals, thread_stacks  # after the first events are on disk

        stack_signals.answer()
        thread_stacks.look()


def _drain(until_ns: int) -> bool:
    """Write what happened until a moment; whether recording goes on."""
    global _last_ns
    if _writer is None:
        return False
    number = len(words)
    if number:
        _held.extend(words[:number])
        del words[:number]
    for code, times in lists.items():
        number = len(times)
        if number:
            chunk = times[:number]
            del times[:number]
            _written[code] += number
            _held.extend([moment << CODE_BITS | code for moment in chunk])
    _held.sort()
    ready = bisect_right(_held, until_ns << CODE_BITS)
    try:
        if ready:
            _writer.append(_held[:ready])
            _last_ns = _held[ready - 1] >> CODE_BITS
            del _held[:ready]
        elif until_ns - _last_ns > QUIET_NS:
            lists[EVENT["guest_flush"]].append(until_ns + HOLD_BACK_NS)
        _write_notes()
    except Exception as error:  # the outermost guard: a full disk, or what no file can hold
        _give_up(error)
        return False
    return True


def _write_notes() -> None:
    if _rank_dir is not None:
        notes.write(_rank_dir)


def _give_up(error: Exception) -> None:
    """Nothing more can be written: say so in the header, take the hooks out, and let the program go on."""
    if _writer is not None:
        _writer.give_up()
    _report("recording stopped", error)
    _disarm()


def _report(what: str, error: BaseException) -> None:
    with contextlib.suppress(OSError), open(os.path.join(_lane_dir, "guest-error.txt"), "a") as file:
        file.write(f"{what}: {error}\n")


def _disarm() -> None:
    while undo:
        with contextlib.suppress(Exception):  # a module half torn down at exit must not matter
            undo.pop()()
    words.clear()
    for times in lists.values():
        times.clear()


def _leave() -> None:
    """In a forked child: take the hooks out; the log stays the parent's."""
    global _writer, _lock, _leave_off, header, _thread
    _lock, _leave_off, _thread = threading.Lock(), threading.Lock(), None
    _writer = None
    header = [0] * 16
    _held.clear()
    notes.pending.clear()
    _disarm()


def close() -> None:
    """Write the rest and set the trailer."""
    global _writer
    if _writer is None:
        return
    deep = sys.modules.get("fwtui.guest.deep_window")
    if deep is not None:
        deep.abandon()
    lists[EVENT["program_end"]].append(time.perf_counter_ns())
    with _lock:
        if _drain(time.perf_counter_ns() + 1) and _writer is not None:
            with contextlib.suppress(OSError):
                _writer.close()
        _writer = None


def code(name: str) -> int:
    """An event's code: what a hook adds to a shifted time."""
    return EVENT[name]


def span(begin: str, end: str) -> Tuple[Callable[[int], None], Callable[[int], None]]:
    """The two `append`s of a pair of events."""
    return recorder(begin), recorder(end)
