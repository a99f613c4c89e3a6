"""The shared tables: phases, events and hardware metrics.

Everything that the guest writes, the analysis folds and the screen draws is named here once. Standard library only:
the guest imports this module inside somebody else's interpreter.
"""

from __future__ import annotations

from typing import NamedTuple, Optional


class Phase(NamedTuple):
    """Where a part of a step's time went."""

    name: str
    short: str
    """At most four characters, for a narrow phase bar."""
    letter: str
    """One letter, for the `why` row and for screens without colour."""
    meaning: str


PHASES = (
    Phase("data", "data", "D", "waiting for the next batch"),
    Phase("transfer", "h2d", "H", "copying the batch to the device"),
    Phase("forward", "fwd", "F", "the forward pass and the loss"),
    Phase("backward", "bwd", "B", "the backward pass"),
    Phase("optimizer", "opt", "O", "the optimizer's update"),
    Phase("compute", "comp", "X", "a fused step that cannot be told apart from outside"),
    Phase("sync", "sync", "S", "waiting for a value to reach the host"),
    Phase("compile", "jit", "J", "tracing or compiling"),
    Phase("callbacks", "call", "C", "callbacks and logging of the training loop"),
    Phase("gc", "gc", "G", "Python's garbage collector"),
    Phase("unexplained", "?", "?", "inside the step, seen by no hook"),
)
PHASE_NAMES = tuple(phase.name for phase in PHASES)
PHASE_INDEX = {name: index for index, name in enumerate(PHASE_NAMES)}


SPANS = (
    "wait",
    "deep",
    "evaluation",
    "gc",
    "compile",
    "sync",
    "transfer",
    "optimizer",
    "backward",
    "data",
    "callbacks",
    "forward",
    "compute",
    "batch",
)
"""What can be open at a moment, strongest first: where several are open, the first one gets the time.

`wait` (not this lane's turn), `deep` (a profiler starts or stops) and `evaluation` are no phases: their time belongs to
no step. `batch` is Keras's own
batch; time in it that nothing else explains is a fused step's `compute` when no backward pass is seen in it.
"""


class Event(NamedTuple):
    """One thing a hook can note on the hot path; `opens` and `closes` name a span."""

    code: int
    name: str
    opens: Optional[str]
    closes: Optional[str]
    meaning: str


EVENTS = (
    Event(1, "data_begin", "data", None, "the program asks its loader for a batch"),
    Event(2, "data_end", None, "data", "the batch is here"),
    Event(3, "data_stop", None, "data", "the loader is exhausted"),
    Event(4, "loader_start_begin", "data", None, "an iterator is made: workers start here"),
    Event(5, "loader_start_end", None, "data", "the iterator exists"),
    Event(6, "transfer_begin", "transfer", None, "a copy between host and device is asked for"),
    Event(7, "transfer_end", None, "transfer", "the call that asked for it returned"),
    Event(8, "forward_begin", "forward", None, "an explicit forward pass (mark.phase)"),
    Event(9, "forward_end", None, "forward", ""),
    Event(10, "backward_begin", "backward", None, "autograd's engine starts"),
    Event(11, "backward_end", None, "backward", ""),
    Event(12, "optimizer_begin", "optimizer", None, "an optimizer's step or apply"),
    Event(13, "optimizer_end", None, "optimizer", "one update is done"),
    Event(14, "update_skipped", None, None, "an update that was due and skipped (GradScaler met an inf)"),
    Event(15, "sync_begin", "sync", None, "the host asks for a value"),
    Event(16, "sync_end", None, "sync", ""),
    Event(17, "compile_begin", "compile", None, "a trace or a compilation starts"),
    Event(18, "compile_end", None, "compile", ""),
    Event(19, "gc_begin", "gc", None, ""),
    Event(20, "gc_end", None, "gc", ""),
    Event(21, "train_call_begin", "compute", None, "a compiled function that trains is called"),
    Event(22, "train_call_end", None, "compute", "it returned: one update is done"),
    Event(23, "call_begin", "compute", None, "a compiled function that does not train is called"),
    Event(24, "call_end", None, "compute", ""),
    Event(25, "batch_begin_enter", "callbacks", None, "Keras: on_train_batch_begin is entered"),
    Event(26, "batch_begin_exit", "batch", "callbacks", "Keras: the batch's own work starts"),
    Event(27, "batch_end_enter", "callbacks", "batch", "Keras: on_train_batch_end is entered"),
    Event(28, "batch_end_exit", None, "callbacks", "Keras: the step is over"),
    Event(29, "callback_begin", "callbacks", None, "other callbacks: an epoch's or the training's begin or end"),
    Event(30, "callback_end", None, "callbacks", ""),
    Event(31, "epoch_begin", None, None, ""),
    Event(32, "epoch_end", None, None, ""),
    Event(33, "evaluation_begin", "evaluation", None, "validation or test starts"),
    Event(34, "evaluation_end", None, "evaluation", ""),
    Event(35, "step_begin", None, None, "an explicit step (mark.step)"),
    Event(36, "step_end", None, None, "an explicit step is over"),
    Event(37, "wait_begin", "wait", None, "the turn gate holds the lane"),
    Event(38, "wait_end", None, "wait", "the lane has the machine again"),
    Event(39, "train_begin", None, None, "a training loop starts"),
    Event(40, "train_end", None, None, "a training loop is over"),
    Event(41, "program_begin", None, None, "the guest is armed: the user's program starts"),
    Event(42, "program_end", None, None, "the interpreter is about to exit"),
    Event(44, "more_updates", None, None, "one more update in this Keras execution (steps_per_execution)"),
    Event(57, "deep_open", "deep", None, "a profiler window: the profiler is being started"),
    Event(58, "deep_opened", None, "deep", "the steps from here on are profiled, and never counted"),
    Event(59, "deep_close", "deep", None, "the profiler is being stopped and read"),
    Event(60, "deep_closed", None, "deep", "the window is over"),
    Event(61, "communication_begin", None, None, "this rank begins to wait for the other ranks"),
    Event(62, "communication_end", None, None, ""),
    Event(45, "part_update", None, "optimizer", "an update of one of several optimizers: the step's own comes later"),
    Event(46, "new_optimizer", None, None, "a further optimizer is about to make its first update"),
    Event(47, "closure_begin", None, "optimizer", "an optimizer calls the program back to compute its gradients"),
    Event(48, "closure_end", "optimizer", None, ""),
    Event(49, "eval_mode", None, None, "a model is put into evaluation mode"),
    Event(50, "train_mode", None, None, "a model is put into training mode"),
    Event(51, "checkpoint_begin", "callbacks", None, "a checkpoint is written"),
    Event(52, "checkpoint_end", None, "callbacks", ""),
    Event(53, "drain_begin", "compute", None, "about to give the machine away: the device finishes what it was asked"),
    Event(54, "drain_end", None, "compute", "it has: nothing of this lane runs any more"),
    Event(43, "guest_flush", None, None, "the guest lives: written when nothing else was for a while"),
)
EVENT = {event.name: event.code for event in EVENTS}
"""Event code by name: `EVENT["data_begin"]`."""

CODE_BITS = 6
CODE_MASK = (1 << CODE_BITS) - 1
"""An event on disk is one native 64-bit word, `time_ns << CODE_BITS | code`; time is `time.perf_counter_ns()`."""


class Metric(NamedTuple):
    """One column of the samples log; a value that was not measured is NaN there and `None` everywhere else."""

    name: str
    unit: str
    meaning: str


METRICS = (
    Metric("cpu_cores", "cores", "CPU time used by the process tree per second of wall time"),
    Metric("rss_bytes", "bytes", "resident memory of the process tree"),
    Metric("read_bytes_s", "bytes/s", "read from storage by the process tree"),
    Metric("write_bytes_s", "bytes/s", "written to storage by the process tree"),
    Metric(
        "run_delay_share", "share", "share of wall time that the training thread was runnable but waited for a core"
    ),
    Metric("major_faults_s", "faults/s", "page faults that needed storage"),
    Metric("threads", "count", "threads in the process tree"),
    Metric("involuntary_switches_s", "switches/s", "times per second that the kernel took the core away"),
    Metric("gpu_util", "share", "share of the sample in which a kernel ran"),
    Metric(
        "gpu_memory_bytes", "bytes", "device memory: a lane's own where the driver tells, the device's on a device row"
    ),
    Metric("gpu_power_w", "W", "power drawn"),
    Metric("gpu_power_limit_w", "W", "power limit in force"),
    Metric("gpu_sm_clock_mhz", "MHz", "clock of the streaming multiprocessors"),
    Metric("gpu_throttle_reasons", "bits", "NVML's clocks-event reasons, a bit mask"),
    Metric("gpu_temperature_c", "°C", "temperature"),
    Metric("gpu_pcie_tx_bytes_s", "bytes/s", "PCIe, device to host"),
    Metric("gpu_pcie_rx_bytes_s", "bytes/s", "PCIe, host to device"),
    Metric("memory_available_bytes", "bytes", "memory that the host could still give"),
    Metric("swap_used_bytes", "bytes", "swap in use on the host"),
)
METRIC_INDEX = {metric.name: index for index, metric in enumerate(METRICS)}

SOURCE_HOST = 0
SOURCE_GPU = 1000
"""Sources in the samples log: 0 the host, 1 + i the i-th lane, 1000 + i the i-th GPU."""


def source_of_lane(index: int) -> int:
    """The samples log's source number of the lane at `index` (0-based) in the manifest."""
    return 1 + index


# The turn byte in an event log's header, written by the recorder and read by the guest at each step boundary.
GATE_GO = 0
GATE_HOLD = 1
GATE_FINISH = 2
"""Finish: built-in lanes end their training loop at the next step boundary, as if they had reached `--steps`."""
GATE_MASK = 3
GATE_DEEP = 4
"""A bit beside the word above: a profiler window is asked for; the request's number stands above GATE_BITS."""
GATE_BITS = 8
