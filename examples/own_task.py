"""Tasks of your own: fits of damped oscillations, by their differential equation.

l2o train --task examples/own_task.py:OscillationFits --optimizer RNNProp --out runs/fits
l2o eval runs/fits --task examples/own_task.py:OscillationFits
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from l2o.tasks import Task, TaskFamily


def solve(params, times):
    """Positions of x'' = -friction x' - stiffness x, from -log friction, log stiffness, x, x'."""
    friction, stiffness, dt = jnp.exp(-params[0]), jnp.exp(params[1]), times[1] - times[0]

    def step(state, _):
        x, v = state[0], state[1] - dt * (friction * state[1] + stiffness * state[0])
        return (x + dt * v, v), x

    return jax.lax.scan(step, (params[2], params[3]), times)[1]


class OscillationFit(Task):
    times: jax.Array
    measured: jax.Array

    def init(self, key):
        return 0.5 * jax.random.normal(key, (4,))

    def loss(self, params, batch):
        return jnp.mean((solve(params, self.times) - self.measured) ** 2)


class OscillationFits(TaskFamily):
    """Fits of damped oscillations, every one with constants of its own.

    **Arguments:** `num_points`, that were measured; `noise`, standard deviation of a measurement.
    """

    num_points: int = eqx.field(static=True, default=50)
    noise: float = 0.05

    def sample(self, key):
        times, (key, noise_key) = jnp.linspace(0, 10, self.num_points), jax.random.split(key)
        true = jnp.array([1.0, 0.0, 1.0, 0.0]) + 0.3 * jax.random.normal(key, (4,))
        noise = self.noise * jax.random.normal(noise_key, times.shape)
        return OscillationFit(times, solve(true, times) + noise)
