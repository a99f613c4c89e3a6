"""Raw JAX: `jax_loop.py jit|gradient|eager|by-hand|without-optax`."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import report

case = sys.argv[1]
if case != "without-optax":
    import optax
generator = np.random.default_rng(0)
x = generator.normal(size=(640, 64)).astype("float32")
y = generator.normal(size=(640, 1)).astype("float32")
params = {
    "first": jnp.asarray(generator.normal(size=(64, 512)).astype("float32") * 0.1),
    "second": jnp.asarray(generator.normal(size=(512, 1)).astype("float32") * 0.1),
}
if case == "without-optax":
    optimizer = state = None
else:
    optimizer = optax.adam(0.001)
    state = optimizer.init(params)


def compute(params, a, b):
    return jnp.mean((jax.nn.relu(a @ params["first"]) @ params["second"] - b) ** 2)


def step(params, state, a, b):
    loss, gradients = gradient(params, a, b)
    if optimizer is None or case == "by-hand":
        return jax.tree_util.tree_map(lambda p, g: p - 0.01 * g, params, gradients), state, loss
    changes, state = optimizer.update(gradients, state)
    return optax.apply_updates(params, changes), state, loss


gradient = jax.value_and_grad(compute)
if case == "gradient":
    gradient = jax.jit(gradient)
elif case != "eager":
    step = jax.jit(step)
params, state, loss = step(params, state, x[:32], y[:32])
report.start()
for _ in range(3):
    for i in range(20):
        params, state, loss = step(params, state, x[i * 32 : (i + 1) * 32], y[i * 32 : (i + 1) * 32])
    loss.block_until_ready()
report.end(61, [np.asarray(value) for value in params.values()], loss)
