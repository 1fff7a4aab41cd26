"""GradDrop: gradient sign dropout."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from l2o.multiobjective.jacobian import Jacobian


def graddrop(jacobian: Jacobian, *, key: PRNGKeyArray) -> PyTree:
    """Keeps in every coordinate the gradients of one sign, the purer one more likely.

    Source: Chen et al. 2020, Just Pick a Sign, algorithm 1, lines 10 to 15, without leaks.

    **Arguments:** `jacobian`, gradients stacked along the leading axis of every leaf; `key`,
    randomness of the step.

    **Returns:** the sum of what is kept, with the structure of the parameters.
    """
    leaves, structure = jax.tree.flatten(jacobian)

    def drop(leaf: Float[Array, "m ..."], key: PRNGKeyArray) -> Float[Array, "..."]:
        total = jnp.sum(jnp.abs(leaf), axis=0)
        purity = (1 + jnp.sum(leaf, axis=0) / jnp.where(total > 0.0, total, 1.0)) / 2
        draw = jax.random.uniform(key, purity.shape, leaf.dtype)
        kept = jnp.where(purity > draw, leaf > 0.0, leaf < 0.0)
        return jnp.sum(jnp.where(kept, leaf, 0.0), axis=0)

    keys = jax.random.split(key, len(leaves))
    return jax.tree.unflatten(structure, map(drop, leaves, keys))
