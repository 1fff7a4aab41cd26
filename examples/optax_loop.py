"""A trained optimizer in an ordinary Optax loop; run `make demo` first."""

import jax
import jax.numpy as jnp
import optax
from sklearn.datasets import load_digits

import l2o

inputs, labels = (jnp.asarray(array) for array in load_digits(return_X_y=True))
inputs = inputs / 16
keys = jax.random.split(jax.random.key(0))
params = {
    "hidden": 0.1 * jax.random.normal(keys[0], (64, 20)),
    "output": 0.1 * jax.random.normal(keys[1], (20, 10)),
}
optimizer = optax.chain(
    optax.clip_by_global_norm(10.0), l2o.as_optax(l2o.load("runs/demo/optimizer"))
)
state = optimizer.init(params)


def loss(params):
    logits = jax.nn.relu(inputs @ params["hidden"]) @ params["output"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


@jax.jit
def step(params, state):
    value, gradient = jax.value_and_grad(loss)(params)
    updates, state = optimizer.update(gradient, state, params)
    return optax.apply_updates(params, updates), state, value


for number in range(101):
    params, state, value = step(params, state)
    if number % 20 == 0:
        print(f"step {number:3}: training loss {value:.4f}")
