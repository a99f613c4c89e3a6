"""Keras 3 in the shapes that people use it, on whatever backend KERAS_BACKEND names: `keras_variants.py CASE`."""

import sys

import keras
import numpy as np
import report

BATCH, BATCHES, EPOCHS = 32, 20, 3
case = sys.argv[1]
keras.utils.set_random_seed(0)
generator = np.random.default_rng(0)
x = generator.normal(size=(BATCH * BATCHES, 64)).astype("float32")
y = generator.normal(size=(BATCH * BATCHES, 1)).astype("float32")


class Custom(keras.Model):
    """A `train_step` of its own; on JAX it is a pure function from one state to the next."""

    def _loss_and_more(self, trainable, other, a, b):
        predicted, other = self.stateless_call(trainable, other, a, training=True)
        return self.compute_loss(a, b, predicted), other

    def _train_step_of_jax(self, state, data):
        import jax

        trainable, other, of_optimizer, of_metrics = state
        a, b = data
        gradient = jax.value_and_grad(self._loss_and_more, has_aux=True)
        (loss, other), gradients = gradient(trainable, other, a, b)
        trainable, of_optimizer = self.optimizer.stateless_apply(of_optimizer, gradients, trainable)
        return {"loss": loss}, (trainable, other, of_optimizer, of_metrics)

    def train_step(self, *given):
        if keras.backend.backend() == "jax":
            return self._train_step_of_jax(*given)
        (data,) = given
        a, b = data
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            with tf.GradientTape() as tape:
                loss = self.compute_loss(a, b, self(a, training=True))
            self.optimizer.apply_gradients(
                zip(tape.gradient(loss, self.trainable_variables), self.trainable_variables)  # noqa: B905
            )
        else:
            self.zero_grad()
            loss = self.compute_loss(a, b, self(a, training=True))
            loss.backward()
            import torch

            with torch.no_grad():
                self.optimizer.apply([v.value.grad for v in self.trainable_weights], self.trainable_weights)
        return {"loss": loss}


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return BATCHES

    def __getitem__(self, i):
        return x[i * BATCH : (i + 1) * BATCH], y[i * BATCH : (i + 1) * BATCH]


class Clock(keras.callbacks.Callback):
    """Starts the program's clock with the training."""

    def on_train_begin(self, logs=None):
        report.start()


inputs = keras.Input((64,))
outputs = keras.layers.Dense(1)(keras.layers.Dense(512, "relu")(inputs))
model = (Custom if case == "custom" else keras.Model)(inputs, outputs)
options = {
    "steps_per_execution": {"steps_per_execution": 4},
    "jit": {"jit_compile": True},
    "eager": {"run_eagerly": True},
}.get(case, {})
model.compile(keras.optimizers.Adam(0.001), "mse", **options)
data, more = (x, y), {"batch_size": BATCH}
if case == "tf.data":
    import tensorflow as tf

    data, more = (tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH),), {}
elif case == "PyDataset":
    data, more = (Batches(),), {}
elif case == "DataLoader":
    import torch

    rows = torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y))
    data, more = (torch.utils.data.DataLoader(rows, batch_size=BATCH),), {}
elif case == "validation":
    more["validation_data"] = (x, y)
elif case == "class_weight":
    y = (y > 0).astype("float32")
    data, more = (x, y), {"batch_size": BATCH, "class_weight": {0: 1.0, 1: 2.0}}
loss = None
if case == "train_on_batch":
    model.train_on_batch(x[:BATCH], y[:BATCH])
    report.start()
    for _ in range(EPOCHS):
        for i in range(BATCHES):
            loss = model.train_on_batch(x[i * BATCH : (i + 1) * BATCH], y[i * BATCH : (i + 1) * BATCH])
else:
    history = model.fit(*data, epochs=EPOCHS, verbose=0, callbacks=[Clock()], **more)
    loss = history.history["loss"][-1]
report.end(EPOCHS * BATCHES + (case == "train_on_batch"), model.get_weights(), np.ravel(loss)[0])
