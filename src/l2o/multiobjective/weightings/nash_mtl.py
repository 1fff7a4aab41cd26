"""Nash-MTL: multi-task learning as a bargaining game."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from l2o.gradients import AnyGramian, as_gramian
from l2o.multiobjective.programs.fair_program import fair_weights
from l2o.support.checks import check_number


def nash_mtl(gramian: AnyGramian, *, max_norm: float | None = 1.0) -> Float[Array, " m"]:
    """The Nash bargaining solution: weights `w > 0` with `Gw = |G| / w`.

    The product of the objectives' decreases is the largest possible for a step of its length.

    Source: Navon et al. 2022, Multi-Task Learning as a Bargaining Game, claim 3.1; the division
    by the Frobenius norm of G and `max_norm` are those of its public code. Solved by Newton
    steps, not by a sequence of convex programs.

    **Arguments:** `gramian`, of inner products of m gradients; `max_norm`, what the combined
    gradient is shortened to, or `None` for no limit.

    **Returns:** the weights, or those of MGDA where there are none: `fairness_gap` tells.

    **Raises:** `ValueError` if the Gramian is not a square matrix, or the norm is not positive.

    ```pycon
    >>> gramian = l2o.multiobjective.gramian(jnp.diag(jnp.array([1.0, 2.0])))
    >>> np.round(l2o.multiobjective.nash_mtl(gramian, max_norm=None), 3)
    Array([2.0310001, 1.0150001], dtype=float32)
    ```
    """
    if max_norm is not None:
        check_number("max_norm", max_norm, above=0)
    gramian = as_gramian(gramian)
    relative = gramian.relative
    tiny = jnp.finfo(gramian.dtype).tiny
    frobenius = jnp.sqrt(jnp.sum(relative.matrix**2) + tiny)
    weights = fair_weights(relative.with_norms(relative.norms / jnp.sqrt(frobenius)), 1.0)
    if max_norm is None:
        return weights
    scaled = relative.norms * weights
    square = scaled @ (relative.cosines @ scaled + relative.remainder @ scaled)
    norm = gramian.largest * jnp.sqrt(jnp.maximum(square, tiny))
    return weights * jnp.minimum(1.0, max_norm / norm)
