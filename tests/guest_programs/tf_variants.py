"""Raw TensorFlow loops: `tf_variants.py function|eager|retracing|outside`."""

import sys

import numpy as np
import report
import tensorflow as tf

case = sys.argv[1]
tf.random.set_seed(0)
generator = np.random.default_rng(0)
x = generator.normal(size=(640, 64)).astype("float32")
y = generator.normal(size=(640, 1)).astype("float32")
first = tf.Variable(generator.normal(size=(64, 512)).astype("float32") * 0.1)
second = tf.Variable(generator.normal(size=(512, 1)).astype("float32") * 0.1)
optimizer = tf.keras.optimizers.Adam(0.001)
optimizer.build([first, second])


def gradients(a, b):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((tf.nn.relu(a @ first) @ second - b) ** 2)
    return loss, tape.gradient(loss, [first, second])


def step(a, b):
    loss, changes = gradients(a, b)
    optimizer.apply_gradients(zip(changes, [first, second]))  # noqa: B905 - Python 3.9 runs this
    return loss


if case == "outside":
    gradients = tf.function(gradients)
elif case != "eager":
    step = tf.function(step)
updates = 0
rows = tf.data.Dataset.from_tensor_slices((x, y))
epochs = [rows.batch(32 - 4 * epoch if case == "retracing" else 32, drop_remainder=True) for epoch in range(3)]
report.start()
for batches in epochs:
    for a, b in batches:
        loss = step(a, b)
        updates += 1
report.end(updates, [first.numpy(), second.numpy()], loss)
