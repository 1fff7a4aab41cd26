"""Estimators whose inner problems are each at a window of their own."""

import abc
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PRNGKeyArray, PyTree

from l2o.metatraining.devices import AXES, on_devices, own_key
from l2o.metatraining.meta_gradient import (
    InnerProblems,
    MetaGradient,
    MetaGradientEstimator,
    MetaLoss,
)
from l2o.metatraining.window import Carried, Window, fresh_start
from l2o.optimizers import LearnedOptimizer, per_task
from l2o.tasks import TaskBatch


class StaggeredProblem(eqx.Module):
    """One inner problem, and how far it is."""

    task_key: PRNGKeyArray
    """The randomness that it was drawn with."""
    window: Int[Array, ""]
    """How many windows of it are done."""
    fresh: Bool[Array, ""]
    """Whether it is to be drawn anew."""
    carried: PyTree
    """What the estimator carries of it from window to window."""


class Staggered(MetaGradientEstimator):
    """Goes on with every inner problem by itself, and averages what they say.

    Problems begin at different windows of their horizon, so that every meta-step sees all parts of
    it; the first trajectory of each is cut short for this. Since the window divides the horizon, a
    problem is only drawn anew where a window begins. Each has a meta-gradient of its own, so the
    variance of their mean is known.
    """

    @abc.abstractmethod
    def start(self, optimizer: LearnedOptimizer, carried: Carried, key: PRNGKeyArray) -> PyTree:
        """What is carried of a problem before its first window.

        **Arguments:** `optimizer`; `carried`, the problem at its initialisation; `key`.
        """

    @abc.abstractmethod
    def through_window(
        self,
        optimizer: LearnedOptimizer,
        meta_loss: MetaLoss,
        window: Window,
        problem: StaggeredProblem,
        key: PRNGKeyArray,
    ) -> tuple[MetaGradient, PyTree]:
        """Goes on with a problem for one window.

        **Arguments:** `optimizer`; `meta_loss`; `window`, to be begun where the problem stands
        (`Window.begun_from`); `problem`, whose `carried` is that of a start where it is fresh;
        `key`, of what the estimator draws for this window.

        **Returns:** the problem's meta-gradient, and what is carried on.
        """

    def begin(
        self, optimizer: LearnedOptimizer, problems: InnerProblems, key: PRNGKeyArray
    ) -> StaggeredProblem:
        """Inner problems spread over the horizon; leaves have axes for devices and tasks."""
        mesh = self.mesh(optimizer, problems.num_tasks)

        def fresh(shared: Any, own: Int[Array, " tasks"]) -> tuple[tuple[()], StaggeredProblem]:
            estimator, optimizer, problems, key = shared

            def one(number: Int[Array, ""]) -> StaggeredProblem:
                initial = _initial(optimizer, _draw(problems, key), key)
                return StaggeredProblem(
                    task_key=key,
                    window=number * problems.num_windows // problems.num_tasks,
                    fresh=jnp.asarray(True),
                    carried=estimator.start(optimizer, initial, key),
                )

            return (), jax.vmap(one)(own)

        numbers = jnp.arange(problems.num_tasks).reshape(mesh.size, -1)
        return on_devices(fresh, mesh)((self, optimizer, problems, key), numbers)[1]

    def __call__(
        self,
        optimizer: LearnedOptimizer,
        meta_loss: MetaLoss,
        problems: InnerProblems,
        state: StaggeredProblem,
        key: PRNGKeyArray,
        meta_step: Int[Array, ""],
    ) -> tuple[MetaGradient, StaggeredProblem]:
        """Goes on for one window with each inner problem."""
        mesh = self.mesh(optimizer, problems.num_tasks)

        def estimate(shared: Any, own: StaggeredProblem) -> tuple[MetaGradient, StaggeredProblem]:
            estimator, *given, key = shared
            keys = jax.random.split(own_key(key), own.window.shape[0])
            found, own = jax.vmap(partial(estimator._go_on, *given))(own, keys)
            return averaged(found, problems.num_tasks), own

        shared = (self, optimizer, meta_loss, problems, meta_step, key)
        return on_devices(estimate, mesh)(shared, state)

    def give_up(self, state: StaggeredProblem, lost: Bool[Array, ""]) -> StaggeredProblem:
        """Draws all inner problems anew, each to be cut short as it would have been."""
        return eqx.tree_at(lambda state: state.fresh, state, state.fresh | lost)

    def _go_on(
        self,
        optimizer: LearnedOptimizer,
        meta_loss: MetaLoss,
        problems: InnerProblems,
        meta_step: Int[Array, ""],
        problem: StaggeredProblem,
        key: PRNGKeyArray,
    ) -> tuple[MetaGradient, StaggeredProblem]:
        """One window of one problem."""
        fresh = problem.fresh
        task_key = jax.tree.map(partial(jnp.where, fresh), key, problem.task_key)
        task = _draw(problems, task_key)
        initial = _initial(optimizer, task, task_key)
        start = self.start(optimizer, initial, task_key)
        carried = jax.tree.map(partial(jnp.where, fresh), start, problem.carried)
        window = Window(
            task=task,
            key=jax.random.fold_in(key, 2),
            state=initial.state,
            fresh=fresh,
            initial_loss=initial.initial_loss,
            meta_step=meta_step,
            num_steps=problems.truncation,
        )
        problem = StaggeredProblem(task_key, problem.window, fresh, carried)
        found, carried = self.through_window(
            optimizer, meta_loss, window, problem, jax.random.fold_in(key, 1)
        )
        done = problem.window + 1
        is_over = done >= problems.num_windows
        return found, StaggeredProblem(task_key, jnp.where(is_over, 0, done), is_over, carried)


def averaged(found: MetaGradient, num_tasks: int) -> MetaGradient:
    """The mean over all inner problems.

    Its variance is the sum over meta-parameters; the signal to noise is the size of the mean over
    the root of that, and about 1 where there is nothing but noise.

    **Arguments:** `found`, leaves with a leading axis for this device's own; `num_tasks`, of all
    devices.
    """

    def mean(tree: PyTree) -> PyTree:
        return jax.lax.pmean(jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), tree), AXES)

    loss, regularization, gradient = mean((found.meta_loss, found.regularization, found.gradient))
    spread = mean(jax.tree.map(lambda leaf, mean: (leaf - mean) ** 2, found.gradient, gradient))
    total = sum(jnp.sum(leaf) for leaf in jax.tree.leaves(spread))
    size = sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(gradient))
    variance = total / (num_tasks - 1) if num_tasks > 1 else jnp.full_like(total, jnp.nan)
    diagnostics = {"gradient_variance": variance, "signal_to_noise": jnp.sqrt(size / variance)}
    return MetaGradient(loss, regularization, gradient, diagnostics)


def _draw(problems: InnerProblems, key: PRNGKeyArray) -> TaskBatch:
    return TaskBatch.draw(problems.family, key, 1)


def _initial(optimizer: LearnedOptimizer, task: TaskBatch, key: PRNGKeyArray) -> Carried:
    return fresh_start(per_task(optimizer), task, jax.random.fold_in(key, 3))
