"""DWA: dynamic weight average."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.multiobjective.stateful_weighting import StatefulWeighting


class DWA(StatefulWeighting):
    """More weight for losses that fall slowly: `m softmax((L(t-1) / L(t-2)) / temperature)`.

    In the paper L are averages over epochs; here they are those of single steps, so it is meant
    for full batches.

    Source: Liu et al. 2019, End-to-End Multi-Task Learning with Attention, section 3.3.

    **Arguments:** `temperature`, larger for weights that are more equal.
    """

    temperature: float = 2.0

    def init(self, num_objectives: int) -> Float[Array, "2 m"]:
        """No losses yet: NaN."""
        return jnp.full((2, num_objectives), jnp.nan)

    def update(
        self,
        gramian: Float[Array, "m m"],
        state: Float[Array, "2 m"],
        *,
        losses: Float[Array, " m"] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, " m"], Float[Array, "2 m"]]:
        """One step; the key does not matter, nor does the Gramian.

        **Raises:** `ValueError` without losses.
        """
        del gramian, key
        if losses is None:
            raise ValueError("DWA needs the losses: pass value= to the optimizer's update.")
        rates = state[1] / state[0]
        rates = jnp.where(jnp.all(jnp.isfinite(rates)), rates, 1.0)
        weights = len(losses) * jax.nn.softmax(rates / self.temperature)
        return weights, jnp.stack([state[1], losses])
