"""The network of `multitask.py` and GML2O: a learned optimizer, guarded, so that no loss rises."""

import jax
import jax.numpy as jnp
import optax
from sklearn.datasets import load_digits

import l2o
from l2o.multiobjective import ML2O, stacked

inputs, labels = (jnp.asarray(array) for array in load_digits(return_X_y=True))
inputs = inputs / 16
darkness = 100 * inputs.reshape(-1, 8, 8)[:, :, :4].mean((1, 2))  # of another scale, on purpose
keys = jax.random.split(jax.random.key(0), 3)
params = {
    "trunk": 0.1 * jax.random.normal(keys[0], (64, 20)),
    "digit": 0.1 * jax.random.normal(keys[1], (20, 10)),
    "darkness": 0.1 * jax.random.normal(keys[2], (20,)),
}
optimizer = l2o.guard(ML2O(num_objectives=2, key=keys[0]))  # or what l2o.load(folder) gives
state = optimizer.init(params)


def losses(params):
    hidden = jax.nn.relu(inputs @ params["trunk"])
    digit = optax.softmax_cross_entropy_with_integer_labels(hidden @ params["digit"], labels)
    return jnp.stack([digit.mean(), jnp.mean((hidden @ params["darkness"] - darkness) ** 2)])


@jax.jit
def step(params, state):
    now = stacked(losses, params)
    update, state = optimizer.update(now.jacobian, state, params, value=now.losses, value_fn=losses)
    return optax.apply_updates(params, update), state


for _ in range(300):
    params, state = step(params, state)
print(f"losses {losses(params)}, criticality {state.criticality:.3g}")
