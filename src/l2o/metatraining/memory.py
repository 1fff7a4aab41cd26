"""How much memory programs take at the least, and how much there is."""

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr
from jaxtyping import PyTree

_LIMIT = Path("/sys/fs/cgroup/memory.max")
_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def bytes_of(tree: PyTree) -> int:
    """The bytes of all arrays in a tree; they may be `jax.ShapeDtypeStruct`."""
    return sum(_size(leaf) for leaf in jax.tree.leaves(tree))


def largest_array(function: Callable[..., Any], *arguments: Any) -> int:
    """The bytes of the largest array that a function makes on the way, without running it.

    **Arguments:** `function`; `arguments`, trees whose arrays may be `jax.ShapeDtypeStruct`.
    """
    program, _, _ = eqx.filter_make_jaxpr(function)(*arguments)
    return max((_size(made) for made in _arrays_made(program.jaxpr)), default=0)


def available_memory() -> int:
    """The bytes of memory of the smallest device: all that there are, whoever uses them."""
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    limits = [each["bytes_limit"] for each in stats if each.get("bytes_limit")]
    if limits:
        return min(limits)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    given = _LIMIT.read_text().strip() if _LIMIT.exists() else "max"
    return min(memory, int(given)) if given.isdigit() else memory


def bytes_in_words(count: int) -> str:
    """A number of bytes for people, such as "1.5 GB"."""
    exponent = min(int(math.log(max(count, 1), 1000)), len(_UNITS) - 1)
    return f"{count / 1000**exponent:.3g} {_UNITS[exponent]}"


def _arrays_made(program: Jaxpr) -> Iterator[Any]:
    """Descriptions of the arrays that the equations of a program make, nested ones too."""
    for equation in program.eqns:
        yield from (made.aval for made in equation.outvars)
        for part in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_program):
            if _is_program(part):
                yield from _arrays_made(part.jaxpr if isinstance(part, ClosedJaxpr) else part)


def _is_program(part: Any) -> bool:
    return isinstance(part, Jaxpr | ClosedJaxpr)


def _size(leaf: Any) -> int:
    shape, dtype = getattr(leaf, "shape", ()), getattr(leaf, "dtype", None)
    if dtype is None:
        return 0
    # Random keys are made of two numbers of 32 bits.
    is_key = jnp.issubdtype(dtype, jax.dtypes.extended)
    return math.prod(shape) * (8 if is_key else np.dtype(dtype).itemsize)
