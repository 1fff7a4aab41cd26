"""Optimizers that see each tensor of a model as a whole."""

import abc
import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from l2o.optimizers.layout import Group, Layout, stack, unstack
from l2o.optimizers.learned_optimizer import LearnedOptimizer, OptState, Updates
from l2o.optimizers.parameters import (
    check_count,
    check_gradients,
    check_parameters,
    with_dtype,
    with_dtypes_of,
    working_dtype,
)


class TensorwiseState(eqx.Module):
    """The state of a tensor-wise optimizer."""

    step: Int[Array, ""]
    """The number of updates made."""
    tensors: PyTree[Float[Array, "..."]]
    """The rule's own state, of all tensors."""
    shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    """How many tensors of which shape it is the state of."""


class TensorwiseOptimizer(LearnedOptimizer):
    """A rule for tensors of any shape, applied to all tensors of a model at once.

    Tensors of the same shape are stacked, and numbers of all tensors lie in one vector (`Layout`),
    so that what is done with every number is compiled once, and not for each tensor. Scalars are
    vectors of one number; empty tensors are left out.
    """

    @abc.abstractmethod
    def init_tensors(
        self, params: tuple[Group, ...], layout: Layout
    ) -> PyTree[Float[Array, "..."]]:
        """The rule's state before the first step."""

    @abc.abstractmethod
    def step(
        self,
        gradients: tuple[Group, ...],
        state: PyTree[Float[Array, "..."]],
        params: tuple[Group, ...],
        step: Int[Array, ""],
        layout: Layout,
    ) -> tuple[tuple[Group, ...], PyTree[Float[Array, "..."]]]:
        """One step of the rule.

        **Arguments:** `gradients`; `state`, from `init_tensors` or the last step; `params`; `step`,
        how many steps came before, from 0; `layout`, from `lay_out`.

        **Returns:** the updates of the tensors, and the new state.
        """

    def lay_out(self, groups: Sequence[Group]) -> Layout:
        """How numbers lie in a vector; by default, a piece is a tensor."""
        return Layout(groups)

    def init(self, params: PyTree) -> TensorwiseState:
        """The state before the first step, in the wider precision of rule and parameters.

        **Raises:** `ValueError` for parameters that are no real floating-point numbers.
        """
        check_parameters(params)
        dtype = working_dtype(self, params)
        groups = stack(params, dtype)
        layout = self.lay_out(groups)
        tensors = with_dtype(self.init_tensors(groups, layout), dtype)
        return TensorwiseState(jnp.zeros((), jnp.int32), tensors, layout.shapes)

    def update(
        self,
        grads: PyTree,
        state: OptState,
        params: PyTree | None = None,
        *,
        value: Float[Array, "..."] | None = None,
        **extra: Any,
    ) -> tuple[Updates, TensorwiseState]:
        """One step of the rule for every tensor, which sees its gradient and its parameters.

        **Raises:** `ValueError` for gradients that are no real floating-point numbers, of other
        shapes than the parameters or than those that the state was made for; and without `params`.
        """
        del value, extra
        check_gradients(grads, params)
        check_count(
            sum(map(math.prod, state.shapes)),
            sum(jnp.size(leaf) for leaf in jax.tree.leaves(grads)),
        )
        if params is None:
            raise ValueError(
                f"{type(self).__name__} looks at the parameters, so its update takes params."
            )
        dtype = working_dtype(self, params)
        tensors = stack(params, dtype)
        layout = self.lay_out(tensors)
        if layout.shapes != state.shapes:
            raise ValueError(
                f"The optimizer's state is that of stacked tensors of shapes {list(state.shapes)}, "
                f"got gradients of {list(layout.shapes)}: init and update must be given trees of "
                "the same shapes."
            )
        updates, after = self.step(stack(grads, dtype), state.tensors, tensors, state.step, layout)
        after = with_dtypes_of(after, state.tensors)
        return unstack(updates, grads), TensorwiseState(state.step + 1, after, state.shapes)
