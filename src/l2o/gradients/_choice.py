"""Gradients of all objectives, stacked if there is room for them."""

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from l2o.gradients._linearized import LinearizedGradients, linearized
from l2o.gradients._stacked import StackedGradients, stacked
from l2o.gradients.checks import Losses, shape_of_losses
from l2o.support.checks import check_at_least

MOST_BYTES = 2**30
"""What stacked gradients may take where nothing else is said."""


def gradients(
    losses: Losses, params: PyTree, *, most_bytes: int = MOST_BYTES
) -> StackedGradients | LinearizedGradients:
    """The gradients of all objectives, stacked if m of them fit in `most_bytes`.

    Otherwise they are linearized, as many at a time as fit, at least one. What the losses need for
    their derivatives, and copies that the compiler makes, come on top of that.

    **Arguments:** `losses`, from parameters to m losses; `params`; `most_bytes`, for gradients.

    **Raises:** `ValueError` if `losses` does not give a vector, parameters are not floating-point
    arrays, or `most_bytes` is less than 1.

    ```pycon
    >>> losses = lambda x: jnp.stack([jnp.sum((x - 1) ** 2), jnp.sum((x + 1) ** 2)])
    >>> found = l2o.multiobjective.gradients(losses, jnp.zeros(2))
    >>> found.losses, found.jacobian
    (Array([2., 2.], dtype=float32), Array([[-2., -2.],
           [ 2.,  2.]], dtype=float32))
    ```
    """
    check_at_least("most_bytes", most_bytes, 1)
    (num_objectives,) = shape_of_losses(losses, params).shape
    chunk_size = chunk_that_fits(num_objectives, params, most_bytes)
    if chunk_size == num_objectives:
        return stacked(losses, params)
    return linearized(losses, params, chunk_size=chunk_size)


def chunk_that_fits(num_objectives: int, params: PyTree, most_bytes: int = MOST_BYTES) -> int:
    """How many of m gradients fit in so many bytes, at least one.

    **Arguments:** `num_objectives`, m; `params`, of whose shapes gradients are; `most_bytes`.
    """
    bytes_of_one = sum(
        jnp.size(leaf) * jnp.result_type(leaf).itemsize for leaf in jax.tree.leaves(params)
    )
    return min(num_objectives, max(1, most_bytes // max(1, bytes_of_one)))
