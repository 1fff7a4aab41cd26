"""What products alone tell about the eigenvalues and the inverse of a matrix.

Unlike factors and eigenvalues, they take no library routine that runs on threads of its own and
waits for these, on a busy machine for longer than all else takes.
"""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float


def largest_eigenvalue(matrix: Float[Array, "m m"]) -> Float[Array, ""]:
    """An upper bound of it, at most `m^(1/16)` times too large: the Frobenius norm of `M^8`."""
    bound = jnp.max(jnp.sum(jnp.abs(matrix), axis=1))
    power = matrix / bound
    for _ in range(3):
        power = power @ power
    return bound * jnp.linalg.norm(power) ** (1 / 8)


def geometric_series(matrix: Float[Array, "m m"], doublings: int = 6) -> Float[Array, "m m"]:
    """The sum of the first 64 powers: `(1 - M)^-1` but for eigenvalues next to 1.

    **Arguments:** `matrix`, M; `doublings`, of the number of powers, if not 64.
    """
    total, power = jnp.eye(len(matrix), dtype=matrix.dtype) + matrix, matrix
    for _ in range(doublings - 1):
        power = power @ power
        total = total + total @ power
    return total


def shifted_inverse(
    matrix: Float[Array, "m m"], largest: Float[Array, ""], shift: float
) -> Float[Array, "m m"]:
    """`(M + s 1)^-1` of a positive semidefinite matrix with a diagonal of 1.

    **Arguments:** `matrix`, M; `largest`, an upper bound of its eigenvalues; `shift`, s.
    """
    m = len(matrix)
    total = largest + shift
    # The bound is below 2 m, so the contraction's eigenvalues are at most 1 - 1 / condition, and
    # of so many powers less than exp(-37), the rounding of double precision, is missing.
    condition = (2 * m + shift) / shift
    doublings = math.ceil(math.log2(37.0 * condition))
    contraction = jnp.eye(m) - (matrix + shift * jnp.eye(m)) / total
    return geometric_series(contraction, doublings) / total
