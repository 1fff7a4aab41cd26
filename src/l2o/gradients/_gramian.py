"""Inner products of gradients, in a form that neither overflows nor loses digits."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree


class Gramian(eqx.Module):
    """Inner products of m gradients as norms and cosines: `G = diag(norms) C diag(norms)`.

    Squares of norms leave the range of single precision long before the norms do, and where
    gradients nearly cancel, the digits that tell in which direction are those that rounding a
    cosine takes away. Where an array is asked for, it is the matrix.
    """

    norms: Float[Array, " m"]
    cosines: Float[Array, "m m"]
    """The diagonal is 1; the row and column of a gradient that is zero are zero elsewhere."""
    remainder: Float[Array, "m m"]
    """What the cosines lost to their rounding; zero where they are known no better."""
    rounding: float = eqx.field(static=True)
    """The error of cosines and remainder together."""

    @property
    def matrix(self) -> Float[Array, "m m"]:
        """The inner products themselves, as far as they are in the range of numbers."""
        # One factor after the other, since products of norms may leave the range of numbers, and
        # the same for both sides of the diagonal.
        half = self.cosines * self.norms[..., None] * self.norms[..., None, :] / 2
        return half + jnp.swapaxes(half, -1, -2)

    @property
    def shape(self) -> tuple[int, ...]:
        """`(m, m)`."""
        return self.cosines.shape

    @property
    def dtype(self) -> jnp.dtype:
        """That of norms and cosines."""
        return self.cosines.dtype

    def __len__(self) -> int:
        return len(self.norms)

    def __getitem__(self, index: Any) -> Array:
        return self.matrix[index]

    def __jax_array__(self) -> Float[Array, "m m"]:
        return self.matrix

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        del copy
        return np.asarray(self.matrix, dtype)

    @property
    def largest(self) -> Float[Array, ""]:
        """The largest norm; 1 if all are zero."""
        largest = jnp.max(self.norms)
        return jnp.where(largest == 0.0, 1.0, largest)

    @property
    def relative(self) -> "Gramian":
        """The same in units of the largest norm."""
        return self.with_norms(self.norms / self.largest)

    def with_norms(self, norms: Float[Array, " m"]) -> "Gramian":
        """The same directions with other norms."""
        return Gramian(norms, self.cosines, self.remainder, self.rounding)

    def times(self, vector: Float[Array, " m"]) -> Float[Array, " m"]:
        """`Gv`; norms are shortened together, at most to 1e15, so that it stays finite."""
        norms = self.norms / self.largest
        return jnp.minimum(self.largest, 1e15) ** 2 * (norms * (self.cosines @ (norms * vector)))


AnyGramian = Gramian | Float[Array, "m m"]
"""What a weighting takes: `gramian(jacobian)`, or a matrix of inner products."""


def as_gramian(products: AnyGramian) -> Gramian:
    """A Gramian from a matrix of inner products.

    **Arguments:** `products`, a matrix, or a `Gramian`, which is handed on.

    **Raises:** `ValueError` if it is not a square matrix.
    """
    if isinstance(products, Gramian):
        return products
    products = jnp.asarray(products)
    if products.ndim != 2 or products.shape[0] != products.shape[1] or products.shape[0] == 0:
        raise ValueError(f"A Gramian is a square matrix (m, m), got shape {products.shape}.")
    products = products.astype(jnp.promote_types(products.dtype, jnp.float32))
    squares = jnp.diag(products)
    is_zero = squares <= 0.0
    norms = jnp.where(is_zero, 0.0, jnp.sqrt(jnp.where(is_zero, 1.0, squares)))
    divisors = jnp.where(is_zero, 1.0, norms)
    # Divided one after the other: products of norms may leave the range of numbers.
    return from_cosines(norms, products / divisors[:, None] / divisors)


def from_cosines(norms: Float[Array, " m"], cosines: Float[Array, "m m"]) -> Gramian:
    """A Gramian of cosines that are known up to their own rounding, or hardly so.

    **Arguments:** `norms`; `cosines`, of which those with a gradient that is zero do not matter.
    """
    cosines = tidied(norms, cosines)
    return Gramian(norms, cosines, jnp.zeros_like(cosines), float(jnp.finfo(cosines.dtype).eps))


def largest_number(tree: PyTree) -> Float[Array, ""]:
    """The largest magnitude in a tree, in single precision at least; 0 if it is empty."""
    sizes = [jnp.max(jnp.abs(leaf), initial=0) for leaf in jax.tree.leaves(tree)]
    return jnp.max(jnp.stack([jnp.zeros((), jnp.float32), *sizes]))


def divided(tree: PyTree, power: Float[Array, ""]) -> PyTree:
    """All numbers of a tree divided by a power of two, which half precision may lack."""

    def divide(leaf: Float[Array, "..."]) -> Float[Array, "..."]:
        return (leaf.astype(jnp.promote_types(leaf.dtype, power.dtype)) / power).astype(leaf.dtype)

    # Apart from what makes the numbers and from what uses them, which is slower together.
    return jax.lax.optimization_barrier(jax.tree.map(divide, tree))


def from_own_units(products: Float[Array, "m m"], powers: Float[Array, " m"]) -> Gramian:
    """A Gramian of products of gradients that were divided by a power of two each.

    So products stay in the range of numbers wherever norms do, and keep all of their digits.

    **Arguments:** `products`, of what was divided; rounding may have taken from them that they are
    symmetric; `powers`, near the largest number of each gradient.
    """
    gramian = as_gramian((products + products.T) / 2)
    return gramian.with_norms(gramian.norms * powers)


def tidied(norms: Float[Array, " m"], cosines: Float[Array, "m m"]) -> Float[Array, "m m"]:
    """Cosines between -1 and 1, with zeros and the diagonal as in a `Gramian`."""
    is_zero = norms == 0.0
    cosines = jnp.where(is_zero[:, None] | is_zero, 0.0, cosines)
    cosines = jnp.clip(cosines, -1.0, 1.0)
    return jnp.where(jnp.eye(len(norms), dtype=bool), 1.0, cosines)
