"""A task that costs next to nothing, so that an optimizer's own time is seen."""

import equinox as eqx
import jax
import jax.numpy as jnp

from l2o import tasks


class Bowls(tasks.TaskFamily):
    """Diagonal quadratics, whose gradients cost next to nothing."""

    dimension: int = eqx.field(static=True)

    def sample(self, key):
        return Bowl(jax.random.uniform(key, (self.dimension,)))


class Bowl(tasks.Task):
    scales: jax.Array

    def init(self, key):
        return jax.random.normal(key, self.scales.shape)

    def loss(self, params, batch):
        del batch
        return 0.5 * jnp.sum(self.scales * params**2)
