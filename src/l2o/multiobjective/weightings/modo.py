"""MoDo: stochastic MGDA with double sampling."""

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.multiobjective.simplex import project_onto_simplex
from l2o.multiobjective.stateful_weighting import StatefulWeighting


class MoDo(StatefulWeighting):
    """One projected gradient step of the weights at every step, towards those of MGDA.

    For its convergence with minibatches the Gramian has to be `J_1 J_2'` of two independent
    minibatches; with `aggregate` it is that of one.

    Source: Chen et al. 2023, Three-Way Trade-Off in Multi-Objective Learning, algorithm 1.

    **Arguments:** `step_size`, of the weights (gamma); `regularization`, pulls them together
    (rho).
    """

    step_size: float = 0.1
    regularization: float = 0.1

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
        slope = gramian @ state + self.regularization * state
        weights = project_onto_simplex(state - self.step_size * slope)
        return weights, weights
