"""Gradients of several losses that see most parameters through one representation."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from l2o.tasks.task import Params


class TrunkAndHeads(NamedTuple):
    """Parameters that all losses share, and those of each loss alone."""

    trunk: Params
    heads: tuple[Params, ...]


def trunk_and_heads_gradients(
    trunk: Callable[[Params], PyTree[Float[Array, "..."]]],
    head_losses: Callable[[int, Params, Any], Float[Array, ""]],
    params: TrunkAndHeads,
) -> tuple[Float[Array, " m"], TrunkAndHeads]:
    """All losses and their gradients, each head differentiated once.

    The gradients with respect to the representation, small as a rule, are stacked and go through
    the trunk together; a loss's gradient with respect to the other heads is zero and not computed.

    **Arguments:** `trunk`, from its parameters to the representation; `head_losses`, called with
    the index of a loss, its head's parameters and the representation; `params`.

    **Returns:** m losses, and their gradients stacked along the leading axis of every leaf.
    """
    representation, through_trunk = jax.vjp(trunk, params.trunk)
    found = [
        jax.value_and_grad(lambda head, z, i=index: head_losses(i, head, z), argnums=(0, 1))(
            head, representation
        )
        for index, head in enumerate(params.heads)
    ]
    losses = jnp.stack([loss for loss, _ in found])
    stacked = jax.tree.map(lambda *rows: jnp.stack(rows), *(grads[1] for _, grads in found))
    (trunk_jacobian,) = jax.vmap(through_trunk)(stacked)

    def in_row(index: int, gradient: Float[Array, "..."]) -> Float[Array, "m ..."]:
        return jnp.zeros((len(losses), *gradient.shape), gradient.dtype).at[index].set(gradient)

    heads = tuple(
        jax.tree.map(lambda leaf, i=index: in_row(i, leaf), grads[0])
        for index, (_, grads) in enumerate(found)
    )
    return losses, TrunkAndHeads(trunk_jacobian, heads)
