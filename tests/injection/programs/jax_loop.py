"""A raw JAX loop with optax; argv names the one fault that is put in, `none` for the clean twin."""

import gc
import pickle
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

FAULT = sys.argv[1]
generator = np.random.default_rng(0)
x = generator.normal(size=(256, 256)).astype("float32")
y = generator.normal(size=(256, 1)).astype("float32")
params = {
    "first": jnp.asarray(generator.normal(size=(256, 1024)).astype("float32") * 0.1),
    "second": jnp.asarray(generator.normal(size=(1024, 1)).astype("float32") * 0.1),
}
optimizer = optax.adam(0.001)
state = optimizer.init(params)


@jax.jit
def train_step(params, state, a, b):
    def loss_of(params):
        return jnp.mean((jax.nn.relu(a @ params["first"]) @ params["second"] - b) ** 2)

    loss, gradients = jax.value_and_grad(loss_of)(params)
    changes, state = optimizer.update(gradients, state)
    return optax.apply_updates(params, changes), state, loss


def report(step, loss):
    if FAULT == "slow-callback":
        time.sleep(0.012)  # LINE slow-callback
    elif FAULT == "gc-pause" and step % 3 == 0:
        gc.collect()  # LINE gc-pause
    elif FAULT == "logs" and step % 100 == 99:
        print(step, float(loss))
    elif FAULT == "checkpoint" and step == 20:
        pickle.dumps(jax.device_get(params))


for step in range(300 if FAULT == "logs" else 51):
    size = 128 + step // 4 if FAULT == "retracing" else 128
    params, state, loss = train_step(params, state, x[:size], y[:size])  # LINE retracing
    loss.block_until_ready()
    report(step, loss)
