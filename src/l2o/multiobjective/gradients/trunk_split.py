"""Gradients of all objectives of a network with a trunk and heads."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Array, Float, PyTree

from l2o.multiobjective.gradients.stacked import StackedGradients
from l2o.tasks import Params, TrunkAndHeads, trunk_and_heads_gradients


def trunk_split(
    trunk: Callable[[Params], PyTree[Float[Array, "..."]]],
    head_losses: Callable[[int, Params, Any], Float[Array, ""]],
    params: TrunkAndHeads,
) -> StackedGradients:
    """The whole Jacobian, where every head is differentiated once and not m times.

    **Arguments:** `trunk`, from its parameters to the representation; `head_losses`, called with
    the index of a loss, its head's parameters and the representation; `params`.
    """
    return StackedGradients(*trunk_and_heads_gradients(trunk, head_losses, params))
