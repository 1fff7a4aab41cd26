"""SDMGrad: MGDA kept near a preferred direction."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.multiobjective.simplex import project_onto_simplex
from l2o.multiobjective.stateful_weighting import StatefulWeighting


class SDMGrad(StatefulWeighting):
    """Some projected momentum steps of the weights at every step, from where they stood.

    They descend on `|J'(w + l p)|^2 / 2`, p the mean, in units of the gradients' mean norm; the
    combination is that of `(w + l p) / (1 + l)`. For its convergence with minibatches the Gramian
    has to be `J_1 J_2'` of two independent minibatches; with `aggregate` it is that of one.

    Source: Xiao, Ban and Ji 2023, Direction-oriented Multi-objective Learning, algorithm 1; units,
    momentum and the default values are those of its public code.

    **Arguments:** `preference_strength`, l; `learning_rate`, `momentum` and `num_steps`, of the
    weights.
    """

    preference_strength: float = 0.3
    learning_rate: float = 10.0
    momentum: float = 0.5
    num_steps: int = eqx.field(static=True, default=20)

    def init(self, num_objectives: int) -> Float[Array, " m"]:
        """Equal weights."""
        return jnp.full(num_objectives, 1 / num_objectives)

    def update(
        self,
        gramian: Float[Array, "m m"],
        state: Float[Array, " m"],
        *,
        losses: Float[Array, " m"] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
        """One step; losses and key do not matter."""
        del losses, key
        mean_norm = jnp.mean(jnp.sqrt(jnp.maximum(jnp.diag(gramian), 0.0)))
        scaled = gramian / (mean_norm**2 + 1e-8)
        preferred = self.preference_strength / len(gramian)

        def step(_: Any, weights_and_velocity: tuple[Array, Array]) -> tuple[Array, Array]:
            weights, velocity = weights_and_velocity
            velocity = self.momentum * velocity + scaled @ (weights + preferred)
            return project_onto_simplex(weights - self.learning_rate * velocity), velocity

        start = (state, jnp.zeros_like(state))
        weights, _ = jax.lax.fori_loop(0, self.num_steps, step, start)
        return (weights + preferred) / (1 + self.preference_strength), weights
