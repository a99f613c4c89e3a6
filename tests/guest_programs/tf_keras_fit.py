"""Keras 2, tf_keras or the Keras that comes with an older TensorFlow: `tf_keras_fit.py [CASE]`."""

import sys

import numpy as np
import report
import tensorflow as tf

try:
    import tf_keras as keras
except ImportError:
    import keras

BATCH, BATCHES, EPOCHS = 32, 20, 3
case = sys.argv[1] if len(sys.argv) > 1 else "fit"
keras.utils.set_random_seed(0)
generator = np.random.default_rng(0)
x = generator.normal(size=(BATCH * BATCHES, 64)).astype("float32")
y = generator.normal(size=(BATCH * BATCHES, 1)).astype("float32")


class Custom(keras.Sequential):
    """A `train_step` of its own."""

    def train_step(self, data):
        a, b = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self(a, training=True) - b) ** 2)
        weights = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))  # noqa: B905 - Python 3.9 runs this
        return {"loss": loss}


class Clock(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        report.start()


layers = [keras.layers.Dense(512, "relu", input_shape=(64,)), keras.layers.Dense(1)]
model = (Custom if case == "custom" else keras.Sequential)(layers)
steps = {"steps_per_execution": 4} if case == "steps_per_execution" else {}
model.compile("adam", "mse", run_eagerly=case == "eager", **steps)
more = {"validation_data": (x, y)} if case in ("fit", "eager") else {}
if case == "train_on_batch":
    model.train_on_batch(x[:BATCH], y[:BATCH])
    report.start()
    for _ in range(EPOCHS):
        for i in range(BATCHES):
            loss = model.train_on_batch(x[i * BATCH : (i + 1) * BATCH], y[i * BATCH : (i + 1) * BATCH])
elif case == "tf.data":
    rows = tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH)
    loss = model.fit(rows, epochs=EPOCHS, verbose=0, callbacks=[Clock()]).history["loss"][-1]
else:
    history = model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0, callbacks=[Clock()], **more)
    loss = history.history["loss"][-1]
report.end(EPOCHS * BATCHES + (case == "train_on_batch"), model.get_weights(), np.ravel(loss)[0])
