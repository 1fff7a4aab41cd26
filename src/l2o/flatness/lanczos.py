"""Lanczos' method for symmetric linear maps, also where it ends before its time."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float
from matfree import decomp


class RitzPairs(eqx.Module):
    """What a symmetric map looks like in a Krylov space: approximate eigenvalues and -vectors.

    The eigenvalues near the ends of the spectrum converge first.
    """

    values: Float[Array, " steps"]
    """Ascending. Those that fill up a Krylov space that was exhausted are Rayleigh quotients of
    the start, inside the spectrum."""
    weights: Float[Array, " steps"]
    """The squared component of the start along each vector; they sum to 1. With the values they
    are a Gauss quadrature of the spectrum as the start sees it."""
    basis: Float[Array, "steps size"]
    """Orthonormal Lanczos vectors, zero where the Krylov space was exhausted."""
    rotation: Float[Array, "steps steps"]

    @property
    def vectors(self) -> Float[Array, "steps size"]:
        """An approximate eigenvector for each value: a unit vector, or 0 where a value fills up."""
        return self.rotation.T @ self.basis


def lanczos(
    product: Callable[[Float[Array, " size"]], Float[Array, " size"]],
    start: Float[Array, " size"],
    num_steps: int,
) -> RitzPairs:
    """Approximate eigenvalues of a symmetric map by Lanczos' method, fully reorthogonalised.

    Where the map has fewer distinct eigenvalues (as seen from `start`) than there are steps, the
    Krylov space is exhausted and what follows is rounding noise, or 0 / 0. The tridiagonal matrix
    is therefore cut at the first off-diagonal entry that is below eps^(2/3) times its largest
    entry, and the rest is filled with the first diagonal entry, which has weight 0.

    Source: Golub and Van Loan, *Matrix Computations*, section 10.1; the iteration is matfree's.

    **Arguments:** `product`, the map; `start`, any vector but zero; `num_steps`, products to
    compute; no more are than the map's size.
    """
    tridiagonalise = decomp.tridiag_sym(
        min(num_steps, start.size), materialize=False, custom_vjp=False
    )
    decomposition = tridiagonalise(product, start)
    basis, (diagonal, off_diagonal) = jnp.asarray(decomposition.Q_tall), decomposition.J_small
    entries = jnp.abs(jnp.concatenate([diagonal, off_diagonal]))
    threshold = jnp.finfo(start.dtype).eps ** (2 / 3) * jnp.nanmax(entries)
    # A comparison with NaN is false, so that 0 / 0 ends the Krylov space, too.
    goes_on = jnp.cumprod(off_diagonal > threshold).astype(bool)
    inside = jnp.concatenate([jnp.ones(1, bool), goes_on])
    diagonal = jnp.where(inside, diagonal, diagonal[0])
    off_diagonal = jnp.where(goes_on, off_diagonal, 0)
    matrix = jnp.diag(diagonal) + jnp.diag(off_diagonal, 1) + jnp.diag(off_diagonal, -1)
    values, rotation = jnp.linalg.eigh(matrix)
    return RitzPairs(values, rotation[0] ** 2, jnp.where(inside[:, None], basis, 0), rotation)
