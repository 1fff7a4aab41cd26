"""IMTL-G: equal projections on all gradients."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from l2o.gradients import AnyGramian
from l2o.multiobjective.programs.cosines import cosines_of


def imtl_g(gramian: AnyGramian) -> Float[Array, " m"]:
    """Weights, summing to 1, of a direction that has equal projections on all gradients.

    It conflicts with all of them where the sum before the division is negative.

    Source: Liu et al. 2021, Towards Impartial Multi-task Learning, section 3.1, in the form of
    Quinton and Rey 2024 for linearly dependent gradients; solved in the gradients' cosines.

    **Arguments:** `gramian`, of inner products of m gradients.

    **Returns:** weights, all zero where they sum to zero but for rounding.

    **Raises:** `ValueError` if the Gramian is not a square matrix.

    ```pycon
    >>> gramian = l2o.multiobjective.gramian(jnp.diag(jnp.array([1.0, 3.0])))
    >>> np.round(l2o.multiobjective.imtl_g(gramian), 3)
    Array([0.75000006, 0.25      ], dtype=float32)
    ```
    """
    norms, cosines = cosines_of(gramian)
    is_zero = norms == 0.0
    ones = jnp.where(is_zero, 0.0, 1.0).astype(norms.dtype)
    inverse = jnp.linalg.pinv(cosines, hermitian=True)
    solution = inverse @ ones
    solution = solution + inverse @ (ones - cosines @ solution)
    # In units of the smallest norm, so that nothing overflows.
    smallest = jnp.min(jnp.where(is_zero, jnp.inf, norms))
    weights = solution * jnp.where(is_zero, 0.0, smallest / jnp.where(is_zero, 1.0, norms))
    total = jnp.sum(weights)
    rounding = jnp.finfo(norms.dtype).eps
    vanishes = jnp.abs(total) <= rounding * jnp.sum(jnp.abs(weights))
    return jnp.where(vanishes, 0.0, weights / jnp.where(vanishes, 1.0, total))
