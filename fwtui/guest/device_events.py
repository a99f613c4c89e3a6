"""Device time beside host time, from pooled events that are queried later and never waited for.

At each sampled step an event is put into the device's stream at the step's marks. Once the last of them has passed, the
times between them are known; until then nobody asks for them. Few samples are in flight at a time, and what the device
does not come to in time is given up, so that memory stays bounded.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional

MARKS = ("begin", "backward_begin", "backward_end", "optimizer_begin", "end")
PHASES = {
    "forward": ("begin", "backward_begin"),
    "backward": ("backward_begin", "backward_end"),
    "optimizer": ("optimizer_begin", "end"),
    "step": ("begin", "end"),
}
"""Device time between two marks. Up to `backward_begin` it holds whatever comes before it, copies and data included."""
EVERY = 10
IN_FLIGHT = 16
KEEP = 200


class DeviceTimes:
    """Samples one step in ten.

    Args:
        make_event: makes an event with `record()`, `query()` and `elapsed_time(other)`, as `torch.cuda.Event` has.
        may_record: whether an event may be put into the stream now; not while a CUDA graph is being captured.
    """

    def __init__(self, make_event: Callable[[], Any], may_record: Callable[[], bool]) -> None:
        self._make_event, self._may_record = make_event, may_record
        self._pool: List[Any] = []
        self._open: Optional[Dict[str, Any]] = None
        self._waiting: Deque[Dict[str, Any]] = deque()
        self._steps = 0
        self.samples: Dict[str, Deque[float]] = {phase: deque(maxlen=KEEP) for phase in PHASES}
        """Device ms by phase."""
        self.keeps_up: Deque[bool] = deque(maxlen=KEEP)
        """Whether the device had come to the optimizer by the time that the host had asked for all of it."""
        self.given_up = 0

    def mark(self, name: str) -> None:
        """The host is at a mark of the step; costs an event where the step is sampled, else nothing."""
        if name == "end":
            self._end()
        elif self._open is not None and name not in self._open:
            self._record(name)

    def _end(self) -> None:
        if self._open is not None:
            self._record("end")
            self._finish(self._open)
            self._open = None
        self._steps += 1
        if self._steps % EVERY == 0 and self._may_record():
            self._open = {}
            self._record("begin")
        if self._waiting and self._may_record():  # a query, too, may end the capture of a graph
            self._resolve()

    def _record(self, name: str) -> None:
        if self._open is None:
            return
        if not self._may_record():
            self._release(self._open)
            self._open = None
            return
        event = self._pool.pop() if self._pool else self._make_event()
        event.record()
        self._open[name] = event

    def _finish(self, sample: Dict[str, Any]) -> None:
        if set(sample) != set(MARKS):
            self._release(sample)  # no backward pass, say
            return
        self.keeps_up.append(bool(sample["optimizer_begin"].query()))
        self._waiting.append(sample)
        if len(self._waiting) > IN_FLIGHT:
            self.given_up += 1
            self._release(self._waiting.popleft())

    def _resolve(self) -> None:
        """Read the samples that the device is done with; in a stream the oldest is done first."""
        while self._waiting and self._waiting[0]["end"].query():
            sample = self._waiting.popleft()
            for phase, (begin, end) in PHASES.items():
                self.samples[phase].append(float(sample[begin].elapsed_time(sample[end])))
            self._release(sample)

    def _release(self, sample: Dict[str, Any]) -> None:
        self._pool.extend(sample.values())

    def facts(self) -> Dict[str, Any]:
        """What `facts.json` holds of it; empty before anything is known."""
        if not self.samples["step"]:
            return {}
        return {
            "device_ms": {phase: round(_median(times), 4) for phase, times in self.samples.items()},
            "device_keeps_up": round(sum(self.keeps_up) / max(1, len(self.keeps_up)), 3),
            "device_samples": len(self.samples["step"]),
        }


def _median(values: Any) -> float:
    ordered = sorted(values)
    return float(ordered[len(ordered) // 2])
