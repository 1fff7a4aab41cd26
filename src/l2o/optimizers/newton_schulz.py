"""The nearest orthogonal matrix, roughly: Newton-Schulz iteration.

Five steps of `X <- a X + (b A + c A^2) X`, `A = X X'`, from `X` over its Frobenius norm, bring all
singular values that are not tiny into about [0.7, 1.2]. Coefficients of Jordan et al. 2024 (Muon).
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from l2o.support.scaling import root_mean_square

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_NUM_STEPS = 5


def orthogonalize(
    matrix: Float[Array, "*batch rows columns"], smallest_norm: float = 1e-8
) -> Float[Array, "*batch rows columns"]:
    """Brings the singular values of matrices near one and keeps their singular vectors.

    >>> values = jnp.linalg.svd(orthogonalize(jnp.diag(jnp.asarray([3.0, 1.0]))))[1]
    >>> bool(jnp.all((values > 0.6) & (values < 1.3)))
    True

    **Arguments:** `matrix`; `smallest_norm`, added to norms, so that zero stays zero.
    """
    is_tall = matrix.shape[-2] > matrix.shape[-1]
    wide = jnp.swapaxes(matrix, -2, -1) if is_tall else matrix
    # A norm of numbers that are neither tiny nor huge, whose squares are numbers again.
    largest = jnp.max(jnp.abs(wide), axis=(-2, -1), keepdims=True)
    scaled = wide / jnp.where(largest > 0, largest, 1.0)
    norm = jnp.linalg.norm(scaled, axis=(-2, -1), keepdims=True)
    a, b, c = _COEFFICIENTS
    wide = scaled / jnp.where(norm > 0, norm + smallest_norm / jnp.maximum(largest, 1e-30), 1.0)

    def step(_: Any, wide: Array) -> Array:
        gram = wide @ jnp.swapaxes(wide, -2, -1)
        return a * wide + (b * gram + c * gram @ gram) @ wide

    wide = jax.lax.fori_loop(0, _NUM_STEPS, step, wide)
    return jnp.swapaxes(wide, -2, -1) if is_tall else wide


def orthogonal_of_same_size(direction: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """A tensor with equal singular values and the root mean square that it has.

    **Arguments:** `direction`, of at least two axes; of more, the `squarest` matrix is taken.
    """
    matrix = direction.reshape(squarest(direction.shape))
    orthogonal = orthogonalize(matrix, smallest_norm=0.0).reshape(direction.shape)
    size = root_mean_square(orthogonal, None)
    return orthogonal * (root_mean_square(direction, None) / jnp.where(size > 0, size, 1.0))


def squarest(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of the squarest matrix of a tensor, whatever order a convolution has.

    >>> squarest((32, 16, 3, 3)), squarest((3, 3, 16, 32))
    ((32, 144), (144, 32))
    """
    place = squarest_split(shape)
    return math.prod(shape[:place]), math.prod(shape[place:])


def squarest_split(shape: tuple[int, ...]) -> int:
    """How many of a tensor's axes are the rows of its squarest matrix; the others are columns."""

    def elongation(place: int) -> float:
        rows, columns = math.prod(shape[:place]), math.prod(shape[place:])
        return max(rows, columns) / max(1, min(rows, columns))

    return min(range(1, len(shape)), key=elongation)
