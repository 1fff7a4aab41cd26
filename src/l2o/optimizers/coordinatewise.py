"""Optimizers that treat every parameter by itself, with one rule shared by all of them."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from l2o.optimizers.learned_optimizer import (
    LearnedOptimizer,
    OptState,
    Updates,
)
from l2o.optimizers.parameters import (
    check_count,
    check_gradients,
    check_parameters,
    dtype_of,
    with_dtype,
    with_dtypes_of,
    working_dtype,
)


class CoordinatewiseState(eqx.Module):
    """The state of a coordinate-wise optimizer."""

    step: Int[Array, ""]
    """The number of updates made."""
    coordinates: PyTree[Float[Array, "... coordinates"]]
    """The rule's own state; the last axis of every leaf counts the coordinates."""


class CoordinatewiseOptimizer(LearnedOptimizer):
    """A rule for one scalar parameter, applied to all of them independently.

    All parameters are laid out in one vector, so that a step is a few large matrix products
    rather than some for every leaf. Coordinates lie on the last axis of everything, where
    element-wise work runs along contiguous memory.

    That coordinates do not touch is what makes first-order meta-gradients cheap: they can be
    computed block by block of coordinates (`l2o.metatraining._coordinate_gradient`).
    """

    @abc.abstractmethod
    def init_coordinates(self, count: int) -> PyTree[Float[Array, "... {count}"]]:
        """The rule's state for `count` coordinates before the first step."""

    @abc.abstractmethod
    def step(
        self,
        gradient: Float[Array, " coordinates"],
        state: PyTree[Float[Array, "... coordinates"]],
        step: Int[Array, ""],
    ) -> tuple[Float[Array, " coordinates"], PyTree[Float[Array, "... coordinates"]]]:
        """One step of the rule.

        **Arguments:** `gradient`, one number a coordinate; `state`, from `init_coordinates` or
        the last step; `step`, how many steps came before, from 0.

        **Returns:** the update of each coordinate, and the new state.
        """

    def state_size(self, count: int) -> int:
        """How many of `count` coordinates the state is of: all of them by default."""
        return count

    def own_coordinates(self, tree: PyTree) -> Float[Array, " own"]:
        """The coordinates in a tree like the parameters' that the state is of: all by default."""
        return flatten(tree)

    def sum_over_parts(self, tree: PyTree) -> PyTree:
        """Adds up what all parts of the coordinates give; there is only one by default."""
        return tree

    def for_task_batch(self) -> LearnedOptimizer:
        """Itself: the stack is more coordinates."""
        return self

    def init(self, params: PyTree) -> CoordinatewiseState:
        """The state before the first step, in the wider precision of rule and parameters.

        **Raises:** `ValueError` for parameters that are no real floating-point numbers.
        """
        check_parameters(params)
        count = sum(jnp.size(leaf) for leaf in jax.tree.leaves(params))
        coordinates = with_dtype(self.init_coordinates(count), working_dtype(self, params))
        return CoordinatewiseState(jnp.zeros((), jnp.int32), coordinates)

    def update(
        self,
        grads: PyTree,
        state: OptState,
        params: PyTree | None = None,
        *,
        value: Float[Array, "..."] | None = None,
        **extra: Any,
    ) -> tuple[Updates, CoordinatewiseState]:
        """One step of the rule for every coordinate; only gradients are looked at.

        **Raises:** `ValueError` for gradients that are no real floating-point numbers, or of other
        shapes than the parameters.
        """
        del value, extra
        check_gradients(grads, params)
        gradient = flatten(grads)
        for leaf in jax.tree.leaves(state.coordinates):
            if leaf.shape:
                check_count(leaf.shape[-1], self.state_size(gradient.size))
        gradient = gradient.astype(dtype_of(state.coordinates, gradient))
        update, coordinates = self.step(gradient, state.coordinates, state.step)
        coordinates = with_dtypes_of(coordinates, state.coordinates)
        return unflatten(update, grads), CoordinatewiseState(state.step + 1, coordinates)


def flatten(tree: PyTree) -> Float[Array, " coordinates"]:
    """All leaves of `tree` as one vector, in at least single precision.

    ```pycon
    >>> l2o.optimizers.flatten({"bias": jnp.ones(1), "weight": jnp.zeros((1, 2))})
    Array([1., 0., 0.], dtype=float32)
    ```
    """
    leaves = [jnp.ravel(jnp.asarray(leaf)) for leaf in jax.tree.leaves(tree)]
    dtype = jnp.result_type(jnp.float32, *leaves)
    return jnp.concatenate([jnp.zeros(0, dtype), *(leaf.astype(dtype) for leaf in leaves)])


def unflatten(vector: Float[Array, " coordinates"], like: PyTree) -> PyTree:
    """The inverse of `flatten`: a tree with the structure, shapes and dtypes of `like`.

    ```pycon
    >>> tree = {"bias": jnp.ones(1), "weight": jnp.zeros((1, 2))}
    >>> l2o.optimizers.unflatten(jnp.array([1.0, 2.0, 3.0]), like=tree)["weight"]
    Array([[2., 3.]], dtype=float32)
    ```
    """
    leaves, treedef = jax.tree.flatten(like)
    split = jnp.split(vector, [*_offsets(leaves)])
    parts = [
        part.reshape(jnp.shape(leaf)).astype(jnp.result_type(leaf))
        for part, leaf in zip(split, leaves, strict=False)
    ]
    return jax.tree.unflatten(treedef, parts)


def _offsets(leaves: list[Any]) -> list[int]:
    """Where each leaf ends in the flattened vector."""
    ends, end = [], 0
    for leaf in leaves:
        end += jnp.size(leaf)
        ends.append(end)
    return ends
