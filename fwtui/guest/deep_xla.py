"""The profilers of TensorFlow and of JAX, and the XSpace that both write.

Sources: tsl/profiler/protobuf/xplane.proto and xla/service/hlo.proto, for the field numbers.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from typing import Any, Callable, Dict, Iterator, List, Optional, Set, Tuple

from fwtui.guest import agent
from fwtui.guest.deep_shares import Interval, innermost, table
from fwtui.guest.deep_window import StandsBack
from fwtui.guest.protobuf import fields, grouped, message, text

_OPERATION = re.compile(r"[^\s:]+:[A-Za-z_]\w*")
"""TensorFlow's own operations: `sequential/dense/MatMul:MatMul`."""
_INPUT_FUNCTION, _RUNS = "InstantiatedCapturedFunction::", "ExecutorState::Process"
"""A function of the input pipeline, and what runs a function's operations: told together by the same `id`."""
_INPUT_WAIT = "IteratorGetNextOp::"
_BUSY = "a profiler session of the program's own is open"


class Yields:
    """Stands in for a module of a framework during the window: who asks it for a session gets ours out of the way."""

    def __init__(self, module: Any, yield_to: Callable[[], None]) -> None:
        self._module, self._yield_to = module, yield_to

    def __getattr__(self, name: str) -> Any:
        if name == "ProfilerSession":
            self._yield_to()
        return getattr(self._module, name)


class TensorFlowProfiler:
    """`_pywrap_profiler.ProfilerSession`, in this process; its XSpace goes through a file, and away again."""

    how = "TensorFlow profiler"

    def __init__(self) -> None:
        from tensorflow.python.profiler.internal import _pywrap_profiler

        self._session = _pywrap_profiler.ProfilerSession()
        self._folder = os.path.join(str(agent.rank_dir()), "profile")

    def start(self) -> None:
        """Raises StandsBack when another session is open."""
        try:
            self._session.start(self._folder, {})
        except Exception as error:
            if "another profiling session" in str(error).lower() or "ALREADY_EXISTS" in str(error):
                raise StandsBack(_BUSY) from None
            raise

    def stop(self) -> None:
        session, self._session = self._session, None
        session.export_to_tb()

    def gives_way(self, yield_to: Callable[[], None]) -> Iterator[Tuple[Any, str, Any]]:
        """What to replace while the window is open."""
        module = sys.modules.get("tensorflow.python.profiler.profiler_v2")
        if module is not None:
            yield module, "_pywrap_profiler", Yields(module._pywrap_profiler, yield_to)

    def table(self) -> Dict[str, Any]:
        """The operations of the window."""
        data = b""
        try:
            for folder, _, names in os.walk(self._folder):
                for name in names:
                    if name.endswith(".xplane.pb"):
                        with open(os.path.join(folder, name), "rb") as file:
                            data = file.read()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        return read_xspace(data)


class JaxProfiler:
    """jaxlib's `ProfilerSession`, in this process; its XSpace stays in memory."""

    how = "JAX profiler"

    def __init__(self) -> None:
        import jax._src.profiler as module

        self._module = module
        self._binding = getattr(module, "_profiler", None) or module.xla_client.profiler
        self._session: Any = None
        self._data = b""

    def start(self) -> None:
        """Raises StandsBack when another session is open."""
        options = self._binding.ProfileOptions()
        options.python_tracer_level = 0
        try:
            self._session = self._binding.ProfilerSession(options)
        except Exception as error:
            if "another profiling session" in str(error).lower() or "ALREADY_EXISTS" in str(error):
                raise StandsBack(_BUSY) from None
            raise

    def stop(self) -> None:
        session, self._session = self._session, None
        self._data = session.stop()

    def gives_way(self, yield_to: Callable[[], None]) -> Iterator[Tuple[Any, str, Any]]:
        """What to replace while the window is open."""
        if hasattr(self._module, "_profiler"):
            yield self._module, "_profiler", Yields(self._binding, yield_to)

    def table(self) -> Dict[str, Any]:
        """The operations of the window."""
        return read_xspace(self._data)


def read_xspace(data: bytes) -> Dict[str, Any]:
    """The operations in an XSpace, in wall time.

    Raises:
        ValueError: it is none.
        IndexError: it is cut short.
    """
    planes = [Plane(message(value)) for number, value in fields(data) if number == 1]
    devices = [plane for plane in planes if plane.name.startswith("/device:GPU")]
    names = {plane.name: plane for plane in planes}
    modules = HloNames(names.get("/host:metadata"))
    intervals: List[Interval] = []
    for plane in devices or [plane for plane in planes if plane.name.startswith("/host:CPU")]:
        lines = [grouped(line) for line in plane.lines]
        pipeline = {identity for line in lines for identity in _identities(plane, line, _INPUT_FUNCTION)}
        for line in lines:
            intervals += _operations(plane, line, modules, pipeline)
    return {**table(intervals, 1e-3), "xla": modules.used}


class Plane:
    """One XPlane: its lines, and the names that its events refer to by number."""

    def __init__(self, data: bytes) -> None:
        parts = grouped(data)
        self.name = text(parts.get(2, [b""])[0])
        self.lines = [message(line) for line in parts.get(3, [])]
        self.events: Dict[int, Dict[int, List[Any]]] = {}
        self.stats: Dict[int, str] = {}
        for entry in parts.get(4, []):
            pair = grouped(message(entry))
            self.events[_number(pair, 1)] = grouped(message(pair.get(2, [b""])[0]))
        for entry in parts.get(5, []):
            pair = grouped(message(entry))
            self.stats[_number(pair, 1)] = text(grouped(message(pair.get(2, [b""])[0])).get(2, [b""])[0])

    def event_name(self, number: int) -> str:
        parts = self.events.get(number, {})
        return text(parts.get(2, [b""])[0])

    def values(self, stats: List[Any]) -> Dict[str, Any]:
        """An event's stats by name; a reference is resolved."""
        found: Dict[str, Any] = {}
        for stat in stats:
            parts = grouped(message(stat))
            name = self.stats.get(_number(parts, 1), "")
            for number in (3, 4, 5, 7):
                if number in parts:
                    value = parts[number][0]
                    found[name] = self.stats.get(_whole(value), "") if number == 7 else text(value) or value
        return found


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _number(parts: Dict[int, List[Any]], field: int) -> int:
    return int(parts.get(field, [0])[0])


Line = Dict[int, List[Any]]


def _identities(plane: Plane, line: Line, kind: str) -> Iterator[Any]:
    """The `id`s of a line's events of one kind."""
    wanted = {number for number in plane.events if plane.event_name(number).startswith(kind)}
    for event in line.get(4, []) if wanted else []:
        parts = grouped(message(event))
        if _number(parts, 1) in wanted:
            yield plane.values(parts.get(4, [])).get("id")


def _operations(plane: Plane, line: Line, modules: "HloNames", pipeline: Set[Any]) -> List[Interval]:
    """The operations of a thread, or of a device's stream, the innermost where they nest; the pipeline's are left out:
    they run ahead of the step, and what the step waits for them is told by its wait for the iterator.
    """
    if plane.name.startswith("/device") and not text(line.get(2, [b""])[0]).startswith("Stream"):
        return []  # the same kernels again, by module or by scope
    start_ps = _number(line, 3) * 1000
    found: List[Interval] = []
    contexts: List[Tuple[int, int]] = []
    for event in line.get(4, []):
        parts = grouped(message(event))
        name = plane.event_name(_number(parts, 1))
        start = start_ps + _number(parts, 2)
        end = start + _number(parts, 3)
        if pipeline and name.startswith(_RUNS) and plane.values(parts.get(4, [])).get("id") in pipeline:
            contexts.append((start, end))
        key = _key(plane, name, parts, modules)
        if key is not None:
            found.append(Interval(start, end, key))
    return innermost([span for span in found if not any(a <= span.start and span.end <= b for a, b in contexts)])


def _key(plane: Plane, name: str, parts: Dict[int, List[Any]], modules: "HloNames") -> Optional[Tuple[str, str, str]]:
    """(name, kind, group) of an event that is an operation; None of any other."""
    if name.startswith(_INPUT_WAIT):
        return "IteratorGetNext", "IteratorGetNext", "input"
    if _OPERATION.fullmatch(name):
        path, _, kind = name.rpartition(":")
        if kind == "IteratorGetNext":
            return None  # told by its wait above
        return path.replace("StatefulPartitionedCall/", ""), kind, ""
    if "::" in name or " " in name or 4 not in parts:
        return None
    stats = plane.values(parts[4])
    if stats.get("hlo_op"):
        return (
            modules.operation(str(stats.get("hlo_module", "")), stats.get("program_id"), str(stats["hlo_op"])),
            str(stats["hlo_op"]),
            "",
        )
    if stats.get("tf_op"):
        path, _, kind = str(stats["tf_op"]).rpartition(":")
        return path, kind or name, ""
    return (name, "kernel", "") if plane.name.startswith("/device") else None


class HloNames:
    """Which operation of the program an XLA instruction came from, by the HLO that the profiler keeps."""

    def __init__(self, plane: Optional[Plane]) -> None:
        self._protos: Dict[str, bytes] = {}
        self._names: Dict[str, Dict[str, str]] = {}
        self.used = False
        for parts in (plane.events if plane else {}).values():
            for stat in parts.get(5, []):
                value = grouped(message(stat)).get(6)
                if value:
                    self._protos[text(parts.get(2, [b""])[0])] = message(value[0])

    def operation(self, module: str, program: Any, instruction: str) -> str:
        """The operation's full name; empty when the HLO does not tell."""
        self.used = True
        for name in (f"{module}({program})", f"{module}(0)", module):
            if name in self._protos and name not in self._names:
                self._names[name] = dict(_instructions(self._protos[name]))
            if name in self._names:
                return self._names[name].get(instruction, "")
        return ""


def _instructions(proto: bytes) -> Iterator[Tuple[str, str]]:
    """(instruction, operation name) of all instructions; a fusion without a name takes the commonest one inside it."""
    module = grouped(message(grouped(proto).get(1, [b""])[0]))
    inside: Dict[int, List[str]] = {}
    nameless: List[Tuple[str, Set[int]]] = []
    for value in module.get(3, []):
        computation = grouped(message(value))
        names = inside.setdefault(_number(computation, 5), [])
        for instruction in computation.get(2, []):
            parts = grouped(message(instruction))
            own = text(grouped(message(parts.get(7, [b""])[0])).get(2, [b""])[0])
            if own:
                names.append(own)
                yield text(parts[1][0]), own
            else:
                nameless.append((text(parts[1][0]), _called(parts.get(38, []))))
    for name, called in nameless:
        found = [operation for number in called for operation in inside.get(number, [])]
        if found:
            yield name, max(set(found), key=found.count)


def _called(values: List[Any]) -> Set[int]:
    """The computations that an instruction calls: a repeated number, packed or not."""
    found: Set[int] = set()
    for value in values:
        if isinstance(value, int):
            found.add(value)
            continue
        number = shift = 0
        for byte in value:
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                found.add(number)
                number = shift = 0
    return found
