"""Weights by which every loss counts relative to where it began."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from l2o.gradients import Gramian
from l2o.multiobjective.stateful_weighting import StatefulWeighting


class InitialLoss(StatefulWeighting):
    """The constant weights `1 / (m |f_i(x_0)|)`: descent on the mean of relative losses.

    Of an objective that is absent at first, the first loss that is not zero counts.

    It is the simplest remedy for losses of different units, and the gradient of what
    `l2o.objectives.NormalizedMeanLoss` measures.

    ```pycon
    >>> descent = l2o.multiobjective.aggregate(l2o.multiobjective.InitialLoss(), num_objectives=2)
    >>> jacobian = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    >>> descent.update(jacobian, descent.init(jnp.zeros(2)), value=jnp.array([1.0, 4.0]))[0]
    Array([0.5  , 0.125], dtype=float32)
    ```
    """

    needs_losses = True
    needs_gradients = False
    judges = "nonzero"

    def init(self, num_objectives: int) -> Float[Array, " m"]:
        """No losses yet: NaN."""
        return jnp.full(num_objectives, jnp.nan)

    def step(
        self,
        gramian: Gramian,
        state: Float[Array, " m"],
        *,
        losses: Float[Array, " m"],
        present: Bool[Array, " m"],
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
        """One step; the key does not matter, nor does the Gramian."""
        del gramian, key
        first = jnp.where(jnp.isnan(state), losses, state)
        return 1.0 / (len(first) * jnp.abs(first)), first
