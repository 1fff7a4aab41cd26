"""PCGrad: gradient surgery."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from l2o.gradients import AnyGramian
from l2o.multiobjective.programs.cosines import cosines_of, weights_from_scaled_rows
from l2o.multiobjective.weightings.orders import random_orders


def pcgrad(gramian: AnyGramian, *, key: PRNGKeyArray | None = None) -> Float[Array, " m"]:
    """Takes from every gradient its components against the others, one after the other.

    The result is the sum of what remains. With more than two gradients it may conflict.

    Source: Yu et al. 2020, Gradient Surgery for Multi-Task Learning, algorithm 1.

    **Arguments:** `gramian`, of inner products of m gradients; `key`, for the random order of the
    others; without one they are taken in the order of the rows.

    **Raises:** `ValueError` if the Gramian is not a square matrix.

    ```pycon
    >>> jacobian = jnp.array([[1.0, 0.0], [0.0, 1.0]])  # they do not conflict
    >>> l2o.multiobjective.pcgrad(l2o.multiobjective.gramian(jacobian))
    Array([1., 1.], dtype=float32)
    ```
    """
    norms, cosines = cosines_of(gramian)
    m = len(norms)

    def project(own: Int[Array, ""], order: Int[Array, " m"]) -> Float[Array, " m"]:
        def remove(row: Float[Array, " m"], other: Int[Array, ""]) -> tuple[Array, None]:
            product = cosines[other] @ row
            conflicts = (product < 0.0) & (other != own)
            return row.at[other].add(jnp.where(conflicts, -product, 0.0)), None

        return jax.lax.scan(remove, jnp.eye(m, dtype=norms.dtype)[own], order)[0]

    rows = jax.vmap(project)(jnp.arange(m, dtype=jnp.int32), random_orders(m, key))
    return weights_from_scaled_rows(rows, norms)
