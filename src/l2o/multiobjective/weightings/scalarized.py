"""The weights that a scalarization of the losses amounts to."""

from collections.abc import Callable

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.multiobjective.stateful_weighting import StatefulWeighting


class Scalarized(StatefulWeighting):
    """The derivatives of a scalarization with respect to the losses: `J'w` is its gradient.

    So that what is defined on losses, such as `geometric_mean` and `stch`, can be used and
    compared where stacked gradients are at hand.

    **Arguments:** `scalarization`, from m losses to one number.
    """

    scalarization: Callable[[Float[Array, " m"]], Float[Array, ""]] = eqx.field(static=True)

    def init(self, num_objectives: int) -> None:
        """Nothing is remembered."""
        del num_objectives

    def update(
        self,
        gramian: Float[Array, "m m"],
        state: None,
        *,
        losses: Float[Array, " m"] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, " m"], None]:
        """One step; the key does not matter, nor does the Gramian.

        **Raises:** `ValueError` without losses.
        """
        del gramian, state, key
        if losses is None:
            raise ValueError("Scalarized needs the losses: pass value= to the optimizer's update.")
        return jax.grad(self.scalarization)(losses), None
