"""The product's whole vocabulary of causes: codes, meanings, thresholds with their sources, advice.

The rules, `fwtui findings`, the screen, the reports and the README read this one table. Codes are a contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Cause(NamedTuple):
    """One named cause."""

    code: str
    letter: str
    """For the chart's `why` row."""
    meaning: str
    limits: Mapping[str, float]
    """The thresholds that its rule uses, by name. A `share` is of the lane's time in training steps; what is held
    against it leaves out each phase's two longest steps, which one burst of another program may have made."""
    source: str
    """Where the thresholds come from."""
    advice: Mapping[str, str]
    """One line that names the option to change: by framework, `keras+torch` before `keras`; `*` for any other."""
    explains: tuple[str, ...] = ()
    """Codes that stand behind this one as its symptoms, where both are found (at one line, if both have a line)."""


CAUSES = (
    Cause(
        "input-bound", "D", "the step waits for its data",
        {"share": 0.25, "of_short": 0.4, "most": 0.5},
        "an input pipeline that keeps up returns at once (TensorFlow's guide to tf.data performance); where a wait is "
        "too short for a worker (below no-prefetch's worker_ms) it must take more of the step; where the main thread "
        "had to wait for cores, those who load ahead may have as well: below half of the step a note",
        {
            "torch": "load in parallel: DataLoader(num_workers=2, persistent_workers=True), or read faster",
            "keras+torch": "load in parallel: pass a DataLoader(num_workers=2, persistent_workers=True) to fit",
            "keras": "read in parallel: Dataset.interleave or map(num_parallel_calls=tf.data.AUTOTUNE), or cache()",
            "keras+jax": "load in parallel: PyDataset(workers=4), or read faster",
            "jax": "make batches ahead, in a thread or processes of their own, or by a tf.data or grain pipeline",
            "*": "read in parallel: Dataset.interleave or map(num_parallel_calls=tf.data.AUTOTUNE), or cache()",
        },
    ),
    Cause(
        "per-sample-transform", "D", "Python code runs for each sample while the step waits",
        {"share": 0.25, "of_data": 0.5, "calls_a_step": 8},
        "as input-bound; half of the stacks of the wait stand in the user's own per-sample code",
        {
            "torch": "transform whole batches (collate_fn, or on the batch's tensor), or DataLoader(num_workers=2)",
            "keras": "batch first and transform with TensorFlow operations: ds.batch(n).map(f, tf.data.AUTOTUNE)",
            "keras+torch": "transform whole batches (NumPy in __getitem__), or PyDataset(workers=4)",
            "keras+jax": "transform whole batches (NumPy in __getitem__), or PyDataset(workers=4)",
            "jax": "transform whole batches at once, with NumPy or inside the jitted step",
            "*": "batch first and transform with TensorFlow operations: ds.batch(n).map(f, tf.data.AUTOTUNE)",
        },
    ),
    Cause(
        "no-prefetch", "D", "batches are made only when they are asked for, though they could be made meanwhile",
        {"share": 0.15, "most": 0.5, "worker_ms": 1.5},
        "below half of the step, making batches beside the training hides the wait whole; in PyTorch a worker hands a "
        "batch over in 0.3-1 ms, so that a wait not clearly longer is not worth one",
        {
            "torch": "load ahead: DataLoader(num_workers=1, prefetch_factor=2, persistent_workers=True)",
            "keras": "load ahead: end the pipeline with Dataset.prefetch(tf.data.AUTOTUNE)",
            "keras+torch": "load ahead: pass a DataLoader(num_workers=1, persistent_workers=True) to fit",
            "jax": "load ahead: make the next batch in a thread while the step runs",
            "*": "load ahead: end the pipeline with Dataset.prefetch(tf.data.AUTOTUNE)",
        },
    ),
    Cause(
        "worker-startup", "W", "loader workers start anew each epoch",
        {"share": 0.1, "of_data": 0.5, "starts": 2},
        "starting a worker costs 10 ms to seconds and buys no sample",
        {"*": "DataLoader(persistent_workers=True), or num_workers=0 for data in memory"},
    ),
    Cause(
        "slow-transfer", "H", "copies between host and device hold up the step",
        {"share": 0.15},
        "a pinned, asynchronous copy overlaps with computing and leaves next to nothing to wait for",
        {
            "torch": "DataLoader(pin_memory=True) and batch.to(device, non_blocking=True)",
            "keras+torch": "pass a DataLoader(pin_memory=True) to fit",
            "jax": "copy ahead: jax.device_put(batch) for the next batch while the step runs",
            "*": "copy ahead: end the pipeline with ds.apply(tf.data.experimental.prefetch_to_device(device))"},
    ),
    Cause(
        "dispatch-bound", "P", "the step consists of many small operations that Python starts one by one",
        {"share": 0.5, "operations": 150, "us_an_operation": 25.0},
        "PyTorch starts an operation in 5-10 us on a CPU, its gradient included in 25; TensorFlow eager in 10-50",
        {
            "torch": "compute whole batches at once in larger operations, or torch.compile(model)",
            "keras+torch": "larger batches, or compile(jit_compile=True): Keras then calls torch.compile",
            "keras": "compile(run_eagerly=False): let fit build a graph; jit_compile=True fuses more",
            "jax": "decorate the training step with @jax.jit",
            "*": "decorate the training step with @tf.function",
        },
    ),
    Cause(
        "compiled-on-one-side", "K", "the other lane's step is compiled, this one's is not",
        {"ratio": 1.1},
        "a lane that is at least a tenth slower",
        {
            "torch": "torch.compile(model), or run the other lane eagerly, before comparing frameworks",
            "keras": "compile(run_eagerly=False, jit_compile=True), or run the other lane eagerly, before comparing",
            "jax": "@jax.jit on the training step, or run the other lane eagerly, before comparing",
            "*": "@tf.function(jit_compile=True), or run the other lane eagerly, before comparing",
        },
        ("dispatch-bound", "slow-optimizer", "unfused-kernel"),
    ),
    Cause(
        "graph-breaks", "B", "the compiled function falls back to Python in the middle",
        {"breaks": 1},
        "each break ends a graph: what stands on its two sides is not fused (PyTorch's guide to torch.compile)",
        {"*": "take the named line out of the compiled function; torch.compile(fullgraph=True) shows each one"},
        ("retracing", "sync-every-step"),
    ),
    Cause(
        "retracing", "J", "tracing or compiling goes on after the first steps",
        {"share": 0.05, "traces": 3},
        "a function with one signature is traced once; one partial batch explains a second trace",
        {
            "torch": "torch.compile(dynamic=True), or torch._dynamo.mark_dynamic(batch, 0) for the changing dimension",
            "keras+torch": "one shape for all batches: DataLoader(drop_last=True), or a collate_fn that pads them",
            "keras": "one shape for all batches: Dataset.batch(n, drop_remainder=True), or Dataset.padded_batch",
            "jax": "pad batches to one shape; jax.jit(static_argnums=…) only for values that come again",
            "*": "tf.function(reduce_retracing=True), tensors instead of Python numbers, batches padded to one shape",
        },
        ("compile-in-timing",),
    ),
    Cause(
        "compile-in-timing", "J", "a good part of the whole training is its one-time compilation",
        {"share": 0.1, "seconds": 0.2},
        "a clock around the whole training is off by as much",
        {"*": "warm up before timing, or train for longer: fwtui leaves the compilation out of its step times"},
    ),
    Cause(
        "sync-every-step", "S", "the host reads values from the device in every step",
        {"share": 0.2},
        "a fifth of the step, in waits and conversions that could be made once in many steps",
        {
            "torch": "keep losses as tensors (total += loss.detach()) and call .item() once in many steps",
            "jax": "keep losses on the device, and call float(loss) once in many steps",
            "keras": "compile(steps_per_execution=16), and read logs in on_epoch_end instead of on_train_batch_end",
            "*": "keep losses as tensors and call .numpy() or float(loss) once in many steps",
        },
    ),
    Cause(
        "slow-callback", "C", "code between the steps (callbacks, logging) takes a large part of the time",
        {"share": 0.15},
        "a seventh of the time in which nothing is trained",
        {
            "keras": "do the callback's work every N batches or in on_epoch_end, not in on_train_batch_end",
            "*": "do the line's work every N steps or at the epoch's end, or in a thread of its own",
        },
    ),
    Cause(
        "per-execution-overhead", "E", "fit's own work around each short execution is a large part of it",
        {"share": 0.5, "python": 0.2, "fit_ms": 0.7},
        "Keras fetches, dispatches, converts logs and runs callbacks once an execution; a main thread that is busy so "
        "long, a fifth of it in Python, and not asleep until the model's work is done; a step of a tiny model took "
        "0.9-1.5 ms",
        {"*": "compile(steps_per_execution=16) makes that many updates a call"},
    ),
    Cause(
        "precision-mismatch", "≠", "the lanes compute in different precision",
        {"ratio": 1.05},
        "a named difference; it explains a gap only in the lane that is slower",
        {
            "torch": "the same precision on both sides: torch.autocast or set_float32_matmul_precision",
            "jax": "the same precision on both sides: jax.default_matmul_precision",
            "keras": "the same precision on both sides: keras.mixed_precision.set_global_policy",
            "*": "the same precision on both sides: tf.cast(batch, dtype), and weights of that dtype",
        },
    ),
    Cause(
        "thread-oversubscription", "T", "more compute threads than cores",
        {"times_cores": 1.5},
        "threads that wait for each other at every operation cannot all run (OpenMP spins while it waits)",
        {
            "torch": "torch.set_num_threads(cores), and DataLoader workers within the rest",
            "keras+torch": "torch.set_num_threads(cores), and DataLoader workers within the rest",
            "jax": "no more threads than cores: give the lane more of them, or start it under taskset with fewer",
            "keras+jax": "no more threads than cores: give the lane more of them, or start it under taskset with fewer",
            "*": "tf.config.threading.set_intra_op_parallelism_threads(cores)",
        },
    ),
    Cause(
        "cpu-starved", "U", "the main thread is ready to run and waits for a core",
        {"share": 0.15, "seconds": 0.1, "doubt": 0.05},
        "run-queue delay by the kernel's own count; an idle machine shows under 2 %, or one burst of another program; "
        "from a twentieth on, what waits for another process may be waiting for its core",
        {"*": "stop what else runs on this machine, or give the lane cores of its own (--schedule turns)"},
    ),
    Cause(
        "layout-mismatch", "≠", "the lanes lay their images out differently in memory",
        {"ratio": 1.05},
        "a named difference; it explains a gap only in the lane that is slower",
        {
            "torch": "model.to(memory_format=torch.channels_last), and the batches too",
            "keras+torch": 'keras.config.set_image_data_format("channels_first"), the layout that torch computes in',
            "*": 'keras.config.set_image_data_format("channels_last"), the layout that its CPU kernels want',
        },
    ),
    Cause(
        "unfused-kernel", "N", "a recurrent layer runs cell by cell instead of as one kernel",
        {"share": 0.3},
        "forward and backward together; a fused layer is one operation a sequence",
        {
            "torch": "torch.nn.LSTM or torch.nn.GRU over the whole sequence instead of a loop over single cells",
            "*": "keras.layers.LSTM(unroll=False, recurrent_dropout=0), or GRU with the same, instead of RNN(cell)",
        },
    ),
    Cause(
        "slow-optimizer", "O", "the update takes a large part of the step, by a slow implementation",
        {"share": 0.3, "of_work": 0.6},
        "forward and backward cost a multiple of an update that is one fused pass over the weights",
        {
            "torch": "torch.optim.Adam(…, fused=True), or foreach=True",
            "keras+torch": "compile(jit_compile=True), or a loop with torch.optim.Adam(…, fused=True)",
            "jax": "update inside the jitted step: optax.apply_updates in the function that computes the gradients",
            "*": "call optimizer.apply_gradients inside the @tf.function that computes the gradients",
        },
    ),
    Cause(
        "backend-wrapper", "K", "Keras's layer over the backend costs more than the backend itself",
        {"ratio": 1.1},
        "the same model in the same framework without Keras is at least a tenth faster",
        {"*": "keras on its tensorflow or jax backend, jit_compile=True, or the native torch module"},
    ),
    Cause(
        "memory-growth", "M", "memory keeps growing while it trains",
        {"share": 0.02, "bytes": 32e6, "steady": 0.4, "us_a_page": 6.0},
        "each quarter of the training above the one before by at least 0.4 of the largest rise: a cache that fills "
        "levels off, what is kept does not; the first touch of a page took 5 us in a virtual machine, natively 0.25",
        {
            "torch": "keep numbers, not tensors with their graph: losses.append(loss.item()) or loss.detach()",
            "*": "do not keep what a step returns; convert it to a number, and clear lists each epoch",
        },
    ),
    Cause(
        "swap", "M", "the machine swaps",
        {"bytes": 64e6, "faults_s": 20},
        "swap in use grows while the lane waits for pages from storage",
        {"*": "a smaller batch or data set in memory, or more memory"},
    ),
    Cause(
        "gc-pause", "G", "Python's garbage collector stops the step",
        {"share": 0.08},
        "collections of the older generations; a usual program spends below 1 %",
        {"*": "no gc.collect() in the loop; gc.freeze() after start-up, and collect at epoch ends only"},
    ),
    Cause(
        "checkpoint-stall", "Z", "saving the model stops the training",
        {"share": 0.08},
        "a twelfth of the time for what can be made once an epoch, or in the background",
        {
            "torch": "save less often, or in the background: torch.distributed.checkpoint.async_save",
            "keras": "save less often: ModelCheckpoint(save_freq='epoch', save_weights_only=True)",
            "jax": "save less often, or in a thread of its own, from copies made by jax.device_get",
            "*": "save less often, or in the background: tf.train.CheckpointOptions(enable_async=True)",
        },
    ),
    Cause(
        "evaluation-stall", "V", "evaluating takes a large part of the time",
        {"share": 0.33, "most": 0.5},
        "of training and evaluation together; a quarter is what it takes to evaluate as many samples as are trained "
        "on; up to half it is a note: how often to evaluate is a choice",
        {
            "torch": "evaluate every N epochs, in large batches, under torch.inference_mode()",
            "keras": "evaluate less: fit(validation_freq=N, validation_batch_size=…, validation_steps=…)",
            "jax": "evaluate every N epochs, in large batches, in a jitted function",
            "*": "evaluate every N epochs, in large batches, in a function with @tf.function",
        },
    ),
    Cause(
        "gpu-idle", "I", "the GPU waits for the host",
        {"util": 0.5, "power": 0.4},
        "NVML's own utilisation; full utilisation at under 40 % of the power limit means small kernels",
        {"*": "find what the host does meanwhile (phases), then larger batches, torch.compile or jit_compile=True"},
    ),
    Cause(
        "gpu-throttled", "I", "the GPU lowers its clocks",
        {"share": 0.1},
        "NVML's clocks-event reasons, in a tenth of the samples",
        {"*": "see the named reason: cooling, the power limit (nvidia-smi -pl), or the power supply"},
    ),
    Cause(
        "straggler-rank", "R", "one rank is slower than the others, which wait for it",
        {"ratio": 1.2, "share": 0.1, "late": 0.75, "ms": 0.5},
        "its own time, communication left out, against the median rank's; a tenth of the step, in three of four steps; "
        "two ranks that do the same differed by 0.35 ms",
        {"*": "look at the named rank's host: other load, its data shard, thermal limits"},
    ),
    Cause(
        "unequal-work", "≠", "the lanes do not do the same work", {}, "the parity list",
        {"*": "make the named settings equal, or compare per sample"},
    ),
    Cause(
        "lane-crashed", "!", "the lane ended with an error", {}, "its exit code",
        {"*": "read what it printed: key o, or its output.log"},
    ),
    Cause(
        "lane-hung", "!", "no step for very long", {"seconds": 60, "times_habit": 50},
        "a minute, and fifty of the lane's own steps",
        {"*": "look at the line where it stands, and at what it printed: key o, or its output.log"},
    ),
)  # fmt: skip
CAUSE = {cause.code: cause for cause in CAUSES}


def advice(code: str, framework: str, backend: str | None) -> str:
    """The line of advice for a framework on its backend."""
    lines = CAUSE[code].advice
    return lines.get(f"{framework}+{backend}") or lines.get(framework) or lines["*"]
