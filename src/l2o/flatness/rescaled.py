"""Flatness relative to the size of parameters."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from l2o.flatness.raveled import Loss
from l2o.tasks.task import Params


def rescaled(loss: Loss, params: Params, scale: Params) -> tuple[Loss, Params]:
    """A loss as a function of relative deviations from its parameters.

    Every measure of flatness depends on the units of the parameters: a ReLU network with one layer
    multiplied by a, the next one by 1 / a, is the same network with another Hessian (Dinh et al.
    2017). Measured for the loss of relative deviations it has no units:

        trace(*rescaled(loss, params, filter_norms(params)), key)

    **Arguments:** `loss`; `params`; `scale`, the size of each parameter, as a pytree like `params`:
    `filter_norms(params)` or `parameter_sizes(params)`.

    **Returns:** the function d -> loss(params + scale * d), and d = 0.
    """

    def relative_loss(deviation: Params) -> Float[Array, ""]:
        return loss(jax.tree.map(lambda p, s, d: p + s * d, params, scale, deviation))

    return relative_loss, jax.tree.map(jnp.zeros_like, params)


def parameter_sizes(params: Params) -> Params:
    """The root mean square of each leaf.

    **Returns:** a pytree like `params`, constant in each leaf.
    """
    return jax.tree.map(lambda leaf: _root_mean_square(leaf, None), params)


def filter_norms(params: Params) -> Params:
    """The root mean square of the weights that lead into each unit.

    The last axis of a leaf is taken for the units, as it is in all networks of `l2o.tasks`: weights
    are `(inputs, units)`, kernels `(height, width, inputs, units)`. A bias is its own filter, so
    that a bias of 0 has the size 0. The filter norms of Li et al. (2018) are these times the square
    root of the number of weights into a unit.

    **Returns:** a pytree like `params`, constant over the weights into each unit.
    """
    return jax.tree.map(lambda leaf: _root_mean_square(leaf, tuple(range(leaf.ndim - 1))), params)


def _root_mean_square(
    leaf: Float[Array, "*shape"], axes: tuple[int, ...] | None
) -> Float[Array, "*shape"]:
    """The root mean square along axes, broadcast."""
    mean = jnp.mean(jnp.square(leaf), axis=axes, keepdims=True)
    # The root has no derivative at zero, where zero is the best stand-in.
    root = jnp.where(mean > 0, jnp.sqrt(jnp.where(mean > 0, mean, 1)), 0)
    return jnp.broadcast_to(root, leaf.shape)
