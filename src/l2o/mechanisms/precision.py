"""Double precision for analyses, whatever precision the optimizer was trained in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

P = ParamSpec("P")
T = TypeVar("T")
Tree = TypeVar("Tree", bound=PyTree)


@contextmanager
def double_precision() -> Iterator[None]:
    """Lets JAX compute in 64 bits within the block.

    ```pycon
    >>> with l2o.mechanisms.double_precision():
    ...     jnp.ones(1).dtype
    ...
    dtype('float64')
    ```
    """
    with jax.enable_x64(True):
        yield


def in_double_precision(function: Callable[P, T]) -> Callable[P, T]:
    """Makes a function compute in 64 bits."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        with double_precision():
            return function(*args, **kwargs)

    return wrapped


def to_double(tree: Tree) -> Tree:
    """The same tree with its floating-point arrays in 64 bits.

    To be called in double precision.
    """

    def convert(leaf: object) -> object:
        return jnp.asarray(leaf, jnp.float64) if eqx.is_inexact_array_like(leaf) else leaf

    arrays, rest = eqx.partition(tree, eqx.is_array)
    return eqx.combine(jax.tree.map(convert, arrays), rest)
