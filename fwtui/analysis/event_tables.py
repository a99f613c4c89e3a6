"""What each event code means to the fold into steps, as tables that are looked up for whole arrays of codes."""

from __future__ import annotations

import numpy as np

from fwtui.recording.vocabulary import CODE_MASK, EVENT, EVENTS, PHASE_INDEX, SPANS


class Table:
    """A small value for each event code or span: `table[codes]`, of uint8, by translating bytes, the fastest way.

    Args:
        values: bool, int8 or uint8, by code.
    """

    def __init__(self, values: np.ndarray) -> None:
        padded = np.zeros(256, dtype=values.dtype)
        padded[: len(values)] = values
        self._bytes, self._dtype = padded.tobytes(), values.dtype

    def __getitem__(self, codes: np.ndarray) -> np.ndarray:
        assert codes.dtype == np.uint8
        return np.frombuffer(codes.tobytes().translate(self._bytes), dtype=self._dtype)


def codes_of(*names: str) -> np.ndarray:
    """Mask over event codes: true at the named ones."""
    mask = np.zeros(CODE_MASK + 1, dtype=bool)
    mask[[EVENT[name] for name in names]] = True
    return mask


def _weights(opens: str, closes: str) -> np.ndarray:
    """(codes,) 1 at one event, -1 at the other."""
    weights = np.zeros(CODE_MASK + 1, dtype=np.int8)
    weights[[EVENT[opens], EVENT[closes]]] = 1, -1
    return weights


NO_SPAN = len(SPANS)
_opens = np.full(CODE_MASK + 1, NO_SPAN, dtype=np.uint8)
_closes = _opens.copy()
OPENED_BY = np.zeros((CODE_MASK + 1, NO_SPAN + 1), dtype=np.int64)
"""(codes, spans + 1) by how much an event changes how often a span is open."""
for _event in EVENTS:
    if _event.opens:
        _opens[_event.code] = SPANS.index(_event.opens)
        OPENED_BY[_event.code, SPANS.index(_event.opens)] += 1
    if _event.closes:
        _closes[_event.code] = SPANS.index(_event.closes)
        OPENED_BY[_event.code, SPANS.index(_event.closes)] -= 1
OPENS, CLOSES = Table(_opens), Table(_closes)

SPAN_PHASE = Table(np.array([PHASE_INDEX.get(span, -1) for span in SPANS] + [-1], dtype=np.int8))
"""Phase of a span; -1 for the spans that are no phase, and for none."""
WAIT, DEEP, EVALUATION, COMPILING, BATCH = (
    SPANS.index(name) for name in ("wait", "deep", "evaluation", "compile", "batch")
)
IN_WINDOW = _weights("deep_open", "deep_closed")
IN_COMMUNICATION = _weights("communication_begin", "communication_end")
IN_DRAIN = _weights("drain_begin", "drain_end")
IN_CLOSURE = _weights("closure_begin", "closure_end")

_PRODUCES = codes_of("backward_begin", "optimizer_begin", "train_call_begin", "train_call_end")
UPDATE = Table(codes_of("optimizer_end", "update_skipped", "train_call_end"))
NEXT_UPDATE = Table(codes_of("optimizer_begin", "train_call_begin", "update_skipped", "new_optimizer"))
PRODUCTIVE = Table(_PRODUCES)
FETCH = Table(codes_of("data_begin", "loader_start_begin"))
FETCHED = Table(codes_of("data_end", "data_stop"))
FETCHES_NEXT = Table(codes_of("data_begin", "loader_start_begin", "wait_begin"))
"""After an update these say that what lay between was the loop's own code: logging, callbacks, saving."""
LEAVES = Table(
    codes_of(
        "data_begin", "loader_start_begin", "wait_begin", "evaluation_begin", "train_end", "epoch_end", "program_end"
    )
)
"""Where a step that made its update is over."""
STARTS = Table(
    codes_of("data_begin", "loader_start_begin", "train_begin", "batch_begin_enter", "step_begin") | _PRODUCES
)
_KINDS = ("data", "loader", "backward", "optimizer", "closure", "train", "batch", "callback", "epoch", "checkpoint")
STRUCTURE = Table(
    codes_of(
        *(event.name for event in EVENTS if event.name.split("_")[0] in _KINDS and event.name != "train_mode"),
        *("part_update", "step_begin", "step_end", "wait_begin", "evaluation_begin", "program_end", "update_skipped"),
        "call_begin",
    )
)
"""Events that tell what the unhooked time before them was for."""
