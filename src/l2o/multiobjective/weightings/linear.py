"""Weights that do not depend on the gradients."""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from l2o.gradients import AnyGramian, as_gramian


def mean(gramian: AnyGramian) -> Float[Array, " m"]:
    """Equal weights, `1 / m`: the gradient of the mean loss.

    **Arguments:** `gramian`, of inner products of m gradients; only its size matters.

    ```pycon
    >>> l2o.multiobjective.mean(l2o.multiobjective.gramian(jnp.eye(2)))
    Array([0.5, 0.5], dtype=float32)
    ```
    """
    gramian = as_gramian(gramian)
    return jnp.full_like(gramian.norms, 1 / len(gramian))


def sum_(gramian: AnyGramian) -> Float[Array, " m"]:
    """Weights of 1: the gradient of the sum of the losses.

    **Arguments:** `gramian`, of inner products of m gradients; only its size matters.

    ```pycon
    >>> l2o.multiobjective.sum_(l2o.multiobjective.gramian(jnp.eye(2)))
    Array([1., 1.], dtype=float32)
    ```
    """
    return jnp.ones_like(as_gramian(gramian).norms)


def constant(gramian: AnyGramian, *, weights: ArrayLike) -> Float[Array, " m"]:
    """Weights chosen by hand: linear scalarisation.

    **Arguments:** `gramian`, of inner products of m gradients; `weights`, m of them.

    **Raises:** `ValueError` if there are not m weights.

    ```pycon
    >>> gramian = l2o.multiobjective.gramian(jnp.eye(2))
    >>> l2o.multiobjective.constant(gramian, weights=jnp.array([0.2, 0.8]))
    Array([0.2, 0.8], dtype=float32)
    ```
    """
    return preference_or_mean(gramian, weights)


def preference_or_mean(gramian: AnyGramian, preference: ArrayLike | None) -> Float[Array, " m"]:
    """The preference of a caller, by default `1 / m` each.

    **Raises:** `ValueError` if there are not m of them.
    """
    if preference is None:
        return mean(gramian)
    gramian = as_gramian(gramian)
    weights = jnp.asarray(preference, gramian.dtype)
    if weights.shape != (len(gramian),):
        raise ValueError(f"There must be {len(gramian)} weights, got shape {weights.shape}.")
    return weights
