"""A learner that no guard should trust."""

import equinox as eqx
import jax
import jax.numpy as jnp

from l2o.multiobjective import common_descent
from l2o.optimizers import LearnedOptimizer


class Adversary(LearnedOptimizer):
    """Does one bad thing after the other, or what `kind` says."""

    kind: str | None = eqx.field(static=True, default=None)

    def init(self, params):
        return jnp.zeros((), jnp.int32)

    def update(self, grads, state, params=None, *, value=None, **extra):
        mean = jnp.mean(grads, axis=0) if jnp.ndim(value) else grads
        noise = jax.random.normal(jax.random.fold_in(jax.random.key(0), state), mean.shape)
        updates = {"ascent": mean, "noise": noise, "nan": mean * jnp.nan, "huge": -1e30 * mean}
        if self.kind == "slight ascent":
            return 1e-6 * mean, state + 1
        if self.kind == "slight descent":
            return 1e-6 * common_descent(grads).direction, state + 1
        if self.kind is not None:
            return updates[self.kind], state + 1
        return jnp.stack(list(updates.values()))[state % len(updates)], state + 1
