"""Double precision inside a program of single precision."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def in_double_precision(function: Callable[..., Array]) -> Callable[..., Array]:
    """Makes a function of arrays compute in double precision, whatever JAX's setting is.

    Small dense solves cost little in double precision, even where all the rest is single. The
    result gets the precision of the first argument. It can be compiled and mapped; derivatives
    have to be given from outside (`jax.lax.custom_root`).

    **Arguments:** `function`, of arrays, returning an array.

    **Returns:** a function of the same arguments.
    """

    @jax.custom_batching.custom_vmap
    def call(*arguments: Array) -> Array:
        dtype = arguments[0].dtype
        with jax.enable_x64(True):
            return function(*(x.astype(jnp.float64) for x in arguments)).astype(dtype)

    # Mapped from outside, JAX would meet the numbers of double precision in its own setting.
    @call.def_vmap
    def _(size: int, is_mapped: Sequence[bool], *arguments: Array) -> tuple[Array, bool]:
        del size
        axes = tuple(0 if mapped else None for mapped in is_mapped)
        return in_double_precision(jax.vmap(function, in_axes=axes))(*arguments), True

    return call


def in_turn(gramian: Float[Array, "m m"], skip: Bool[Array, ""]) -> Float[Array, "m m"]:
    """Lets a fallback be computed after what it stands in for, never at the same time.

    Of mapped programs, two that factor matrices at once may wait for each other forever: jaxlib
    divides a batch of factors among the very threads that it is called from.

    **Arguments:** `gramian`, of the fallback; `skip`, whether it is not needed, which is known
    once the other one is done.

    **Returns:** the Gramian, or the identity if there is nothing to do.
    """
    return jnp.where(skip, jnp.eye(len(gramian), dtype=gramian.dtype), gramian)


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

    # Factors, as the eigenvalues' library routine runs on several threads, and waits for them
    # longer than all else takes where the machine is busy.
    def is_going_on(state: tuple[Array, Array]) -> Bool[Array, ""]:
        shift, definite = state
        return ~definite & (shift < len(matrix))

    def enlarge(state: tuple[Array, Array]) -> tuple[Array, Array]:
        shift = 8.0 * state[0]
        return shift, is_definite(shift)

    least = jnp.asarray(1e-12)
    start = (least, is_definite(least))
    enough, _ = jax.lax.while_loop(is_going_on, enlarge, start)

    def refined() -> Float[Array, ""]:
        # One factor after another (see `in_turn`), the second one where the first says.
        half = is_definite(enough / 2)
        smaller = jnp.where(half, enough / 4, enough / 2)
        return jnp.where(is_definite(smaller), 2 * smaller, jnp.where(half, enough, 2 * enough))

    return symmetric + jax.lax.cond(start[1], lambda: least, refined) * identity
