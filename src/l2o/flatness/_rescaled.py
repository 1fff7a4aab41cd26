"""Flatness relative to the size of parameters."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from l2o.flatness.raveled import Loss, in_single, moves, split, still
from l2o.support.scaling import root_mean_square


def rescaled(loss: Loss, params: PyTree, scale: PyTree) -> tuple[Loss, PyTree]:
    """A loss as a function of relative deviations from its parameters.

    Every measure of flatness depends on the units of the parameters: a ReLU network with one layer
    multiplied by a, the next one by 1 / a, is the same network with another Hessian (Dinh et al.
    2017). Measured for the loss of relative deviations it has no units:

        trace(*rescaled(loss, params, filter_norms(params)), key)

    **Arguments:** `loss`; `params`; `scale`, the size of each parameter, as a pytree like `params`:
    `filter_norms(params)` or `parameter_sizes(params)`.

    **Returns:** the function d -> loss(params + scale * d), and d = 0. Leaves that are no
    floating-point arrays do not deviate.

    **Raises:** `ValueError` if some parameters are complex.

    ```pycon
    >>> loss = lambda x: jnp.sum(x**2)
    >>> relative, deviations = l2o.flatness.rescaled(loss, jnp.ones(2), 10.0 * jnp.ones(2))
    >>> float(relative(deviations)), float(relative(jnp.full(2, 0.1)))
    (2.0, 8.0)
    ```
    """
    moving, held = split(params)
    mask = moves(params)

    def relative_loss(deviation: PyTree) -> Float[Array, ""]:
        moved = jax.tree.map(
            lambda p, s, d: p + s * d, moving, eqx.filter(scale, mask), eqx.filter(deviation, mask)
        )
        return loss(eqx.combine(moved, held))

    return relative_loss, eqx.combine(jax.tree.map(jnp.zeros_like, moving), still(held))


def parameter_sizes(params: PyTree) -> PyTree:
    """The root mean square of each leaf.

    **Returns:** a pytree like `params`, constant in each leaf; 0 for integers.

    **Raises:** `ValueError` if some parameters are complex.

    ```pycon
    >>> l2o.flatness.parameter_sizes(jnp.array([3.0, -3.0]))
    Array([3., 3.], dtype=float32)
    ```
    """
    return _sizes(params, lambda leaf: None)


def filter_norms(params: PyTree) -> PyTree:
    """The root mean square of the weights that lead into each unit.

    The last axis of a leaf is taken for the units, as it is in all networks of `l2o.tasks`: weights
    are `(inputs, units)`, kernels `(height, width, inputs, units)`. A bias is its own filter, so
    that a bias of 0 has the size 0. The filter norms of Li et al. (2018) are these times the square
    root of the number of weights into a unit.

    **Returns:** a pytree like `params`, constant over the weights into each unit; 0 for integers.

    **Raises:** `ValueError` if some parameters are complex.

    ```pycon
    >>> l2o.flatness.filter_norms({"weight": jnp.array([[3.0, 1.0], [4.0, 1.0]])})["weight"]
    Array([[3.535534, 1.      ],
           [3.535534, 1.      ]], dtype=float32)
    ```
    """
    return _sizes(params, lambda leaf: tuple(range(leaf.ndim - 1)))


def _sizes(params: PyTree, axes: Callable[[Array], tuple[int, ...] | None]) -> PyTree:
    """The root mean square of each leaf along some of its axes, broadcast."""

    def size(leaf: Any) -> Array:
        leaf = jnp.asarray(leaf)
        return root_mean_square(in_single(leaf), axes(leaf)).astype(leaf.dtype)

    moving, held = split(params)
    return eqx.combine(jax.tree.map(size, moving), still(held))
