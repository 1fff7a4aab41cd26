"""CR-MOGM: weights averaged over steps."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from l2o.multiobjective.stateful_weighting import StatefulWeighting


class CRMOGMState(NamedTuple):
    """The average so far."""

    weights: Float[Array, " m"]
    is_fresh: Bool[Array, ""]


class CRMOGM(StatefulWeighting):
    """Exponential averages of another weighting's weights, which begin with the first ones.

    Source: Zhou et al. 2022, On the Convergence of Stochastic Multi-Objective Gradient
    Manipulation and Beyond, algorithm 1, with a constant decay.

    **Arguments:** `weighting`, a function of the Gramian; `decay`, of the average (alpha).
    """

    weighting: Callable[..., Float[Array, " m"]] = eqx.field(static=True)
    decay: float = 0.9

    def init(self, num_objectives: int) -> CRMOGMState:
        """No average yet."""
        return CRMOGMState(jnp.zeros(num_objectives), jnp.asarray(True))

    def update(
        self,
        gramian: Float[Array, "m m"],
        state: CRMOGMState,
        *,
        losses: Float[Array, " m"] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, " m"], CRMOGMState]:
        """One step; the losses do not matter, and a key is handed on."""
        del losses
        new = self.weighting(gramian) if key is None else self.weighting(gramian, key=key)
        average = jnp.where(
            state.is_fresh, new, self.decay * state.weights + (1 - self.decay) * new
        )
        return average, CRMOGMState(average, jnp.asarray(False))
