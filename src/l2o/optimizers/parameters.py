"""What an optimizer is given, parameters and gradients, and in which precision it works on them."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from l2o.gradients import Gradients

# Squares of it, and sums of as many of them as there are parameters, are finite.
_LARGEST_GRADIENT = 1e15


def check_parameters(params: PyTree) -> None:
    """Makes sure that all leaves are numbers that can be optimized.

    **Raises:** `ValueError` for leaves that are no real floating-point numbers.
    """
    _check_leaves("Parameters", params)


def check_leaves_are_numbers(params: PyTree) -> None:
    """Makes sure that all leaves are numbers, of whatever kind.

    **Raises:** `ValueError` for leaves that are none, such as the functions in a module.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if not (hasattr(leaf, "dtype") or isinstance(leaf, float | int | complex)):
            raise _refusal("Parameters must be numbers", path, leaf)


def check_gradients(
    grads: PyTree, params: PyTree | None, num_objectives: int | None = None
) -> None:
    """Makes sure that gradients can be turned into updates of parameters.

    **Arguments:** `grads`; `params`, if they are known; `num_objectives`, where gradients of as
    many objectives are stacked along the leading axis of every leaf.

    **Raises:** `ValueError` for leaves that are no real floating-point numbers, or whose shapes are
    not those of the parameters.
    """
    if isinstance(grads, Gradients):
        raise ValueError(
            "The optimizer takes one gradient, got those of several losses: put an aggregator such "
            "as l2o.multiobjective.aggregate(upgrad) before it."
        )
    _check_leaves("Gradients", grads)
    leading = () if num_objectives is None else (num_objectives,)
    found = [jnp.shape(leaf) for leaf in jax.tree.leaves(grads)]
    expected = [(*leading, *getattr(leaf, "shape", ())) for leaf in jax.tree.leaves(params)]
    # Parameters may have further leaves, functions of a module for example.
    if len(found) == len(expected) and found != expected:
        raise ValueError(
            f"Gradients must have the shapes of the parameters, {_shown(expected)}, "
            f"got {_shown(found)}."
        )


def check_count(expected: int, count: int) -> None:
    """Makes sure that gradients are of as many parameters as the state.

    **Raises:** `ValueError` otherwise.
    """
    if count != expected:
        raise ValueError(
            f"The optimizer's state is that of {expected} parameters, got gradients of {count}: "
            "init and update must be given trees of the same shapes."
        )


def working_dtype(optimizer: PyTree, params: PyTree) -> jnp.dtype:
    """In which precision an optimizer works on parameters: the widest one in either.

    It is at least single precision, and does not depend on whether JAX may use more.
    """
    given = (eqx.filter(optimizer, eqx.is_inexact_array), params)
    return jnp.result_type(jnp.float32, *jax.tree.leaves(given))


def with_dtype(tree: PyTree, dtype: jnp.dtype) -> PyTree:
    """A tree with all floating-point arrays in one precision."""
    return jax.tree.map(lambda leaf: leaf.astype(dtype) if _is_floating(leaf) else leaf, tree)


def with_dtypes_of(tree: PyTree, like: PyTree) -> PyTree:
    """A tree with its floating-point arrays in the precision of those of another one."""
    return jax.tree.map(
        lambda leaf, other: leaf.astype(other.dtype) if _is_floating(other) else leaf, tree, like
    )


def dtype_of(state: PyTree, gradient: Array) -> jnp.dtype:
    """The precision of a state; the gradient's where the state has no floating-point numbers."""
    dtypes = [leaf.dtype for leaf in jax.tree.leaves(state) if _is_floating(leaf)]
    return jnp.result_type(*dtypes) if dtypes else gradient.dtype


def bounded(gradient: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The gradient, with numbers whose squares would overflow in single precision made smaller.

    A moving average that is infinite once is so for ever.
    """
    return jnp.clip(gradient, -_LARGEST_GRADIENT, _LARGEST_GRADIENT)


def _is_floating(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)


def _check_leaves(kind: str, tree: PyTree) -> None:
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if isinstance(leaf, float) or _is_floating(leaf):
            continue
        raise _refusal(f"{kind} must be real floating-point numbers", path, leaf)


def _refusal(demand: str, path: tuple[Any, ...], leaf: Any) -> ValueError:
    place = f" at {jax.tree_util.keystr(path)}" if path else ""
    name = leaf.dtype if hasattr(leaf, "dtype") else type(leaf).__name__
    hint = ""
    if callable(leaf):
        hint = " Of a module, take eqx.filter(module, eqx.is_inexact_array)."
    elif str(name).startswith("complex"):
        hint = " Optimize real and imaginary parts, with optax.contrib.split_real_and_imaginary."
    return ValueError(f"{demand}, got {name}{place}.{hint}")


def _shown(shapes: list[tuple[int, ...]]) -> str:
    """The first few shapes."""
    text = ", ".join(map(str, shapes[:4]))
    return f"[{text}, ...]" if len(shapes) > 4 else f"[{text}]"
