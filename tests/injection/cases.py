"""The injected faults: which program, which fault, and what must be found where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True)
class Case:
    """One run. `expected` is the code of the top finding; None: a clean twin, no finding above a note."""

    program: str
    fault: str
    expected: str | None
    line: bool = True
    """Whether the cause has a line that must be named."""
    environment: tuple[tuple[str, str], ...] = ()
    marker: str = ""
    """The comment that marks the line; the fault's own name by default."""
    neighbours: int = 0
    """Processes that burn a core each beside it."""
    second: str = ""
    """The fault of a second lane of the same program, for causes that only a pair shows."""
    launcher: str = ""
    """What starts the program, `python` by default."""
    options: tuple[str, ...] = ()
    """More options of the run."""

    @property
    def name(self) -> str:
        backend = dict(self.environment).get("KERAS_BACKEND")
        beside = f" beside {self.neighbours} busy processes" if self.neighbours else ""
        return f"{self.program}{f' on {backend}' if backend else ''}: {self.fault}{beside}"

    @property
    def path(self) -> Path:
        return PROGRAMS / f"{self.program}.py"

    @property
    def lines(self) -> set[int]:
        """The marked lines, 1-based."""
        mark = f"# LINE {self.marker or self.fault}"
        text = self.path.read_text().splitlines()
        return {number for number, line in enumerate(text, 1) if line.rstrip().endswith(mark)}


RANKS = "torchrun --standalone --nproc-per-node 2"
HANGS = ("--seconds", "63")
"""A lane hangs after a minute of silence: such a run must last longer."""
JAX = (("KERAS_BACKEND", "jax"),)
TORCH = (("KERAS_BACKEND", "torch"),)

FAULTS = (
    Case("torch_loop", "slow-callback", "slow-callback"),
    Case("torch_loop", "slow-callback-busy", "slow-callback"),
    Case("torch_in_memory", "slow-callback", "slow-callback"),
    Case("keras_fit", "slow-callback", "slow-callback"),
    Case("keras_fit", "slow-callback", "slow-callback", environment=JAX),
    Case("keras_fit", "slow-callback", "slow-callback", environment=TORCH),
    Case("tf_loop", "slow-callback", "slow-callback"),
    Case("jax_loop", "slow-callback", "slow-callback"),
    Case("tf_loop", "slow-callback-busy", "slow-callback"),
    Case("torch_loop", "input-bound", "input-bound"),
    Case("keras_fit", "input-bound", "input-bound"),
    Case("tf_loop", "input-bound", "input-bound"),
    Case("torch_loop", "per-sample-transform", "per-sample-transform"),
    Case("keras_fit", "per-sample-transform", "per-sample-transform"),
    Case("tf_loop", "per-sample-transform", "per-sample-transform"),
    Case("torch_loop", "no-prefetch", "no-prefetch"),
    Case("tf_loop", "no-prefetch", "no-prefetch"),
    Case("torch_loop", "worker-startup", "worker-startup"),
    Case("keras_fit", "worker-startup", "worker-startup", environment=TORCH),
    Case("torch_loop", "unfused-kernel", "unfused-kernel"),
    Case("keras_fit", "unfused-kernel", "unfused-kernel"),
    Case("torch_loop", "dispatch-bound", "dispatch-bound"),
    Case("keras_fit", "dispatch-bound", "dispatch-bound"),
    Case("tf_loop", "dispatch-bound", "dispatch-bound"),
    Case("torch_loop", "slow-optimizer", "slow-optimizer"),
    Case("tf_loop", "slow-optimizer", "slow-optimizer"),
    Case("torch_compiled", "graph-breaks", "graph-breaks"),
    Case("torch_compiled", "graph-breaks-value", "graph-breaks"),
    Case("torch_compiled", "retracing", "retracing"),
    Case("tf_loop", "retracing", "retracing"),
    Case("jax_loop", "retracing", "retracing"),
    Case("torch_compiled", "compile-in-timing", "compile-in-timing", line=False),
    Case("keras_fit", "compile-in-timing", "compile-in-timing", line=False),
    Case("torch_loop", "sync-every-step", "sync-every-step"),
    Case("torch_in_memory", "sync-every-step", "sync-every-step"),
    Case("keras_fit", "per-execution-overhead", "per-execution-overhead"),
    Case("keras_functional", "per-execution-overhead", "per-execution-overhead"),
    Case("torch_loop", "gc-pause", "gc-pause"),
    Case("keras_fit", "gc-pause", "gc-pause"),
    Case("tf_loop", "gc-pause", "gc-pause"),
    Case("jax_loop", "gc-pause", "gc-pause"),
    Case("torch_loop", "checkpoint-stall", "checkpoint-stall"),
    Case("keras_fit", "checkpoint-stall", "checkpoint-stall"),
    Case("tf_loop", "checkpoint-stall", "checkpoint-stall"),
    Case("torch_loop", "evaluation-stall", "evaluation-stall"),
    Case("keras_fit", "evaluation-stall", "evaluation-stall", marker="fit"),
    Case("torch_loop", "memory-growth", "memory-growth"),
    Case("keras_fit", "memory-growth", "memory-growth"),
    Case("tf_loop", "memory-growth", "memory-growth"),
    Case("torch_loop", "thread-oversubscription", "thread-oversubscription"),
    Case("keras_fit", "thread-oversubscription", "thread-oversubscription"),
    Case("tf_loop", "thread-oversubscription", "thread-oversubscription"),
    Case("torch_loop", "none", "cpu-starved", line=False, neighbours=6),
    Case("keras_fit", "none", "cpu-starved", line=False, neighbours=6),
    Case("torch_loop", "lane-crashed", "lane-crashed"),
    Case("tf_loop", "lane-crashed", "lane-crashed"),
    Case("keras_fit", "lane-crashed", "lane-crashed"),
    Case("torch_pair", "eager", "compiled-on-one-side", line=False, second="compiled"),
    Case("tf_pair", "eager", "compiled-on-one-side", line=False, second="compiled"),
    Case("torch_pair", "double", "precision-mismatch", line=False, second="single"),
    Case("keras_pair", "double", "precision-mismatch", line=False, second="single"),
    Case("torch_loop", "lane-hung", "lane-hung", options=HANGS),
    Case("tf_loop", "lane-hung", "lane-hung", options=HANGS),
    Case("torch_ranks", "straggler-data", "straggler-rank", launcher=RANKS),
    Case("torch_ranks", "straggler-callback", "straggler-rank", launcher=RANKS),
    Case("torch_pair", "nchw", "layout-mismatch", line=False, second="nhwc"),
    Case("torch_pair", "nchw-norm", "layout-mismatch", line=False, second="nhwc-norm"),
    Case("keras_functional", "nhwc", "layout-mismatch", line=False, second="nchw", environment=TORCH),
    Case("keras_pair", "wrapped", "backend-wrapper", line=False, second="plain", environment=TORCH),
    Case("keras_pair", "wrapped-deep", "backend-wrapper", line=False, second="plain-deep", environment=TORCH),
    Case("torch_pair", "small-batch", "unequal-work", line=False, second="single"),
    Case("keras_pair", "small-batch", "unequal-work", line=False, second="single"),
)

CLEAN = (
    Case("torch_loop", "none", None),
    Case("torch_in_memory", "none", None),
    Case("torch_compiled", "none", None),
    Case("keras_fit", "none", None),
    Case("keras_fit", "none", None, environment=JAX),
    Case("keras_fit", "none", None, environment=TORCH),
    Case("tf_loop", "none", None),
    Case("torch_loop", "workers", None),
    Case("torch_loop", "evaluates", None),
    Case("torch_loop", "logs", None),
    Case("torch_modes", "none", None),
    Case("torch_ranks", "none", None, launcher=RANKS),
    Case("lightning_fit", "none", None),
    Case("keras_fit", "evaluates", None),
    Case("keras_fit", "logs", None),
    Case("keras_functional", "modes", None),
    Case("tf_loop", "logs", None),
    Case("jax_loop", "none", None),
    Case("jax_loop", "logs", None),
    Case("torch_pair", "single", None, second="single"),
    Case("tf_pair", "compiled", None, second="compiled"),
    Case("keras_pair", "single", None, second="single"),
)
SAMPLE = ("torch_loop: slow-callback", "torch_loop: none")
"""What the default run of the tests makes of it."""
