"""Lanczos' method for symmetric linear maps, also where a Krylov space ends before its time."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from l2o.support.scaling import length_and_unit, power_of_two

Vector = Float[Array, " size"]


class RitzPairs(eqx.Module):
    """What a symmetric map looks like in Krylov spaces: approximate eigenvalues and -vectors.

    The eigenvalues near the ends of the spectrum converge first.
    """

    values: Float[Array, " steps"]
    """Ascending."""
    weights: Float[Array, " steps"]
    """The squared component of the start along each vector; they sum to 1. With the values they
    are a Gauss quadrature of the spectrum as the start sees it."""
    basis: Float[Array, "steps size"]
    """Orthonormal Lanczos vectors."""
    rotation: Float[Array, "steps steps"]

    @property
    def vectors(self) -> Float[Array, "steps size"]:
        """An approximate eigenvector for each value, of length 1."""
        return self.rotation.T @ self.basis


def lanczos(product: Callable[[Vector], Vector], start: Vector, num_steps: int) -> RitzPairs:
    """Approximate eigenvalues of a symmetric map by Lanczos' method, fully reorthogonalised.

    Where the map has fewer distinct eigenvalues (as seen from `start`) than there are steps, the
    Krylov space is exhausted and what follows is rounding noise, or 0 / 0. At the first
    off-diagonal entry that is below eps^(2/3) times the largest entry so far, the method therefore
    begins anew with a random vector orthogonal to all before. So with as many steps as the map's
    size all eigenvalues are found, as often as they occur. The map may be of any size that its
    precision holds.

    Source: Golub and Van Loan, *Matrix Computations*, sections 10.1 and 10.3.

    **Arguments:** `product`, the map; `start`, any vector but zero, of single or double precision;
    `num_steps`, products to compute; no more are than the map's size.

    ```pycon
    >>> diagonal = jnp.array([1.0, 2.0, 5.0])
    >>> l2o.flatness.lanczos(lambda v: diagonal * v, jnp.ones(3), 3).values.round(3)
    Array([1., 2., 5.], dtype=float32)
    ```
    """
    num_steps = min(num_steps, start.size)
    negligible = jnp.finfo(start.dtype).eps ** (2 / 3)
    # Where the method begins anew, at each step another one.
    spare = jax.random.normal(jax.random.key(0), start.shape, start.dtype)

    def begin_anew(basis: Float[Array, "steps size"], index: Int[Array, ""]) -> Vector:
        fresh = jnp.roll(spare, index)
        # Twice, since little of it may be left.
        for _ in range(2):
            fresh = length_and_unit(fresh - (basis @ fresh) @ basis)[1]
        return fresh

    def step(
        carry: tuple[Float[Array, "steps size"], Vector, Float[Array, ""]], index: Int[Array, ""]
    ) -> tuple[
        tuple[Float[Array, "steps size"], Vector, Float[Array, ""]],
        tuple[Float[Array, ""], Float[Array, ""]],
    ]:
        basis, vector, largest = carry
        basis = basis.at[index].set(vector)
        image = product(vector)
        along = basis @ image
        rest = image - along @ basis
        rest = rest - (basis @ rest) @ basis
        length, unit = length_and_unit(rest)
        diagonal = along[index]
        largest = jnp.maximum(largest, jnp.maximum(jnp.abs(diagonal), length))
        # A comparison with NaN is false.
        goes_on: Bool[Array, ""] = length > negligible * largest
        following = jax.lax.cond(goes_on, lambda: unit, lambda: begin_anew(basis, index))
        return (basis, following, largest), (diagonal, jnp.where(goes_on, length, 0))

    nothing = jnp.zeros((num_steps, start.size), start.dtype)
    carry = (nothing, length_and_unit(start)[1], jnp.zeros((), start.dtype))
    (basis, _, _), (diagonal, lengths) = jax.lax.scan(step, carry, jnp.arange(num_steps))
    off_diagonal = lengths[:-1]
    matrix = jnp.diag(diagonal) + jnp.diag(off_diagonal, 1) + jnp.diag(off_diagonal, -1)
    values, rotation = _eigh(matrix)
    return RitzPairs(values, rotation[0] ** 2, basis, rotation)


def _eigh(
    matrix: Float[Array, "steps steps"],
) -> tuple[Float[Array, " steps"], Float[Array, "steps steps"]]:
    """Eigenvalues, ascending, and eigenvectors, of matrices of any size."""
    power = power_of_two(matrix)
    values, vectors = jnp.linalg.eigh(matrix / power)
    return power * values, vectors
