"""A loss as a function of one vector."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

Loss = Callable[[PyTree], Float[Array, ""]]
"""Any scalar function of a pytree of parameters.

Its floating-point arrays are the parameters that measures move. Whatever else it holds, such as
integers and functions, is handed to the loss as it is.
"""


class Layout(NamedTuple):
    """Parameters, laid out as one vector."""

    params: Float[Array, " parameters"]
    """In single precision at least."""
    point: Callable[[Float[Array, " parameters"]], PyTree]
    """From a vector to the parameters there, in its precision, and all other leaves as they are."""
    direction: Callable[[Float[Array, " parameters"]], PyTree]
    """From a vector to a direction, a pytree with the dtypes of the parameters; see `still`."""


class Raveled(NamedTuple):
    """A loss and its parameters, laid out as one vector."""

    loss: Callable[[Float[Array, " parameters"]], Float[Array, ""]]
    params: Float[Array, " parameters"]
    direction: Callable[[Float[Array, " parameters"]], PyTree]
    """As for `Layout`."""


def ravel(loss: Loss, params: PyTree) -> Raveled:
    """Lays the parameters of a loss out as one vector.

    Parameters of half precision are raised to single precision, and the loss is called with those:
    differences and second derivatives of losses would have next to no digits left.

    **Arguments:** `loss`; `params`, a pytree with floating-point arrays.

    **Returns:** the same loss as a function of that vector, the vector, and the way back.

    **Raises:** `ValueError` if there are no parameters, or some are complex.
    """
    layout = lay_out(params)
    return Raveled(lambda vector: loss(layout.point(vector)), layout.params, layout.direction)


def lay_out(params: PyTree) -> Layout:
    """Lays parameters out as one vector.

    **Raises:** `ValueError` if there are none, or some are complex.
    """
    moving, held = split(params)
    dtypes = jax.tree.map(jnp.result_type, moving)
    vector, unravel = ravel_pytree(jax.tree.map(in_single, moving))
    if vector.size == 0:
        raise ValueError("The loss must have at least one parameter, got none.")

    def point(vector: Float[Array, " parameters"]) -> PyTree:
        return eqx.combine(unravel(vector), held)

    def direction(vector: Float[Array, " parameters"]) -> PyTree:
        parts = jax.tree.map(lambda part, dtype: part.astype(dtype), unravel(vector), dtypes)
        return eqx.combine(parts, still(held))

    return Layout(vector, point, direction)


def split(params: PyTree) -> tuple[PyTree, PyTree]:
    """The parameters that move, and all other leaves, each with None where the other has one.

    **Raises:** `ValueError` if some are complex.
    """
    return eqx.partition(params, moves(params))


def moves(params: PyTree) -> PyTree[bool]:
    """Which leaves are floating-point arrays.

    **Raises:** `ValueError` if some are complex.
    """

    def is_floating(leaf: Any) -> bool:
        dtype = jnp.result_type(leaf) if eqx.is_array_like(leaf) else None
        if dtype is not None and jnp.issubdtype(dtype, jnp.complexfloating):
            raise ValueError(f"Parameters must be real numbers, got an array of {dtype}.")
        return dtype is not None and jnp.issubdtype(dtype, jnp.floating)

    return jax.tree.map(is_floating, params)


def still(held: PyTree) -> PyTree:
    """The part of a direction along leaves that do not move: 0; what is no array, as it is."""
    return jax.tree.map(lambda leaf: jnp.zeros_like(leaf) if eqx.is_array(leaf) else leaf, held)


def in_single(leaf: Float[Any, "*shape"]) -> Float[Array, "*shape"]:
    """Numbers in single precision, or better if they are."""
    return jnp.asarray(leaf, jnp.promote_types(jnp.result_type(leaf), jnp.float32))
