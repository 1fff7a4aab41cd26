"""The weights that a scalarization of the losses amounts to."""

from collections.abc import Callable

import equinox as eqx
import jax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from l2o.gradients import Gramian
from l2o.multiobjective.stateful_weighting import StatefulWeighting


class Scalarized(StatefulWeighting):
    """The derivatives of a scalarization with respect to the losses: `J'w` is its gradient.

    So that what is defined on losses, such as `geometric_mean` and `stch`, can be used and
    compared where stacked gradients are at hand.

    A loss that is not finite counts as 1 in the scalarization of the others.

    **Arguments:** `scalarization`, from m losses to one number.

    ```pycon
    >>> weighting = l2o.multiobjective.Scalarized(l2o.multiobjective.geometric_mean)
    >>> descent = l2o.multiobjective.aggregate(weighting, num_objectives=2)
    >>> jacobian = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    >>> losses = jnp.array([1.0, 4.0])
    >>> np.round(descent.update(jacobian, descent.init(jnp.zeros(2)), value=losses)[0], 3)
    Array([1.  , 0.25], dtype=float32)
    ```
    """

    needs_losses = True
    needs_gradients = False

    scalarization: Callable[[Float[Array, " m"]], Float[Array, ""]] = eqx.field(static=True)

    def init(self, num_objectives: int) -> None:
        """Nothing is remembered."""
        del num_objectives

    def step(
        self,
        gramian: Gramian,
        state: None,
        *,
        losses: Float[Array, " m"],
        present: Bool[Array, " m"],
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, " m"], None]:
        """One step; the key does not matter, nor does the Gramian."""
        del gramian, state, present, key
        return jax.grad(self.scalarization)(losses), None
