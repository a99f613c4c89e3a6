from fwtui.library import Lane as Lane
from fwtui.library import Run as Run
from fwtui.library import RunError as RunError
from fwtui.library import StepTable as StepTable
from fwtui.library import open_run as open
from fwtui.library import run as run
from fwtui.recording.vocabulary import PHASE_NAMES as PHASES

__version__: str
__all__ = ["PHASES", "Lane", "Run", "RunError", "StepTable", "__version__", "open", "run"]
