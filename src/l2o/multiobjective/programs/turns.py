"""One program after another, where two at the same time would wait for each other."""

import jax.numpy as jnp
from jaxtyping import Array, Bool

from l2o.gradients import Gramian, as_gramian


def in_turn(gramian: Gramian, skip: Bool[Array, ""]) -> Gramian:
    """Lets a fallback be computed after what it stands in for, never at the same time.

    Of mapped programs, two that factor matrices at once may wait for each other forever: jaxlib
    divides a batch of factors among the very threads that it is called from.

    **Arguments:** `gramian`, of the fallback; `skip`, whether it is not needed, which is known
    once the other one is done.

    **Returns:** the Gramian, or that of units orthogonal to one another if there is nothing to do.
    """
    nothing = as_gramian(jnp.eye(len(gramian), dtype=gramian.dtype))
    return Gramian(
        jnp.where(skip, nothing.norms, gramian.norms),
        jnp.where(skip, nothing.cosines, gramian.cosines),
        jnp.where(skip, nothing.remainder, gramian.remainder),
        gramian.rounding,
    )
