"""Keras's `fit`; argv names the one fault that is put in, `none` for the clean twin."""

import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
FAULT = sys.argv[1]
BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np

EPOCHS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
features, batch, count = 256, 128, 17
keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(batch * count, features)).astype("float32")
y = np.random.default_rng(1).integers(0, 10, batch * count)


class Watcher(keras.callbacks.Callback):
    """A user's callback."""

    def on_train_batch_end(self, batch, logs=None):
        if FAULT == "slow-callback":
            time.sleep(0.008)  # LINE slow-callback
        elif FAULT == "checkpoint-stall" and batch % 6 == 5:
            self.model.save("/tmp/injected.keras")  # LINE checkpoint-stall
        elif FAULT == "gc-pause" and batch % 4 == 0:
            import gc

            gc.collect()  # LINE gc-pause
        elif FAULT == "memory-growth":
            kept.append(np.ones(500_000))  # LINE memory-growth
        elif FAULT == "logs" and batch % 100 == 99:
            print(batch, logs["loss"])
        elif FAULT == "lane-crashed" and self.model.optimizer.iterations == 40:
            raise RuntimeError("the callback failed")  # LINE lane-crashed


def slow(sample, label):  # LINE per-sample-transform
    values = sample.numpy().tolist()
    for _ in range(3):
        values = [value * 1.01 + 0.001 for value in values]  # LINE per-sample-transform
    return np.asarray(values, dtype="float32"), label


def generate():
    for sample, label in zip(x, y):
        if FAULT == "input-bound":
            time.sleep(0.0005)  # LINE input-bound
        yield sample, label


def pipeline():
    import tensorflow as tf

    if FAULT == "input-bound":
        spec = (tf.TensorSpec((features,), tf.float32), tf.TensorSpec((), tf.int64))
        return tf.data.Dataset.from_generator(generate, output_signature=spec).repeat().batch(batch)
    data = tf.data.Dataset.from_tensor_slices((x, y)).repeat()
    if FAULT == "per-sample-transform":

        def call(sample, label):
            sample, label = tf.py_function(slow, [sample, label], [tf.float32, tf.int64])
            sample.set_shape((features,))
            label.set_shape(())
            return sample, label

        data = data.map(call)
    if FAULT == "retracing":
        return data.batch(batch).prefetch(2)
    return data.batch(batch).prefetch(tf.data.AUTOTUNE)


def build():
    layers = keras.layers
    if FAULT == "per-execution-overhead":
        return keras.Sequential([layers.Input((features,)), layers.Dense(4), layers.Dense(10)])
    if FAULT == "unfused-kernel":
        cells = layers.RNN(layers.LSTMCell(64), unroll=True)
        return keras.Sequential([layers.Input((features,)), layers.Reshape((32, 8)), cells, layers.Dense(10)])
    return keras.Sequential(
        [
            layers.Input((features,)),
            layers.Dense(512, activation="relu"),
            layers.Dense(512, activation="relu"),
            layers.Dense(10),
        ]
    )


kept = []
if FAULT == "thread-oversubscription":
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(32)  # LINE thread-oversubscription
model = build()
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
if FAULT == "dispatch-bound":
    model.compile(optimizer="sgd", loss=loss, run_eagerly=True)  # LINE dispatch-bound
elif FAULT == "slow-optimizer":
    model.compile(optimizer="adam", loss=loss, run_eagerly=True)
elif FAULT == "per-execution-overhead":
    model.compile(optimizer="sgd", loss=loss)  # LINE per-execution-overhead
elif FAULT == "unfused-kernel":
    model.compile(optimizer="sgd", loss=loss)  # LINE unfused-kernel
elif FAULT == "compile-in-timing":
    model.compile(optimizer="sgd", loss=loss, jit_compile=True)
else:
    model.compile(optimizer="sgd", loss=loss)
watched = FAULT in ("slow-callback", "checkpoint-stall", "gc-pause", "memory-growth", "lane-crashed", "logs")
callbacks = [Watcher()] if watched else []
more = {}
if FAULT == "evaluation-stall":
    more["validation_data"] = (np.concatenate([x] * 8), np.concatenate([y] * 8))
if FAULT == "evaluates":
    more["validation_data"] = (x[:256], y[:256])
if FAULT == "logs":
    count = 300
if FAULT in ("logs", "evaluates"):
    EPOCHS = 1 if FAULT == "logs" else 6
if FAULT == "worker-startup":
    import torch

    pairs = torch.utils.data.TensorDataset(torch.from_numpy(x[: batch * 6]), torch.from_numpy(y[: batch * 6]))
    data = {"x": torch.utils.data.DataLoader(pairs, batch_size=batch, num_workers=2)}  # LINE worker-startup
    EPOCHS = 9
elif BACKEND == "tensorflow" and FAULT not in ("per-execution-overhead",):
    data = {"x": pipeline(), "steps_per_epoch": count}
else:
    data = {"x": x, "y": y, "batch_size": batch}
model.fit(**data, epochs=EPOCHS, verbose=0, callbacks=callbacks, **more)  # LINE fit
