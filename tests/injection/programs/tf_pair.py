"""One of two TensorFlow lanes that differ in what argv names."""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import tensorflow as tf

WHAT = sys.argv[1]
tf.random.set_seed(0)
weights = [tf.Variable(tf.random.normal((128, 128), stddev=0.1)) for _ in range(12)]
optimizer = tf.keras.optimizers.SGD(0.001)


def train_step(inputs):
    with tf.GradientTape() as tape:
        hidden = inputs
        for weight in weights:
            hidden = tf.nn.tanh(hidden @ weight)
        loss = tf.reduce_mean(hidden**2)
    optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))
    return loss


if WHAT == "compiled":
    train_step = tf.function(train_step)
data = tf.data.Dataset.from_tensor_slices(tf.random.normal((128 * 20, 128))).repeat().batch(128).prefetch(4)
for _, batch in zip(range(80), data):
    train_step(batch)
