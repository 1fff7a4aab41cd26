"""Double precision inside a program of single precision."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from l2o.multiobjective.gramian import Gramian, as_gramian

_FEW = 5


def in_double_precision(function: Callable[..., Array]) -> Callable[..., Array]:
    """Makes a function of arrays compute in double precision, whatever JAX's setting is.

    Small dense solves cost little in double precision, even where all the rest is single. The
    result gets the precision of the first argument. It can be compiled and mapped; derivatives
    have to be given from outside (`jax.lax.custom_root`).

    **Arguments:** `function`, of arrays, returning an array.

    **Returns:** a function of the same arguments.
    """

    def double(*arguments: Array) -> Array:
        return function(*(x.astype(jnp.float64) for x in arguments)).astype(arguments[0].dtype)

    return knowing_double_precision(double)


def knowing_double_precision(function: Callable[..., Array]) -> Callable[..., Array]:
    """Lets a function of arrays use double precision inside, whatever JAX's setting is.

    **Arguments:** `function`, of arrays that come as they are, returning an array of no more than
    the precision that there is outside.

    **Returns:** a function of the same arguments, to be mapped and compiled but not differentiated.
    """

    @jax.custom_batching.custom_vmap
    def call(*arguments: Array) -> Array:
        with jax.enable_x64(True):
            return function(*arguments)

    # Mapped from outside, JAX would meet the numbers of double precision in its own setting.
    @call.def_vmap
    def _(size: int, is_mapped: Sequence[bool], *arguments: Array) -> tuple[Array, bool]:
        del size
        axes = tuple(0 if mapped else None for mapped in is_mapped)
        return knowing_double_precision(jax.vmap(function, in_axes=axes))(*arguments), True

    return call


def in_turn(gramian: Gramian, skip: Bool[Array, ""]) -> Gramian:
    """Lets a fallback be computed after what it stands in for, never at the same time.

    Of mapped programs, two that factor matrices at once may wait for each other forever: jaxlib
    divides a batch of factors among the very threads that it is called from.

    **Arguments:** `gramian`, of the fallback; `skip`, whether it is not needed, which is known
    once the other one is done.

    **Returns:** the Gramian, or that of units orthogonal to one another if there is nothing to do.
    """
    nothing = as_gramian(jnp.eye(len(gramian), dtype=gramian.dtype))
    return Gramian(
        jnp.where(skip, nothing.norms, gramian.norms),
        jnp.where(skip, nothing.cosines, gramian.cosines),
        jnp.where(skip, nothing.remainder, gramian.remainder),
        gramian.rounding,
    )


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
