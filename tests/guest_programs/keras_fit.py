"""`fit` on whatever backend KERAS_BACKEND names; prints the history and the exact weights."""

import argparse
import hashlib

import keras
import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--steps-per-execution", type=int, default=1)
parser.add_argument("--eager", action="store_true")
parser.add_argument("--validate", action="store_true")
args = parser.parse_args()

keras.utils.set_random_seed(0)
generator = np.random.default_rng(0)
x = generator.normal(size=(192, 20)).astype("float32")
y = generator.normal(size=(192, 1)).astype("float32")
model = keras.Sequential([keras.Input((20,)), keras.layers.Dense(10, "relu"), keras.layers.Dense(1)])
model.compile(keras.optimizers.Adam(0.01), "mse", steps_per_execution=args.steps_per_execution, run_eagerly=args.eager)
history = model.fit(
    x, y, batch_size=32, epochs=2, verbose=0, validation_data=(x[:64], y[:64]) if args.validate else None
)
if args.validate:
    print(model.evaluate(x, y, verbose=0), model.predict(x, verbose=0).sum())
digest = hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights())).hexdigest()
print(history.history["loss"], digest)
