"""A `tf.function` training step over a dataset, with an optimizer made of variables."""

import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
import tensorflow as tf

x, y = np.random.RandomState(0).randn(640, 100).astype("float32"), np.ones((640, 1), "float32")
weights = tf.Variable(tf.zeros((100, 1)))
dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(32)


@tf.function
def train_step(a, b):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((a @ weights - b) ** 2)
    weights.assign_sub(0.01 * tape.gradient(loss, weights))
    return loss


began, updates = time.perf_counter_ns(), 0
for _ in range(40):
    for a, b in dataset:
        loss = train_step(a, b)
        updates += 1
print("clock", began, time.perf_counter_ns(), file=sys.stderr)
print("updates", updates, "loss", float(loss).hex())
