"""Estimators that differentiate one window at a time of inner problems that go on side by side."""

import abc
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from l2o.metatraining.devices import AXES, on_devices, own_key
from l2o.metatraining.meta_gradient import (
    InnerProblems,
    MetaGradient,
    MetaGradientEstimator,
    MetaLoss,
)
from l2o.metatraining.window import Carried, Window, WindowGradient, fresh_start
from l2o.optimizers import LearnedOptimizer, per_task


class SideBySide(eqx.Module):
    """Inner problems that were all drawn at once and are all at the same step."""

    task_key: PRNGKeyArray
    """The randomness that they were drawn with. They are drawn again for every window, which is
    cheaper than to carry them."""
    window: Int[Array, ""]
    """How many windows of them are done."""
    carried: Carried
    """Each device's own, along a leading axis."""


class BackPropagation(MetaGradientEstimator):
    """Back-propagation through a window of inner steps (through the whole time if it is all).

    Below the horizon it is truncated: states are carried over, and held constant where a window
    begins. The tasks are divided evenly among the devices: each draws its own, runs its window and
    differentiates it; only meta-gradients are exchanged. Tasks are differentiated together, which
    is what makes it fast: their own meta-gradients, and so the variance of the mean, are not known.
    """

    def on_this_device(self, optimizer: LearnedOptimizer, mesh: Mesh) -> LearnedOptimizer:
        """The optimizer, or the part of it that one device of the mesh runs; by default all."""
        del mesh
        return optimizer

    @abc.abstractmethod
    def through_window(
        self, optimizer: LearnedOptimizer, meta_loss: MetaLoss, window: Window
    ) -> WindowGradient:
        """Runs a window and differentiates the meta-loss, averaged over its tasks.

        **Arguments:** `optimizer`, from `on_this_device`; `meta_loss`; `window`, of this device's
        own tasks.
        """

    def begin(
        self, optimizer: LearnedOptimizer, problems: InnerProblems, key: PRNGKeyArray
    ) -> SideBySide:
        """Fresh inner problems."""
        mesh = self.mesh(optimizer, problems.num_tasks)

        def fresh(shared: _Shared, own: tuple[()]) -> tuple[tuple[()], Carried]:
            return own, _fresh(*shared, mesh)

        _, carried = on_devices(fresh, mesh)((self, optimizer, problems, key), ())
        return SideBySide(key, jnp.zeros((), jnp.int32), carried)

    def __call__(
        self,
        optimizer: LearnedOptimizer,
        meta_loss: MetaLoss,
        problems: InnerProblems,
        state: SideBySide,
        key: PRNGKeyArray,
        meta_step: Int[Array, ""],
    ) -> tuple[MetaGradient, SideBySide]:
        """Goes on for one window and differentiates it."""
        mesh = self.mesh(optimizer, problems.num_tasks)
        fresh = state.window == 0
        task_key = jax.tree.map(partial(jnp.where, fresh), key, state.task_key)

        def differentiate(
            shared: tuple[_Shared, MetaLoss, PRNGKeyArray, Bool[Array, ""], Int[Array, ""]],
            carried: Carried,
        ) -> tuple[MetaGradient, Carried]:
            given, meta_loss, key, fresh, meta_step = shared
            estimator, optimizer, problems, task_key = given
            start = jax.tree.map(partial(jnp.where, fresh), _fresh(*given, mesh), carried)
            window = Window(
                task=problems.draw_own(task_key, mesh),
                key=own_key(jax.random.fold_in(key, 2)),
                state=start.state,
                fresh=fresh,
                initial_loss=start.initial_loss,
                meta_step=meta_step,
                num_steps=problems.truncation,
            )
            end = estimator.through_window(
                estimator.on_this_device(optimizer, mesh), meta_loss, window
            )
            gradient = eqx.filter(end.gradient, eqx.is_inexact_array)
            found = MetaGradient(end.meta_loss, end.regularization, gradient)
            return jax.lax.pmean(found, AXES), window.carried_to(end)

        shared = ((self, optimizer, problems, task_key), meta_loss, key, fresh, meta_step)
        found, carried = on_devices(differentiate, mesh)(shared, state.carried)
        return found, SideBySide(task_key, (state.window + 1) % problems.num_windows, carried)

    def give_up(self, state: SideBySide, lost: Bool[Array, ""]) -> SideBySide:
        """Goes on with a first window."""
        return eqx.tree_at(lambda state: state.window, state, jnp.where(lost, 0, state.window))


_Shared = tuple[BackPropagation, LearnedOptimizer, InnerProblems, PRNGKeyArray]
"""What all devices share, the key of the tasks last."""


def _fresh(
    estimator: BackPropagation,
    optimizer: LearnedOptimizer,
    problems: InnerProblems,
    task_key: PRNGKeyArray,
    mesh: Mesh,
) -> Carried:
    """This device's own tasks at their initialisation."""
    stacked = per_task(estimator.on_this_device(optimizer, mesh))
    init_key = own_key(jax.random.fold_in(task_key, 1))
    return fresh_start(stacked, problems.draw_own(task_key, mesh), init_key)
