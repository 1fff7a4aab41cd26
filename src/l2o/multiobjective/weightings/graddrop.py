"""GradDrop: gradient sign dropout."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from l2o.gradients import Jacobian, num_objectives
from l2o.support.keys import check_key


def graddrop(jacobian: Jacobian, *, leak: ArrayLike = 0.0, key: PRNGKeyArray) -> PyTree:
    """Keeps in every coordinate the gradients of one sign, the purer one more likely.

    Source: Chen et al. 2020, Just Pick a Sign, algorithm 1, lines 10 to 15.

    **Arguments:** `jacobian`, gradients stacked along the leading axis of every leaf; `leak`, the
    share of a gradient that is kept whatever its sign, one number or m; `key`, randomness of the
    step.

    **Returns:** the sum of what is kept, with the structure of the parameters.

    **Raises:** `ValueError` if there is not one leak or m.

    ```pycon
    >>> jacobian = jnp.array([[1.0, 2.0], [1.0, 2.0]])  # no signs to choose from
    >>> l2o.multiobjective.graddrop(jacobian, key=jax.random.key(0))
    Array([2., 4.], dtype=float32)
    ```
    """
    m = num_objectives(jacobian)
    shares = jnp.asarray(leak)
    if shares.shape not in ((), (m,)):
        raise ValueError(f"There must be one leak or {m}, got shape {shares.shape}.")
    check_key(key)
    leaves, structure = jax.tree.flatten(jacobian)

    def drop(leaf: Float[Array, "m ..."], key: PRNGKeyArray) -> Float[Array, "..."]:
        total = jnp.sum(jnp.abs(leaf), axis=0)
        purity = (1 + jnp.sum(leaf, axis=0) / jnp.where(total > 0.0, total, 1.0)) / 2
        draw = jax.random.uniform(key, purity.shape, leaf.dtype)
        kept = jnp.where(purity > draw, leaf > 0.0, leaf < 0.0)
        leaks = jnp.broadcast_to(shares, m).astype(leaf.dtype)
        leaks = leaks.reshape(m, *[1] * (leaf.ndim - 1))
        return jnp.sum(jnp.where(kept, leaf, leaks * leaf), axis=0)

    keys = jax.random.split(key, len(leaves))
    return jax.tree.unflatten(structure, map(drop, leaves, keys))
