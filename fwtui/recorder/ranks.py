"""The recorder's hand and eye on the ranks of a lane: the turn byte, who waits, who has made a step."""

from __future__ import annotations

import array
import time
from pathlib import Path

from fwtui.recorder import processes
from fwtui.recording.event_log import EventLogError, EventLogReader, NoGateError, TurnGate
from fwtui.recording.run_folder import EVENTS, RunFolder
from fwtui.recording.vocabulary import CODE_MASK, EVENT

BOUNDARIES = frozenset(
    EVENT[name] for name in ("optimizer_end", "train_call_end", "batch_end_exit", "step_end", "wait_begin")
)
"""Events that tell that a lane has come to its training."""
STRAGGLERS_S = 0.3
"""A rank that waits this long holds the others in their next collective: the lane stands."""
_PLENTY_WORDS = 4000
"""So many events in one turn hold enough steps, whatever the program."""


class Rank:
    """One rank's event log, opened for its gate.

    Raises:
        EventLogError: the file is no event log (yet).
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.number = rank_number(path)
        self.gate = TurnGate(str(path / EVENTS))
        self._log = EventLogReader(str(path / EVENTS))
        self.pid = self.thread = self._log.pid
        """The process, and the kernel's number of the thread that trains: the sampler's thread reads them, too."""
        self.stepped = False
        self.waits_since: float | None = None
        self._turn_steps = 0

    def look(self) -> None:
        """Note whether it waits, and whether it has come to a step yet."""
        self.gate.tick()
        self.thread = self.gate.thread or self.pid
        if not self.gate.waiting:
            self.waits_since = None
        elif self.waits_since is None:
            self.waits_since = time.monotonic()
        if self.waits_since is not None:
            self.stepped = True
        if not self.stepped:
            words = array.array("Q", self._log.read_new(1 << 14))
            self.stepped = any(word & CODE_MASK in BOUNDARIES for word in words)

    def begin_turn(self) -> None:
        """Steps are counted from here on."""
        self._turn_steps = 0
        self._log.read_new()

    def turn_steps(self) -> int:
        """Ends of steps, about, that were published since the turn began; Keras tells each twice."""
        words = array.array("Q", self._log.read_new())
        if len(words) > _PLENTY_WORDS:
            self._turn_steps += _PLENTY_WORDS
        else:
            self._turn_steps += sum(word & CODE_MASK in BOUNDARIES for word in words)
        return self._turn_steps

    def close(self) -> None:
        self.gate.close()
        self._log.close()


class Ranks:
    """All ranks of a lane, found as they appear."""

    def __init__(self, folder: RunFolder, lane: str) -> None:
        self._folder = folder
        self._lane = lane
        self._ranks: dict[Path, Rank] = {}
        """Replaced, never changed: the sampler's thread looks at it, too."""
        self._elsewhere: set[Path] = set()
        """Ranks of other hosts: they have no gate, and need none, since they wait for ours in their collectives."""
        self._gate: int | None = None
        self._searched_s = 0.0
        self.gone: list[dict[str, int]] = []
        """Ranks whose process ended, in that order: `rank`, and `t` in ns when that was seen."""

    def look(self) -> None:
        """Search for new ranks ten times a second, and look at each."""
        now = time.monotonic()
        if now - self._searched_s > 0.1:
            self._searched_s = now
            for path in self._folder.ranks(self._lane):
                if path not in self._ranks and path not in self._elsewhere:
                    self._open(path)
        for rank in self._ranks.values():
            rank.look()
        if len(self._ranks) > 1:
            self.look_for_gone()

    def look_for_gone(self) -> None:
        """Note which processes have ended: the first one tells why a launcher ends the others."""
        known = {row["rank"] for row in self.gone}
        for rank in self._ranks.values():
            if rank.number not in known and processes.gone(rank.pid):
                self.gone.append({"rank": rank.number, "t": time.perf_counter_ns()})

    def _open(self, path: Path) -> None:
        try:
            rank = Rank(path)
        except NoGateError:
            self._elsewhere.add(path)
            return
        except (EventLogError, OSError):
            return  # not written yet; it is looked for again
        if self._gate is not None:
            rank.gate.set(self._gate)
        self._ranks = {**self._ranks, path: rank}

    def set(self, gate: int) -> None:
        """Publish GATE_GO, GATE_HOLD or GATE_FINISH to all ranks, those to come included."""
        self._gate = gate
        for rank in self._ranks.values():
            rank.gate.set(gate)

    def begin_on(self, core: int | None) -> None:
        """The core on which a lane of one rank begins its next turn; several ranks find their own."""
        for rank in self._ranks.values():
            rank.gate.begin_on(core if len(self._ranks) == 1 else None)

    def ask_deep(self) -> bool:
        """Ask the first rank for a profiler window; whether there is a rank, and none is open."""
        first = next(iter(self._ranks.values()), None)
        if first is None or first.gate.asked_deep:
            return False
        first.gate.ask_deep()
        return True

    def begin_turn(self) -> None:
        """The lane has the machine from here on."""
        for rank in list(self._ranks.values())[:1]:
            rank.begin_turn()

    def turn_steps(self) -> int:
        """Ends of steps, about, in this turn; ranks step together, so the first tells for all."""
        return max((rank.turn_steps() for rank in list(self._ranks.values())[:1]), default=0)

    @property
    def known(self) -> bool:
        """Whether any rank has a log."""
        return bool(self._ranks)

    @property
    def stepped(self) -> bool:
        """Whether every known rank has come to its first step."""
        return self.known and all(rank.stepped for rank in self._ranks.values())

    @property
    def waiting(self) -> bool:
        """Whether the lane stands at its gate."""
        since = [rank.waits_since for rank in self._ranks.values()]
        standing = [moment for moment in since if moment is not None]
        if not standing:
            return False
        return len(standing) == len(since) or time.monotonic() - min(standing) > STRAGGLERS_S

    @property
    def pid(self) -> int | None:
        """The process of the first rank."""
        return next((rank.pid for rank in self._ranks.values()), None)

    @property
    def thread(self) -> int | None:
        """The kernel's number of the thread that trains, of the first rank."""
        return next((rank.thread for rank in self._ranks.values()), None)

    def close(self) -> None:
        for rank in self._ranks.values():
            rank.close()
        self._ranks = {}


def rank_number(path: Path) -> int:
    """The rank that a folder such as `rank-3` or `rank-3.4711` is of."""
    digits = path.name.split("-", 1)[-1].split(".")[0]
    return int(digits) if digits.isdigit() else 0
