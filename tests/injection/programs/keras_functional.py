"""A second Keras program: a functional model on a pipeline of its own; argv names the one fault that is put in."""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
import tensorflow as tf

FAULT = sys.argv[1]
keras.utils.set_random_seed(0)
generator = np.random.default_rng(0)


def sequences(lengths, steps):
    """Batches of sequences, each of one of the lengths in turn."""
    batches = [generator.normal(size=(32, length, 32)).astype("float32") for length in lengths]
    for step in range(steps):
        yield batches[step % len(batches)], np.ones((32, 1), dtype="float32")


def tiny():
    x = generator.normal(size=(16 * 17, 8)).astype("float32")
    values = keras.Input((8,))
    model = keras.Model(values, keras.layers.Dense(8)(keras.layers.Dense(2, activation="tanh")(values)))
    model.compile(loss="mse", optimizer=keras.optimizers.Adam())  # LINE per-execution-overhead
    model.fit(tf.data.Dataset.from_tensor_slices((x, x)).batch(16).prefetch(2), epochs=3, verbose=0)


def recurrent():
    values = keras.Input((None, 32))
    model = keras.Model(values, keras.layers.Dense(1)(keras.layers.LSTM(64)(values)))
    model.compile(loss="mse", optimizer="sgd")
    spec = (tf.TensorSpec((32, None, 32)), tf.TensorSpec((32, 1)))
    data = tf.data.Dataset.from_generator(lambda: sequences((12, 12, 80), 102), output_signature=spec)
    model.fit(data.prefetch(4), verbose=0)


def convolution():
    """Images, laid out as argv says; on PyTorch's CPU kernels channels first is the native layout."""
    keras.config.set_image_data_format("channels_last" if FAULT == "nhwc" else "channels_first")
    shape = (32, 32, 8) if FAULT == "nhwc" else (8, 32, 32)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input(shape),
            *(layers.Conv2D(16, 3, padding="same", activation="relu") for _ in range(3)),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10),
        ]
    )
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), optimizer="sgd")
    x = generator.normal(size=(16 * 17, *shape)).astype("float32")
    model.fit(x, generator.integers(0, 10, len(x)), batch_size=16, epochs=4, verbose=0)


{"per-execution-overhead": tiny, "modes": recurrent}.get(FAULT, convolution)()
