"""Gradients of all objectives, stacked if there is room for them."""

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from l2o.multiobjective.gradients.checks import Losses, shape_of_losses
from l2o.multiobjective.gradients.linearized import LinearizedGradients, linearized
from l2o.multiobjective.gradients.stacked import StackedGradients, stacked
from l2o.support.checks import check_at_least


def gradients(
    losses: Losses, params: PyTree, *, most_bytes: int = 2**30
) -> StackedGradients | LinearizedGradients:
    """The gradients of all objectives, stacked if m of them fit in `most_bytes`.

    Otherwise they are linearized, as many at a time as fit, at least one. What the losses need for
    their derivatives, and copies that the compiler makes, come on top of that.

    **Arguments:** `losses`, from parameters to m losses; `params`; `most_bytes`, for gradients.

    **Raises:** `ValueError` if `losses` does not give a vector, parameters are not floating-point
    arrays, or `most_bytes` is less than 1.
    """
    check_at_least("most_bytes", most_bytes, 1)
    (num_objectives,) = shape_of_losses(losses, params).shape
    bytes_of_one = sum(
        jnp.size(leaf) * jnp.result_type(leaf).itemsize for leaf in jax.tree.leaves(params)
    )
    if num_objectives * bytes_of_one <= most_bytes:
        return stacked(losses, params)
    return linearized(losses, params, chunk_size=max(1, most_bytes // bytes_of_one))
