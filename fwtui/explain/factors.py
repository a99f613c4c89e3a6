"""The table of factors: what can be changed about a lane to test a cause, and what to change in the code if it counts.

A factor changes a built-in lane by its options, any lane by its environment, and a user's script by a hook of the guest
(`fwtui.guest.changes`, told by FWTUI_CHANGE). Adding a row is all that a new factor needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

Value = bool | int | str


class Factor(NamedTuple):
    """One row."""

    name: str
    code: str
    """The finding's code that the cause has."""
    cause: str
    """What is tested: the sentence says `71 % of the gap is …`."""
    change: str
    """The change to make in the user's code."""
    frameworks: tuple[str, ...] = ("torch", "keras", "tensorflow")
    sets: Mapping[str, Value] = {}
    """Lane options that the changed lane gets; one of them must be new to the lane, or of another value there."""
    drops: tuple[str, ...] = ()
    """Lane options that the changed lane loses; the lane must have one of them."""
    env: Mapping[str, str] = {}
    """Environment of the changed lane; `{cores}` is the number of cores."""
    hook: str = ""
    """What FWTUI_CHANGE tells the guest."""
    fix: bool = True
    """Whether one would keep the change; else it only measures what something costs."""
    worth: float = 0.1
    """Share of a gap that it is expected to explain when nothing speaks for it."""
    needs: tuple[str, ...] = ()
    """Names of rules in `plan.NEEDS` that must hold."""
    findings: tuple[str, ...] = ()
    """Other findings that speak for it, besides its own code."""

    @property
    def kind(self) -> str:
        """By what means the lane is changed."""
        return "hook" if self.hook else "environment" if self.env else "option"


_CALLBACKS = "do the callback's work every N batches, or at the epoch's end"
_BATCHES = "load ahead, or slice whole batches from memory (torch: tensors[order[i:i+B]]; tf.data: cache().prefetch())"
_TORCH_COMPILE = "model = torch.compile(model)"
_EXECUTION = "compile(steps_per_execution=32)"
_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "67108864",
}

FACTORS: tuple[Factor, ...] = (
    # What a lane was given on its command line and the other was not: the first suspects.
    Factor("no-callback", "slow-callback", "the callback's work in every step", _CALLBACKS, drops=("callback_ms",)),
    Factor(
        "graph",
        "dispatch-bound",
        "dispatching operation by operation instead of running a graph",
        "keras: run_eagerly=False in compile(); TensorFlow: @tf.function on the train step",
        frameworks=("keras", "tensorflow"),
        drops=("eager",),
    ),
    Factor(
        "batched-transform",
        "per-sample-transform",
        "the transform of every single sample in Python",
        "transform whole batches, or once before the training",
        drops=("per_sample",),
        findings=("input-bound",),
    ),
    Factor(
        "all-threads", "thread-setting", "the number of threads", "leave the thread count alone", drops=("threads",)
    ),
    Factor("usual-batch", "small-batch", "the batch size", "train with the usual batch size", drops=("batch_size",)),
    Factor(
        "usual-precision",
        "precision-mismatch",
        "the precision",
        "use the same precision",
        drops=("precision",),
        worth=0.2,
    ),
    Factor("usual-layout", "layout-mismatch", "the memory layout", "use the same memory layout", drops=("layout",)),
    Factor(
        "usual-optimizer",
        "slow-optimizer",
        "the optimizer's implementation",
        "leave foreach and fused alone",
        frameworks=("torch",),
        drops=("optimizer_impl",),
    ),
    Factor(
        "no-workers",
        "worker-startup",
        "handing batches over from worker processes",
        "DataLoader(num_workers=0)",
        frameworks=("torch",),
        drops=("workers",),
    ),
    Factor(
        "tensorflow-backend",
        "backend-wrapper",
        "Keras on this backend instead of on TensorFlow",
        "KERAS_BACKEND=tensorflow",
        frameworks=("keras",),
        drops=("backend",),
        worth=0.3,
    ),
    # What a framework offers to go faster.
    Factor(
        "torch-compile",
        "dispatch-bound",
        "dispatching operation by operation instead of compiled code",
        _TORCH_COMPILE,
        frameworks=("torch",),
        sets={"compile": True},
        worth=0.3,
    ),
    Factor(
        "steps-per-execution",
        "per-execution-overhead",
        "the fixed cost of `fit` in every step",
        _EXECUTION,
        frameworks=("keras",),
        sets={"steps_per_execution": 32},
        worth=0.5,
        needs=("not eager", "not on torch"),
    ),
    Factor(
        "jit",
        "unfused-kernel",
        "running kernel by kernel instead of fused by XLA",
        "jit_compile=True (Keras: in compile(); TensorFlow: in tf.function)",
        frameworks=("keras", "tensorflow"),
        sets={"jit": True},
        worth=0.25,
        needs=("not eager", "not on torch"),
    ),
    Factor(
        "in-memory",
        "input-bound",
        "the input pipeline",
        _BATCHES,
        sets={"in_memory": True},
        fix=False,
        worth=0.35,
        findings=("no-prefetch", "per-sample-transform"),
    ),
    Factor(
        "workers",
        "no-prefetch",
        "loading in the training's own thread",
        "DataLoader(num_workers=2, persistent_workers=True)",
        frameworks=("torch",),
        sets={"workers": 2},
        worth=0.1,
        findings=("input-bound",),
    ),
    Factor(
        "fused-optimizer",
        "slow-optimizer",
        "the update in many small kernels",
        "torch.optim.Adam(..., fused=True)",
        frameworks=("torch",),
        sets={"optimizer_impl": "fused"},
        worth=0.2,
    ),
    Factor(
        "channels-last",
        "layout-mismatch",
        "the memory layout of images",
        "model.to(memory_format=torch.channels_last), inputs too",
        frameworks=("torch",),
        sets={"layout": "nhwc"},
        worth=0.15,
        needs=("images",),
    ),
    Factor(
        "one-thread",
        "thread-oversubscription",
        "threads that get in each other's way",
        "torch.set_num_threads(1); tf.config.threading.set_intra_op_parallelism_threads(1)",
        sets={"threads": 1},
        worth=0.12,
        needs=("several cores",),
    ),
    Factor(
        "torch-backend",
        "backend-wrapper",
        "Keras on TensorFlow instead of on torch",
        "KERAS_BACKEND=torch",
        frameworks=("keras",),
        sets={"backend": "torch"},
        worth=0.08,
        needs=("not eager",),
    ),
    Factor(
        "jax-backend",
        "backend-wrapper",
        "Keras on TensorFlow instead of on JAX",
        "KERAS_BACKEND=jax",
        frameworks=("keras",),
        sets={"backend": "jax"},
        worth=0.07,
        needs=("not eager",),
    ),
    Factor(
        "bf16",
        "precision-mismatch",
        "computing in float32",
        "mixed precision with bfloat16",
        sets={"precision": "mixed_bf16"},
        worth=0.02,
        needs=("gpu",),
    ),
    # For any lane, from outside.
    Factor(
        "allocator",
        "allocator",
        "memory going back to the system and coming again in every step",
        "MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=4294967296 in the environment, or jemalloc",
        env=_ALLOCATOR,
        worth=0.06,
        needs=("glibc",),
    ),
    # For users' scripts, from outside.
    Factor(
        "env-all-threads",
        "thread-setting",
        "the number of threads",
        "OMP_NUM_THREADS and TF_NUM_INTRAOP_THREADS: as many as there are cores",
        env={"OMP_NUM_THREADS": "{cores}", "MKL_NUM_THREADS": "{cores}", "TF_NUM_INTRAOP_THREADS": "{cores}"},
        worth=0.3,
        needs=("script", "few threads"),
    ),
    Factor(
        "env-one-thread",
        "thread-oversubscription",
        "threads that get in each other's way",
        "OMP_NUM_THREADS=1, or torch.set_num_threads(1)",
        env={"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"},
        worth=0.12,
        needs=("script", "several threads"),
    ),
    Factor(
        "hook-no-callbacks",
        "slow-callback",
        "the callbacks given to fit()",
        _CALLBACKS,
        frameworks=("keras",),
        hook="no_callbacks",
        fix=False,
        worth=0.3,
        needs=("script",),
    ),
    Factor(
        "hook-graph",
        "dispatch-bound",
        "dispatching operation by operation instead of running a graph",
        "compile(run_eagerly=False)",
        frameworks=("keras",),
        hook="graph",
        worth=0.5,
        needs=("script", "eager"),
    ),
    Factor(
        "hook-torch-compile",
        "dispatch-bound",
        "dispatching operation by operation instead of compiled code",
        _TORCH_COMPILE,
        frameworks=("torch",),
        hook="torch_compile",
        worth=0.3,
        needs=("script", "not compiled"),
    ),
    Factor(
        "hook-steps-per-execution",
        "per-execution-overhead",
        "the fixed cost of `fit` in every step",
        _EXECUTION,
        frameworks=("keras",),
        hook="steps_per_execution=32",
        worth=0.45,
        needs=("script", "not eager", "not on torch", "one step an execution"),
    ),
    Factor(
        "hook-jit",
        "unfused-kernel",
        "running kernel by kernel instead of fused by XLA",
        "compile(jit_compile=True)",
        frameworks=("keras",),
        hook="jit",
        worth=0.2,
        needs=("script", "not eager", "not on torch", "no XLA"),
    ),
    Factor(
        "hook-replay-data",
        "input-bound",
        "the input pipeline",
        _BATCHES,
        hook="replay_data=16",
        fix=False,
        worth=0.35,
        needs=("script",),
        findings=("no-prefetch", "per-sample-transform", "worker-startup"),
    ),
)
FACTOR = {factor.name: factor for factor in FACTORS}

SWEEP = Factor(
    "batch-sizes",
    "per-execution-overhead",
    "the fixed cost of a step, whatever its batch size",
    "larger batches, or several steps in one call (Keras: steps_per_execution)",
    sets={"batch_size": 0},
    fix=False,
    worth=0.3,
)
"""Not one changed lane but a line through both lanes' step times at several batch sizes."""

Facts = Mapping[str, Any]
