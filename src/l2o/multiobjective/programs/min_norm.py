"""The point of least norm among convex combinations of gradients."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from l2o.gradients import AnyGramian, as_gramian
from l2o.multiobjective.programs.nonnegative_program import program_of


@jax.jit
def min_norm_weights(
    gramian: AnyGramian, counts: Bool[Array, " m"] | None = None
) -> Float[Array, " m"]:
    """`argmin w'Gw` over the simplex.

    Up to its scale, w minimises `w'(G + c 11')w / 2 - c 1'w` over `w >= 0` whatever `c > 0`: for
    `w = t u` with u on the simplex, the best t leaves `c^2 / (2 (u'Gu + c)) `, with a minus sign.
    That program is solved in units in which all gradients have norm 1 and c is the square of the
    smallest norm, which keeps it well-conditioned however different the norms are.

    **Arguments:** `gramian`, of m gradients; `counts`, those that are combined, by default all.

    **Returns:** weights, non-negative and summing to 1.

    **Raises:** `ValueError` if the Gramian is not a square matrix.
    """
    gramian = as_gramian(gramian)
    is_zero = gramian.norms == 0.0
    counts = jnp.ones_like(is_zero) if counts is None else counts
    smallest = jnp.min(gramian.norms, initial=jnp.inf, where=counts)
    inverses = jnp.where(is_zero, 1.0, smallest / jnp.where(is_zero, 1.0, gramian.norms))
    inverses = jnp.where(counts, inverses, 0.0)
    scaled = program_of(_least_norm, gramian.cosines, gramian.remainder, inverses)
    weights = jnp.where(counts, scaled * inverses, 0.0)
    total = jnp.sum(weights)
    return weights / jnp.where(total == 0.0, 1.0, total)


def _least_norm(cosines: Array, inverses: Array) -> tuple[Array, Array]:
    return cosines + inverses[:, None] * inverses, -inverses
