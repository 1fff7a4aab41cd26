"""Aligned-MTL: independent component alignment."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from l2o.multiobjective.precision import in_double_precision
from l2o.multiobjective.weightings.linear import preference_or_mean


def aligned_mtl(
    gramian: Float[Array, "m m"],
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
    """
    weights = preference_or_mean(gramian, preference)
    values, inverse_root = _eigenvalues_and_inverse_root(gramian)
    balanced = jnp.sqrt(scale(values)) * (inverse_root @ weights)
    return jnp.where(jnp.all(gramian == 0.0), weights, balanced)


@jax.custom_jvp
def _eigenvalues_and_inverse_root(gramian: Float[Array, "m m"]) -> tuple[Array, Array]:
    """Eigenvalues, NaN where they are zero but for rounding, and the pseudo-inverse's root."""
    values, vectors, is_null = _eigensystem(gramian)
    inverse_roots = jnp.where(is_null, 0.0, 1 / jnp.sqrt(jnp.where(is_null, 1.0, values)))
    return jnp.where(is_null, jnp.nan, values), (vectors * inverse_roots) @ vectors.T


@_eigenvalues_and_inverse_root.defjvp
def _(
    primals: tuple[Array], tangents: tuple[Array]
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """The derivative of a function of a matrix (Daleckii and Krein 1965)."""
    (gramian,), (tangent,) = primals, tangents
    values, vectors, is_null = _eigensystem(gramian)
    roots = jnp.sqrt(jnp.where(is_null, 1.0, values))
    both = -1 / (roots[:, None] * roots * (roots[:, None] + roots))
    one = 1 / jnp.where(is_null[:, None], roots, roots[:, None]) ** 3
    slopes = jnp.where(is_null[:, None] ^ is_null, one, both)
    slopes = jnp.where(is_null[:, None] & is_null, 0.0, slopes)
    rotated = vectors.T @ ((tangent + tangent.T) / 2) @ vectors
    tangents_out = jnp.diag(rotated), vectors @ (slopes * rotated) @ vectors.T
    return _eigenvalues_and_inverse_root(gramian), tangents_out


def _eigensystem(gramian: Float[Array, "m m"]) -> tuple[Array, Array, Array]:
    def decompose(gramian: Float[Array, "m m"]) -> Float[Array, "rows m"]:
        values, vectors = jnp.linalg.eigh(gramian)
        return jnp.concatenate([values[None], vectors])

    # Held constant: the rule above is what is differentiated.
    system = in_double_precision(decompose)(jax.lax.stop_gradient(gramian))
    rounding = len(gramian) * float(jnp.finfo(gramian.dtype).eps)
    return system[0], system[1:], system[0] <= rounding * system[0, -1]
