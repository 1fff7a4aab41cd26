"""Second moments that are factored into rows and columns (Shazeer and Stern 2018).

Of a tensor of rank 2 or more, the two largest axes are the factored ones: `columns` the largest and
`rows` the second largest, the later of equal ones being the larger. A row's moment is the average
of squared gradients along the columns, and the other way round; all other axes are kept. What a
tensor of a lower rank has is its moments in full.

Here tensors are stacked ones, whose first axis counts them.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from l2o.optimizers.layout import Group
from l2o.optimizers.moving_averages import moving_averages

_SMALLEST_SQUARE = 1e-30
_SMALLEST = 1e-9


class FactoredMoments(eqx.Module):
    """Exponential averages of squared gradients at several time scales."""

    rows: Float[Array, "scales tensors ..."]
    """Averages along the columns, an axis of length one; of vectors, the averages themselves."""
    columns: Float[Array, "scales tensors ..."]
    """Averages along the rows, an axis of length one; of vectors, nothing."""


def factored_axes(shape: tuple[int, ...]) -> tuple[int, int] | None:
    """The axes of rows and columns of stacked tensors; none of those of rank 0 or 1.

    >>> factored_axes((1, 3, 3, 16, 32)), factored_axes((7, 10, 10)), factored_axes((9, 8))
    ((3, 4), (1, 2), None)
    """
    if len(shape) < 3:
        return None
    order = 1 + np.argsort(shape[1:], kind="stable")
    return int(order[-2]), int(order[-1])


def init_factored(params: Group, num_scales: int) -> FactoredMoments:
    """Averages before the first gradient."""
    axes = factored_axes(params.shape)
    rows, columns = list(params.shape), list(params.shape)
    if axes is None:
        columns[1] = 0
    else:
        rows[axes[1]], columns[axes[0]] = 1, 1
    return FactoredMoments(jnp.zeros((num_scales, *rows)), jnp.zeros((num_scales, *columns)))


def update_factored(
    gradient: Group, moments: FactoredMoments, decays: Float[Array, " scales"]
) -> FactoredMoments:
    """The averages with one more gradient; decay rates out of range count as 0 or 1."""
    squares = gradient**2 + _SMALLEST_SQUARE
    decays = jnp.clip(decays, 0, 1)
    axes = factored_axes(gradient.shape)
    if axes is None:
        return FactoredMoments(moving_averages(moments.rows, squares, decays), moments.columns)
    rows, columns = (jnp.mean(squares, axis=axis, keepdims=True) for axis in reversed(axes))
    return FactoredMoments(
        moving_averages(moments.rows, rows, decays),
        moving_averages(moments.columns, columns, decays),
    )


def inverse_roots(moments: FactoredMoments, shape: tuple[int, ...]) -> Float[Array, "scales ..."]:
    """One over the root of the second moment that factors stand for, of tensors of rank 2 or more.

    It is `(r / mean r)^-1/2 c^-1/2`, the mean taken over rows; numbers below 1e-9 count as that.

    **Arguments:** `moments`; `shape`, that of the stacked tensors.
    """
    axes = factored_axes(shape)
    assert axes is not None
    mean = jnp.mean(moments.rows, axis=axes[0] + 1, keepdims=True)
    return safe_rsqrt(moments.rows / (mean + _SMALLEST)) * safe_rsqrt(moments.columns)


def safe_rsqrt(value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """One over the root; numbers below 1e-9 count as that."""
    return jax.lax.rsqrt(jnp.maximum(value, _SMALLEST))
