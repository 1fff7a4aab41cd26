"""Double precision inside a program of single precision."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array


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
