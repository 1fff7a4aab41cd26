"""Nash-MTL: multi-task learning as a bargaining game."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from l2o.multiobjective.fair_program import fair_weights


def nash_mtl(gramian: Float[Array, "m m"], *, max_norm: float | None = 1.0) -> Float[Array, " m"]:
    """The Nash bargaining solution: weights `w > 0` with `Gw = |G| / w`.

    The product of the objectives' decreases is the largest possible for a step of its length.

    Source: Navon et al. 2022, Multi-Task Learning as a Bargaining Game, claim 3.1; the division
    by the Frobenius norm of G and `max_norm` are those of its public code. Solved by Newton
    steps, not by a sequence of convex programs.

    **Arguments:** `gramian`, of inner products of m gradients; `max_norm`, what the combined
    gradient is shortened to, or `None` for no limit.

    **Returns:** the weights, or those of MGDA where there are none: `fairness_gap` tells.

    **Raises:** `ValueError` if the Gramian is not a square matrix.
    """
    size = jnp.max(jnp.diag(gramian))
    size = jnp.where(size > 0.0, size, 1.0)
    normalized = gramian / size
    normalized = normalized / jnp.sqrt(jnp.sum(normalized**2) + jnp.finfo(gramian.dtype).tiny)
    weights = fair_weights(normalized, 1.0)
    if max_norm is None:
        return weights
    square = weights @ (gramian / size) @ weights
    norm = jnp.sqrt(size) * jnp.sqrt(jnp.maximum(square, jnp.finfo(gramian.dtype).tiny))
    return weights * jnp.minimum(1.0, max_norm / norm)
