"""Gradients of several objectives, stacked: a Jacobian as a pytree."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

Jacobian = PyTree[Float[Array, "..."]]
"""Gradients of m objectives: every leaf has the leading axis m. A matrix (m, d) is one, too."""


def num_objectives(jacobian: Jacobian) -> int:
    """The length m of the leading axis of all leaves.

    **Raises:** `ValueError` if there is no leaf, or the leaves have no common leading axis.
    """
    leaves = jax.tree.leaves(jacobian)
    sizes = {leaf.shape[:1] for leaf in leaves}
    if len(sizes) != 1 or () in sizes or (0,) in sizes:
        shapes = [leaf.shape for leaf in leaves]
        raise ValueError(
            f"Stacked gradients have a common leading axis, one entry an objective; got {shapes}."
        )
    return leaves[0].shape[0]


def gramian(jacobian: Jacobian) -> Float[Array, "m m"]:
    """Inner products of the gradients, `JJ'`.

    **Arguments:** `jacobian`, gradients stacked along the leading axis of every leaf.

    **Raises:** `ValueError` if the leaves have no common leading axis.
    """
    m = num_objectives(jacobian)

    def products(leaf: Float[Array, "m ..."]) -> Float[Array, "m m"]:
        rows = leaf.reshape(m, -1)
        return jnp.matmul(rows, rows.T, precision=jax.lax.Precision.HIGHEST)

    return sum(map(products, jax.tree.leaves(jacobian)), start=jnp.zeros(()))


def combine(jacobian: Jacobian, weights: Float[Array, " m"]) -> PyTree:
    """The weighted sum of the gradients, `J'w`, with the structure of the parameters."""
    return jax.tree.map(
        lambda leaf: jnp.tensordot(weights.astype(leaf.dtype), leaf, axes=1), jacobian
    )


def products_with(jacobian: Jacobian, direction: PyTree) -> Float[Array, " m"]:
    """Inner products of all gradients with a direction, `Jd`."""

    def products(leaf: Float[Array, "m ..."], part: Float[Array, "..."]) -> Float[Array, " m"]:
        return leaf.reshape(len(leaf), -1) @ part.reshape(-1)

    return sum(jax.tree.leaves(jax.tree.map(products, jacobian, direction)), start=jnp.zeros(()))


def squared_norm(tree: PyTree) -> Float[Array, ""]:
    """The sum of squares of all numbers of a tree."""
    return sum((jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)), start=jnp.zeros(()))
