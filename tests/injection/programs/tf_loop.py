"""A raw TensorFlow loop; argv names the one fault that is put in, `none` for the clean twin."""

import os
import queue
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
import tensorflow as tf

FAULT = sys.argv[1]
STEPS = 300 if FAULT == "logs" else 50
tf.random.set_seed(0)
features, batch, count = 256, 128, 40
if FAULT == "thread-oversubscription":
    tf.config.threading.set_intra_op_parallelism_threads(32)  # LINE thread-oversubscription
x = np.random.default_rng(0).normal(size=(batch * count, features)).astype("float32")
y = np.random.default_rng(1).integers(0, 10, batch * count)
sizes = (features, 512, 512, 10)
weights = [tf.Variable(tf.random.normal((a, b), stddev=0.03)) for a, b in zip(sizes, sizes[1:])]
optimizer = tf.keras.optimizers.SGD(0.01)
if FAULT == "slow-optimizer":
    weights = [tf.Variable(tf.random.normal((64, 64), stddev=0.1)) for _ in range(16)]
    optimizer = tf.keras.optimizers.Adam(0.001)


def loss_of(inputs, targets):
    hidden = inputs[:, :64] if FAULT == "slow-optimizer" else inputs
    for weight in weights[:-1]:
        hidden = tf.nn.relu(hidden @ weight)  # LINE dispatch-bound
    logits = hidden @ weights[-1]
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(targets % 10, logits))


@tf.function
def train_step(inputs, targets, scale):
    with tf.GradientTape() as tape:
        loss = loss_of(inputs, targets) * scale
    optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))
    return loss


@tf.function
def gradients(inputs, targets):
    with tf.GradientTape() as tape:
        loss = loss_of(inputs, targets)
    return tape.gradient(loss, weights)


def eager_step(inputs, targets):
    with tf.GradientTape() as tape:
        loss = loss_of(inputs, targets)  # LINE dispatch-bound
    optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))


def generate():
    for index in range(10**9):
        if FAULT == "input-bound":
            time.sleep(0.0005)  # LINE input-bound
        elif FAULT == "no-prefetch":
            time.sleep(0.00001)
        yield x[index % len(x)], y[index % len(x)]


def slow(sample):  # LINE per-sample-transform
    values = sample.tolist()
    for _ in range(10):
        values = [value * 1.01 + 0.001 for value in values]  # LINE per-sample-transform
    return np.asarray(values, dtype="float32")


def pipeline():
    if FAULT == "input-bound":
        spec = (tf.TensorSpec((features,), tf.float32), tf.TensorSpec((), tf.int64))
        return tf.data.Dataset.from_generator(generate, output_signature=spec).batch(batch)
    data = tf.data.Dataset.from_tensor_slices((x, y)).repeat()
    if FAULT == "per-sample-transform":

        def call(sample, label):
            changed = tf.numpy_function(slow, [sample], tf.float32)
            changed.set_shape((features,))
            return changed, label

        data = data.map(call)
    if FAULT == "no-prefetch":
        return data.map(lambda a, b: (tf.sort(tf.sin(tf.tile(a, [3])))[:features], b)).batch(batch)  # LINE no-prefetch
    return data.batch(batch).prefetch(tf.data.AUTOTUNE)


def log(step):
    if FAULT == "slow-callback":
        time.sleep(0.006)  # LINE slow-callback
    elif FAULT == "slow-callback-busy":
        for number in range(60_000):
            str(number + step)  # LINE slow-callback-busy
    elif FAULT == "logs" and step % 100 == 99:
        print(step)


kept = []
saver = tf.train.Checkpoint(
    **{f"w{i}": weight for i, weight in enumerate(weights)}, big=tf.Variable(tf.zeros(4_000_000))
)
for step, (inputs, targets) in enumerate(pipeline()):
    if FAULT == "dispatch-bound":
        eager_step(inputs, targets)
    elif FAULT == "slow-optimizer":
        found = gradients(inputs, targets)
        optimizer.apply_gradients(zip(found, weights))  # LINE slow-optimizer
    elif FAULT == "retracing":
        train_step(inputs, targets, step % 100 + 1)  # LINE retracing
    elif FAULT == "compile-in-timing":
        train_step(inputs, targets, 1)
    else:
        train_step(inputs, targets, 1)
    log(step)
    if FAULT == "gc-pause" and step % 4 == 0:
        import gc

        gc.collect()  # LINE gc-pause
    elif FAULT == "memory-growth":
        kept.append(np.ones(500_000))  # LINE memory-growth
    elif FAULT == "checkpoint-stall" and step % 8 == 7:
        saver.write("/tmp/injected-tf")  # LINE checkpoint-stall
    elif FAULT == "lane-hung" and step == 40:
        answer = queue.Queue().get()  # LINE lane-hung
    elif FAULT == "lane-crashed" and step == 40:
        raise ValueError("the targets do not fit")  # LINE lane-crashed
    if step >= STEPS:
        break
