"""Checks of losses and parameters, before anything is differentiated."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

Losses = Callable[[PyTree], jax.Array]
"""From parameters to a vector of losses."""


def shape_of_losses(losses: Losses, params: PyTree) -> jax.ShapeDtypeStruct:
    """Shape (m,) and dtype of the losses; nothing is computed.

    **Raises:** `ValueError` if the parameters are not all floating-point arrays, or the losses
    not a vector of at least one of them.
    """
    dtypes = [jnp.result_type(leaf) for leaf in jax.tree.leaves(params)]
    if not dtypes or not all(jnp.issubdtype(dtype, jnp.floating) for dtype in dtypes):
        raise ValueError(
            "Gradients are taken with respect to floating-point arrays, got parameters of dtypes "
            f"{[str(dtype) for dtype in dtypes]}."
        )
    found = jax.eval_shape(losses, params)
    shapes = [leaf.shape for leaf in jax.tree.leaves(found)]
    if (
        not isinstance(found, jax.ShapeDtypeStruct)
        or len(found.shape) != 1
        or found.shape == (0,)
        or not jnp.issubdtype(found.dtype, jnp.floating)
    ):
        raise ValueError(
            "losses gives one vector of floating-point numbers, one of them an objective, got "
            f"shapes {shapes}."
        )
    return found
