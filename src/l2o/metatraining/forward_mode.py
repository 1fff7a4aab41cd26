"""Exact meta-gradients over the whole horizon by forward differentiation."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from l2o.metatraining.meta_gradient import MetaGradient, MetaLoss
from l2o.metatraining.regularizers.regularization import Regularization
from l2o.metatraining.staggered import Staggered, StaggeredProblem
from l2o.metatraining.window import Carried, Window, WindowLoss, run_window
from l2o.optimizers import LearnedOptimizer
from l2o.support.checks import check_size


class WithTangents(eqx.Module):
    """An inner problem, and how it would stand with other meta-parameters."""

    carried: Carried
    tangents: PyTree
    """The derivative of its state with respect to each meta-parameter; leaves have a leading axis
    for these."""


class ForwardMode(Staggered):
    """Forward differentiation: the exact meta-gradient over the whole horizon, window by window.

    The derivatives of an inner problem's parameters and of the optimizer's state with respect to
    each meta-parameter are carried along, through second derivatives of the task, and from one
    window into the next: there is no bias of truncation, and no noise but that of tasks and
    minibatches. A window costs a few forward runs for every meta-parameter, and memory is that of
    the states times the number of meta-parameters, however long window and horizon are: for rules
    of few meta-parameters. (Williams and Zipser 1989, *A learning algorithm for continually running
    fully recurrent neural networks*.)

    Inner problems begin at different windows of their horizon, so that every meta-step sees all
    parts of it; the first trajectory of each is cut short for this. While the meta-parameters
    change between the windows of a trajectory, derivatives carried along are those at earlier ones.

    **Arguments:** `at_once`, of how many meta-parameters derivatives are taken at a time.

    **Raises:** `ValueError` if it is less than 1.

    ```pycon
    >>> l2o.metatraining.ForwardMode(at_once=16)
    ForwardMode(at_once=16)
    ```
    """

    at_once: int = eqx.field(static=True, default=64)

    def __check_init__(self) -> None:
        check_size("at_once", self.at_once)

    def start(
        self, optimizer: LearnedOptimizer, carried: Carried, key: PRNGKeyArray
    ) -> WithTangents:
        """Parameters do not depend on the optimizer; of its own state, `run_window` sees to it."""
        del key
        number = _number_of_meta_parameters(optimizer)
        return WithTangents(
            carried,
            jax.tree.map(
                lambda leaf: jnp.zeros((number, *leaf.shape), leaf.dtype),
                eqx.filter(carried.state, eqx.is_inexact_array),
            ),
        )

    def through_window(
        self,
        optimizer: LearnedOptimizer,
        meta_loss: MetaLoss,
        window: Window,
        problem: StaggeredProblem,
        key: PRNGKeyArray,
    ) -> tuple[MetaGradient, WithTangents]:
        """Runs the window and differentiates it along each meta-parameter."""
        del key
        begun: WithTangents = problem.carried
        window = window.begun_from(begun.carried)
        meta_parameters, structure = eqx.partition(optimizer, eqx.is_inexact_array)
        moving, still = eqx.partition(window.state, eqx.is_inexact_array)
        vector, unravel = ravel_pytree(meta_parameters)

        def run(meta_parameters: LearnedOptimizer, moving: PyTree) -> WindowLoss:
            state = eqx.combine(moving, still)
            return run_window(
                eqx.combine(meta_parameters, structure),
                meta_loss,
                eqx.tree_at(lambda window: window.state, window, state),
                regularizers=Regularization.surrogate,
            )

        def differentiable(*given: Any) -> tuple[Float[Array, ""], PyTree]:
            end = run(*given)
            return end.meta_loss, eqx.filter(end.state, eqx.is_inexact_array)

        def along(one: tuple[Int[Array, ""], PyTree]) -> tuple[Float[Array, ""], PyTree]:
            number, tangents = one
            unit = unravel((jnp.arange(vector.size) == number).astype(vector.dtype))
            return jax.jvp(differentiable, (meta_parameters, moving), (unit, tangents))[1]

        end = run(meta_parameters, moving)
        numbers = jnp.arange(vector.size)
        slopes, tangents = jax.lax.map(
            along, (numbers, begun.tangents), batch_size=min(self.at_once, vector.size)
        )
        gradient = unravel(slopes.astype(vector.dtype))
        found = MetaGradient(end.meta_loss, end.regularization, gradient)
        return found, WithTangents(window.carried_to(end), tangents)


def _number_of_meta_parameters(optimizer: LearnedOptimizer) -> int:
    leaves = jax.tree.leaves(eqx.filter(optimizer, eqx.is_inexact_array))
    return sum(leaf.size for leaf in leaves)
