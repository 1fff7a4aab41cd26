"""The point of least norm among convex combinations of gradients."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from l2o.multiobjective.cosines import cosines_of
from l2o.multiobjective.nonnegative_program import nonnegative_program


@jax.jit
def min_norm_weights(gramian: Float[Array, "m m"]) -> Float[Array, " m"]:
    """`argmin w'Gw` over the simplex.

    Up to its scale, w minimises `w'(G + c 11')w / 2 - c 1'w` over `w >= 0` whatever `c > 0`: for
    `w = t u` with u on the simplex, the best t leaves `c^2 / (2 (u'Gu + c)) `, with a minus sign.
    That program is solved in units in which all gradients have norm 1 and c is the square of the
    smallest norm, which keeps it well-conditioned however different the norms are.

    **Arguments:** `gramian`, of inner products of m gradients.

    **Returns:** weights, non-negative and summing to 1.

    **Raises:** `ValueError` if the Gramian is not a square matrix.
    """
    norms, cosines = cosines_of(gramian)
    is_zero = norms == 0.0
    smallest = jnp.min(norms)
    inverses = jnp.where(is_zero, 1.0, smallest / jnp.where(is_zero, 1.0, norms))
    scaled = nonnegative_program(cosines + inverses[:, None] * inverses, -inverses)
    weights = scaled * inverses
    return weights / jnp.sum(weights)
