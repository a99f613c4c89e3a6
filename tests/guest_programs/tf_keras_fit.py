"""Keras 2: `fit` of tf_keras, or of the Keras that comes with an older TensorFlow."""

import sys

import numpy as np
import report

try:
    import tf_keras as keras
except ImportError:
    import keras

keras.utils.set_random_seed(0)
generator = np.random.default_rng(0)
x = generator.normal(size=(640, 64)).astype("float32")
y = generator.normal(size=(640, 1)).astype("float32")
model = keras.Sequential([keras.layers.Dense(512, "relu", input_shape=(64,)), keras.layers.Dense(1)])
model.compile("adam", "mse", run_eagerly="eager" in sys.argv)


class Clock(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        report.start()


history = model.fit(x, y, batch_size=32, epochs=3, verbose=0, validation_data=(x, y), callbacks=[Clock()])
report.end(60, model.get_weights(), history.history["loss"][-1])
