"""Matrices that rounding made indefinite."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

_FEW = 5


def made_definite(matrix: Float[Array, "m m"]) -> Float[Array, "m m"]:
    """Makes a positive semidefinite matrix that was rounded symmetric and positive definite.

    **Arguments:** `matrix`, in double precision, with a diagonal of about 1.

    **Returns:** its symmetric part plus a multiple of the identity: 1e-12, and, if that is not
    enough, two to four times what the smallest eigenvalue lacks to zero.
    """
    identity = jnp.eye(len(matrix))
    symmetric = (matrix + matrix.T) / 2

    def is_definite(shift: Float[Array, ""]) -> Bool[Array, ""]:
        shifted = symmetric + shift * identity
        return jnp.all(jnp.isfinite(jnp.linalg.cholesky(shifted, symmetrize_input=False)))

    if len(matrix) <= _FEW:
        # All that may be enough at once, which compiles in half the time.
        shifts = 1e-12 * 2.0 ** jnp.arange(43)
        enough = jnp.min(jnp.where(jax.vmap(is_definite)(shifts), shifts, jnp.inf))
        return symmetric + jnp.where(enough <= 1e-12, 1e-12, 2 * enough) * identity

    # Factors, as the eigenvalues' library routine runs on several threads, and waits for them
    # longer than all else takes where the machine is busy. All are computed at one place, which
    # would otherwise be compiled for each.
    least = jnp.asarray(1e-12)

    def is_going_on(state: tuple[Array, Array, Array]) -> Bool[Array, ""]:
        shift, too_little, enough = state
        return (enough > 2.5 * too_little) & (shift < len(matrix))

    def narrow(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        shift, too_little, enough = state
        definite = is_definite(shift)
        too_little = jnp.where(definite, too_little, shift)
        enough = jnp.where(definite, shift, enough)
        # If the least will do, nothing is too little.
        too_little = jnp.where(enough <= least, enough, too_little)
        return jnp.where(jnp.isinf(enough), 8 * shift, enough / 2), too_little, enough

    start = (least, jnp.zeros(()), jnp.asarray(jnp.inf))
    shift, _, enough = jax.lax.while_loop(is_going_on, narrow, start)
    # Of what is not finite, nothing is enough.
    enough = jnp.where(jnp.isinf(enough), shift, enough)
    return symmetric + jnp.where(enough <= least, enough, 2 * enough) * identity
