"""One step of meta-training, as a pure function compiled for all devices."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from l2o.inner_loop import InnerState
from l2o.metatraining.devices import AXES, COORDINATES, TASKS, on_devices
from l2o.metatraining.imitation import Imitation
from l2o.metatraining.meta_gradient import MetaGradientEstimator, MetaLoss, Window
from l2o.optimizers import LearnedOptimizer, RecurrentOptimizer, SplitCoordinates, per_task
from l2o.tasks import TaskBatch, TaskFamily


class Carried(eqx.Module):
    """The inner problems between two windows.

    Between meta-steps, each device's own lie along a leading axis; on the device there is none.
    """

    state: InnerState
    initial_loss: Float[Array, "*devices_and_tasks"]


class MetaState(eqx.Module):
    """All that meta-training carries from step to step, and all that a checkpoint holds."""

    optimizer: LearnedOptimizer
    meta_opt_state: PyTree
    meta_step: Int[Array, ""]
    num_skipped: Int[Array, ""]
    """How many meta-gradients were not applied, since they, or what the meta-optimizer made of
    them, were not finite."""
    key: PRNGKeyArray
    task_key: PRNGKeyArray
    """The randomness that the present inner problems were drawn with."""
    window: Int[Array, ""]
    """How many windows of the present inner problems are done."""
    carried: Carried
    best_optimizer: LearnedOptimizer
    best_score: Float[Array, ""]
    best_step: Int[Array, ""]


class StepMetrics(eqx.Module):
    """What one meta-step reports."""

    meta_loss: Float[Array, ""]
    """Regularizers included; the imitation loss on a meta-step of imitation."""
    regularization: Float[Array, ""]
    """What regularizers add to it."""
    gradient_norm: Float[Array, ""]
    applied: Bool[Array, ""]
    num_skipped: Int[Array, ""]
    imitates: Bool[Array, ""]
    """Whether this was a meta-step of imitation."""


class MetaStep(eqx.Module):
    """The settings of a meta-step; calling it makes one.

    The tasks are divided evenly among the devices: each draws its own, runs its windows and
    differentiates them; only meta-gradients are exchanged. Where the mesh says so, several
    devices share the coordinates of their tasks.
    """

    family: TaskFamily
    meta_loss: MetaLoss
    estimator: MetaGradientEstimator
    meta_optimizer: optax.GradientTransformation = eqx.field(static=True)
    num_tasks: int = eqx.field(static=True)
    # No constant of the program, which stages of a curriculum share.
    num_windows: Int[Array, ""] = eqx.field(converter=jnp.asarray)
    truncation: int = eqx.field(static=True)
    mesh: Mesh = eqx.field(static=True)
    imitation: Imitation | None = None

    def init(self, optimizer: LearnedOptimizer, key: PRNGKeyArray) -> MetaState:
        """The state before the first meta-step."""
        _, carried = on_devices(_begin, self.mesh)((self, optimizer, key), ())
        meta_parameters = eqx.filter(optimizer, eqx.is_inexact_array)
        return MetaState(
            optimizer=optimizer,
            meta_opt_state=self.meta_optimizer.init(meta_parameters),
            meta_step=jnp.zeros((), jnp.int32),
            num_skipped=jnp.zeros((), jnp.int32),
            key=key,
            task_key=key,
            window=jnp.zeros((), jnp.int32),
            carried=carried,
            best_optimizer=optimizer,
            best_score=jnp.full((), jnp.inf),
            best_step=jnp.zeros((), jnp.int32),
        )

    def __call__(self, state: MetaState) -> tuple[MetaState, StepMetrics]:
        """One window of every task, or imitation, and one update of the meta-parameters."""
        step_key = jax.random.fold_in(state.key, state.meta_step)
        fresh = state.window == 0
        task_key = jax.tree.map(partial(jnp.where, fresh), step_key, state.task_key)
        shared = (self, state.optimizer, task_key, step_key, fresh, state.meta_step)
        (meta_loss, regularization, gradient), carried = on_devices(_gradient, self.mesh)(
            shared, state.carried
        )
        leaves = jax.tree.leaves(eqx.filter(gradient, eqx.is_inexact_array))
        meta_parameters, structure = eqx.partition(state.optimizer, eqx.is_inexact_array)
        updates, meta_opt_state = self.meta_optimizer.update(
            eqx.filter(gradient, eqx.is_inexact_array), state.meta_opt_state, meta_parameters
        )
        before = (meta_parameters, state.meta_opt_state)
        updated = (optax.apply_updates(meta_parameters, updates), meta_opt_state)
        # A finite but huge meta-gradient can leave an average of squares infinite forever.
        applied = _all_finite((meta_loss, leaves)) & _stays_finite(before, updated)
        # What is not finite is not applied, and the inner problems that made it are given up.
        meta_parameters, meta_opt_state = jax.tree.map(partial(jnp.where, applied), updated, before)
        num_skipped = state.num_skipped + jnp.where(applied, 0, 1)
        imitates = jnp.asarray(False)
        if self.imitation is not None:
            imitates = self.imitation.is_due(step_key)
        # Imitation leaves the inner problems as they are.
        window = jnp.where(imitates, state.window, (state.window + 1) % self.num_windows)
        next_window = jnp.where(applied, window, 0)
        state = MetaState(
            optimizer=eqx.combine(meta_parameters, structure),
            meta_opt_state=meta_opt_state,
            meta_step=state.meta_step + 1,
            num_skipped=num_skipped,
            key=state.key,
            task_key=task_key,
            window=next_window,
            carried=carried,
            best_optimizer=state.best_optimizer,
            best_score=state.best_score,
            best_step=state.best_step,
        )
        return state, StepMetrics(
            meta_loss, regularization, optax.global_norm(leaves), applied, num_skipped, imitates
        )

    def keep_best(self, state: MetaState, score: Float[Array, ""]) -> MetaState:
        """Remembers the present optimizer if none was better on validation."""
        better = score < state.best_score
        # Leaves that are no arrays, such as activation functions, are the same in both.
        present, others = eqx.partition((state.optimizer, score, state.meta_step), eqx.is_array)
        best = eqx.filter((state.best_optimizer, state.best_score, state.best_step), eqx.is_array)
        best = eqx.combine(jax.tree.map(partial(jnp.where, better), present, best), others)
        return eqx.tree_at(
            lambda state: (state.best_optimizer, state.best_score, state.best_step), state, best
        )


def _all_finite(tree: PyTree) -> Bool[Array, ""]:
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))


def _stays_finite(before: PyTree, after: PyTree) -> Bool[Array, ""]:
    """Whether no number that was finite ceases to be.

    Some begin as infinite, such as the best value so far of a schedule that looks at values.
    """

    def stays(before: Array, after: Array) -> Bool[Array, ""]:
        return jnp.all(jnp.isfinite(after) | ~jnp.isfinite(before))

    def is_inexact(leaf: Any) -> bool:
        return jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)

    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    return jnp.all(jnp.stack([stays(*pair) for pair in pairs if is_inexact(pair[0])]))


Shared = tuple[
    MetaStep, LearnedOptimizer, PRNGKeyArray, PRNGKeyArray, Bool[Array, ""], Int[Array, ""]
]
"""What all devices share: settings, optimizer, the key of the tasks, the key of the meta-step,
whether the inner problems are fresh, and the number of the meta-step."""

Found = tuple[Float[Array, ""], Float[Array, ""], LearnedOptimizer]
"""The meta-loss, what regularizers add to it, and its gradient."""


def _on_this_device(step: MetaStep, optimizer: LearnedOptimizer) -> LearnedOptimizer:
    """The optimizer, or the part of it that this device runs."""
    num_parts = step.mesh.shape[COORDINATES]
    if num_parts == 1 or not isinstance(optimizer, RecurrentOptimizer):
        return optimizer
    return SplitCoordinates(optimizer, COORDINATES, num_parts)


def _draw(step: MetaStep, task_key: PRNGKeyArray) -> TaskBatch:
    """This device's own tasks."""
    key = jax.random.fold_in(task_key, jax.lax.axis_index(TASKS))
    return TaskBatch.draw(step.family, key, step.num_tasks // step.mesh.shape[TASKS])


def _begin(
    shared: tuple[MetaStep, LearnedOptimizer, PRNGKeyArray], own: tuple[()]
) -> tuple[tuple[()], Carried]:
    """Fresh parameters and optimizer states for this device's tasks."""
    step, optimizer, task_key = shared
    task = _draw(step, task_key)
    init_key = jax.random.fold_in(jax.random.fold_in(task_key, 1), jax.lax.axis_index(TASKS))
    params = task.init(init_key)
    state = InnerState(params, per_task(_on_this_device(step, optimizer)).init(params))
    value = jax.eval_shape(lambda key: task.value(params, task.sample(key)), init_key)
    return own, Carried(state, jnp.ones(value.shape))


def _window_gradient(shared: Shared, carried: Carried) -> tuple[Found, Carried]:
    """The meta-gradient over one window of this device's tasks."""
    step, optimizer, task_key, step_key, fresh, meta_step = shared
    _, begun = _begin((step, optimizer, task_key), ())
    start = jax.tree.map(partial(jnp.where, fresh), begun, carried)
    window = Window(
        task=_draw(step, task_key),
        key=jax.random.fold_in(jax.random.fold_in(step_key, 2), jax.lax.axis_index(TASKS)),
        state=start.state,
        fresh=fresh,
        initial_loss=start.initial_loss,
        meta_step=meta_step,
        num_steps=step.truncation,
    )
    result = step.estimator(_on_this_device(step, optimizer), step.meta_loss, window)
    gradient = eqx.filter(result.gradient, eqx.is_inexact_array)
    found = (result.meta_loss, result.regularization, gradient)
    return found, Carried(result.state, window.start_of(result.losses))


def _imitation_gradient(
    imitation: Imitation, shared: Shared, carried: Carried
) -> tuple[Found, Carried]:
    """The derivative of the imitation loss on tasks of its own; the carried ones stay."""
    step, optimizer, _, step_key, _, _ = shared
    task_key = jax.random.fold_in(step_key, 4)
    key = jax.random.fold_in(jax.random.fold_in(task_key, 5), jax.lax.axis_index(TASKS))
    loss, gradient = imitation(optimizer, _draw(step, task_key), key, step.truncation)
    found = (loss, jnp.zeros_like(loss), eqx.filter(gradient, eqx.is_inexact_array))
    return found, carried


def _gradient(shared: Shared, carried: Carried) -> tuple[Found, Carried]:
    """This meta-step's gradient, of one kind or the other, averaged over devices."""
    imitation, step_key = shared[0].imitation, shared[3]
    if imitation is None:
        found, carried = _window_gradient(shared, carried)
    else:
        found, carried = jax.lax.cond(
            imitation.is_due(step_key),
            lambda carried: _imitation_gradient(imitation, shared, carried),
            lambda carried: _window_gradient(shared, carried),
            carried,
        )
    return jax.lax.pmean(found, AXES), carried
