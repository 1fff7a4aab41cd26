"""Two tasks with one trunk, whose gradients conflict: the digit, and how dark its left half is."""

import jax
import jax.numpy as jnp
import optax
from sklearn.datasets import load_digits

from l2o.multiobjective import aggregate, criticality, imtl_g

inputs, labels = (jnp.asarray(array) for array in load_digits(return_X_y=True))
inputs = inputs / 16
darkness = 100 * inputs.reshape(-1, 8, 8)[:, :, :4].mean((1, 2))  # of another scale, on purpose
keys = jax.random.split(jax.random.key(0), 3)
params = {
    "trunk": 0.1 * jax.random.normal(keys[0], (64, 20)),
    "digit": 0.1 * jax.random.normal(keys[1], (20, 10)),
    "darkness": 0.1 * jax.random.normal(keys[2], (20,)),
}
# Unlike UPGrad or a plain mean, IMTL-G does not see to the larger loss first.
optimizer = optax.chain(aggregate(imtl_g), optax.adam(0.03))
state = optimizer.init(params)


def losses(params):
    hidden = jax.nn.relu(inputs @ params["trunk"])
    digit = optax.softmax_cross_entropy_with_integer_labels(hidden @ params["digit"], labels)
    return jnp.stack([digit.mean(), jnp.mean((hidden @ params["darkness"] - darkness) ** 2)])


@jax.jit
def step(params, state):
    jacobian = jax.jacrev(losses)(params)
    updates, state = optimizer.update(jacobian, state, params)
    return optax.apply_updates(params, updates), state, criticality(jacobian)


for _ in range(300):
    params, state, omega = step(params, state)
print(f"losses {losses(params)}, criticality {omega:.3g}")
