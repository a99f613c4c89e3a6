"""A raw TensorFlow loop, compiled or eager, with a Keras optimizer or a hand-written one; prints the exact weights."""

import argparse
import hashlib

import numpy as np
import tensorflow as tf

parser = argparse.ArgumentParser()
parser.add_argument("--eager", action="store_true")
parser.add_argument("--keras-optimizer", action="store_true")
parser.add_argument("--apply-outside", action="store_true", help="the function only computes gradients")
args = parser.parse_args()

generator = np.random.default_rng(0)
x = generator.normal(size=(192, 20)).astype("float32")
y = generator.normal(size=(192, 1)).astype("float32")
weight = tf.Variable(tf.zeros((20, 1)))
bias = tf.Variable(tf.zeros((1,)), trainable=False)
dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(32)
optimizer = tf.keras.optimizers.Adam(0.01) if args.keras_optimizer or args.apply_outside else None


def gradients(features, target):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((features @ weight + bias - target) ** 2)
    return loss, tape.gradient(loss, [weight])


def step(features, target):
    loss, found = gradients(features, target)
    if optimizer:
        optimizer.apply_gradients(zip(found, [weight], strict=True))
    else:
        weight.assign_sub(0.01 * found[0])
    return loss


@tf.function
def evaluate(features, target):
    return tf.reduce_mean((features @ weight - target) ** 2)


if args.apply_outside:
    gradients = tf.function(gradients)
elif not args.eager:
    step = tf.function(step)
updates = 0
for _ in range(2):
    for features, target in dataset:
        loss = step(features, target)
        updates += 1
print(updates, float(loss), float(evaluate(x, y)), hashlib.sha256(weight.numpy().tobytes()).hexdigest())
