"""Aligned-MTL: independent component alignment."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from l2o.gradients import AnyGramian, Gramian, as_gramian
from l2o.multiobjective.weightings.linear import preference_or_mean
from l2o.support.double_precision import in_double_precision


def aligned_mtl(
    gramian: AnyGramian,
    *,
    preference: ArrayLike | None = None,
    scale: Callable[[Float[Array, " m"]], Float[Array, ""]] = jnp.nanmin,
) -> Float[Array, " m"]:
    """Makes all singular values of the Jacobian equal: `sqrt(s) G^(-1/2) p`.

    Source: Senushkin et al. 2023, Independent Component Alignment for Multi-Task Learning,
    algorithm 1.

    **Arguments:** `gramian`, of inner products of m gradients; `preference`, p, by default
    `1 / m`; `scale`, gives s from the eigenvalues of the Gramian, of which those that are zero
    but for rounding are NaN: `jnp.nanmin`, `jnp.nanmedian` or `jnp.nanmean`.

    **Raises:** `ValueError` if there are not m weights.

    ```pycon
    >>> gramian = l2o.multiobjective.gramian(jnp.diag(jnp.array([1.0, 3.0])))
    >>> np.round(l2o.multiobjective.aligned_mtl(gramian), 3)
    Array([0.5       , 0.16700001], dtype=float32)
    ```
    """
    gramian = as_gramian(gramian).relative
    weights = preference_or_mean(gramian, preference)
    values, inverse_root = _eigenvalues_and_inverse_root(gramian.matrix, *_eigensystem(gramian))
    balanced = jnp.sqrt(scale(values)) * (inverse_root @ weights)
    return jnp.where(jnp.all(gramian.norms == 0.0), weights, balanced)


@jax.custom_jvp
def _eigenvalues_and_inverse_root(
    matrix: Float[Array, "m m"],
    values: Float[Array, " m"],
    vectors: Float[Array, "m m"],
    is_null: Bool[Array, " m"],
) -> tuple[Array, Array]:
    """Eigenvalues, NaN where they are zero but for rounding, and the pseudo-inverse's root."""
    del matrix
    inverse_roots = jnp.where(is_null, 0.0, 1 / jnp.sqrt(jnp.where(is_null, 1.0, values)))
    return jnp.where(is_null, jnp.nan, values), (vectors * inverse_roots) @ vectors.T


@_eigenvalues_and_inverse_root.defjvp
def _(
    primals: tuple[Array, ...], tangents: tuple[Array, ...]
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """The derivative of a function of a matrix (Daleckii and Krein 1965)."""
    matrix, values, vectors, is_null = primals
    tangent = tangents[0]
    roots = jnp.sqrt(jnp.where(is_null, 1.0, values))
    both = -1 / (roots[:, None] * roots * (roots[:, None] + roots))
    one = 1 / jnp.where(is_null[:, None], roots, roots[:, None]) ** 3
    slopes = jnp.where(is_null[:, None] ^ is_null, one, both)
    slopes = jnp.where(is_null[:, None] & is_null, 0.0, slopes)
    rotated = vectors.T @ ((tangent + tangent.T) / 2) @ vectors
    tangents_out = jnp.diag(rotated), vectors @ (slopes * rotated) @ vectors.T
    return _eigenvalues_and_inverse_root(matrix, values, vectors, is_null), tangents_out


def _eigensystem(gramian: Gramian) -> tuple[Array, Array, Array]:
    """Eigenvalues, eigenvectors, and which of the former are zero but for rounding.

    They are held constant: the rule above is what is differentiated.
    """

    def decompose(norms: Array, cosines: Array, remainder: Array) -> Float[Array, "rows m"]:
        products = (cosines + remainder) * norms[:, None] * norms
        values, vectors = jnp.linalg.eigh(products)
        return jnp.concatenate([values[None], vectors])

    held = jax.lax.stop_gradient((gramian.norms, gramian.cosines, gramian.remainder))
    system = in_double_precision(decompose)(*held)
    rounding = len(gramian) * gramian.rounding
    return system[0], system[1:], system[0] <= rounding * system[0, -1]
