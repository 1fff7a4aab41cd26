"""A loss as a function of one vector."""

from collections.abc import Callable
from typing import NamedTuple

from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from l2o.tasks.task import Params

Loss = Callable[[Params], Float[Array, ""]]
"""Any scalar function of a pytree of parameters."""


class Raveled(NamedTuple):
    """A loss and its parameters, laid out as one vector."""

    loss: Callable[[Float[Array, " parameters"]], Float[Array, ""]]
    params: Float[Array, " parameters"]
    unravel: Callable[[Float[Array, " parameters"]], Params]
    """From a vector to the pytree."""


def ravel(loss: Loss, params: Params) -> Raveled:
    """Lays parameters out as one vector.

    **Arguments:** `loss`; `params`, any pytree of floating-point arrays.

    **Returns:** the same loss as a function of that vector, the vector, and the way back.

    **Raises:** `ValueError` if there are no parameters.
    """
    vector, unravel = ravel_pytree(params)
    if vector.size == 0:
        raise ValueError("The loss must have at least one parameter, got none.")
    return Raveled(lambda point: loss(unravel(point)), vector, unravel)
