"""Whether the lanes' first losses agree, up to a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fwtui.analysis.numeric_parity import FirstLosses, numeric_parity
from fwtui.analysis.results import Parity

if TYPE_CHECKING:
    from fwtui.view.lane_log import LaneLog
    from fwtui.view.session import Session


def loss_parity(session: Session, at_ns: int) -> Parity | None:
    """The comparison of all lanes' first losses; None until two lanes have told theirs."""
    return numeric_parity([_first_losses(log, at_ns) for log in session.logs])


def _first_losses(log: LaneLog, at_ns: int) -> FirstLosses | None:
    noted = log.notes.first_losses
    if noted is None or noted[0] > at_ns:
        return None
    batch_size = log.facts.get("batch_size")
    return FirstLosses(noted[1], noted[2], str(log.facts.get("precision", "float32")), batch_size)
