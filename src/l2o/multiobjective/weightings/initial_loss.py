"""Weights by which every loss counts relative to where it began."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from l2o.multiobjective.stateful_weighting import StatefulWeighting

_OFFSET = 1e-8


class InitialLossState(NamedTuple):
    """The losses at the first step."""

    losses: Float[Array, " m"]
    is_fresh: Bool[Array, ""]


class InitialLoss(StatefulWeighting):
    """The constant weights `1 / (m |f_i(x_0)|)`: descent on the mean of relative losses.

    It is the simplest remedy for losses of different units, and the gradient of what
    `l2o.objectives.NormalizedMeanLoss` measures.
    """

    def init(self, num_objectives: int) -> InitialLossState:
        """No losses yet."""
        return InitialLossState(jnp.ones(num_objectives), jnp.asarray(True))

    def update(
        self,
        gramian: Float[Array, "m m"],
        state: InitialLossState,
        *,
        losses: Float[Array, " m"] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, " m"], InitialLossState]:
        """One step; the key does not matter, nor does the Gramian.

        **Raises:** `ValueError` without losses.
        """
        del gramian, key
        if losses is None:
            raise ValueError("InitialLoss needs the losses: pass value= to the optimizer's update.")
        first = jnp.where(state.is_fresh, losses, state.losses)
        weights = 1.0 / (len(first) * (jnp.abs(first) + _OFFSET))
        return weights, InitialLossState(first, jnp.asarray(False))
