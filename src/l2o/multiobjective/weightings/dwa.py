"""DWA: dynamic weight average."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from l2o.gradients import Gramian
from l2o.multiobjective.presence import share_of_present
from l2o.multiobjective.stateful_weighting import StatefulWeighting
from l2o.support.checks import check_number


class DWA(StatefulWeighting):
    """More weight for losses that fall slowly: `m softmax((L(t-1) / L(t-2)) / temperature)`.

    In the paper L are averages over epochs; here they are those of single steps, so it is meant
    for full batches. L are the last two losses that there were, 1 as a rate until there are two.

    Source: Liu et al. 2019, End-to-End Multi-Task Learning with Attention, section 3.3.

    **Arguments:** `temperature`, larger for weights that are more equal.

    ```pycon
    >>> descent = l2o.multiobjective.aggregate(l2o.multiobjective.DWA(), num_objectives=2)
    >>> jacobian = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    >>> descent.update(jacobian, descent.init(jnp.zeros(2)), value=jnp.ones(2))[0]
    Array([1., 1.], dtype=float32)
    ```
    """

    needs_losses = True
    needs_gradients = False
    judges = "positive"

    temperature: float = 2.0

    def __check_init__(self) -> None:
        check_number("temperature", self.temperature, above=0)

    def init(self, num_objectives: int) -> Float[Array, "m 2"]:
        """No losses yet: NaN."""
        return jnp.full((num_objectives, 2), jnp.nan)

    def step(
        self,
        gramian: Gramian,
        state: Float[Array, "m 2"],
        *,
        losses: Float[Array, " m"],
        present: Bool[Array, " m"],
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, " m"], Float[Array, "m 2"]]:
        """One step; the key does not matter, nor does the Gramian."""
        del gramian, key
        rates = state[:, 1] / state[:, 0]
        rates = jnp.where(jnp.isfinite(rates), rates, 1.0)
        weights = jnp.sum(present) * share_of_present(rates / self.temperature, present)
        return weights, jnp.stack([state[:, 1], losses], axis=1)
