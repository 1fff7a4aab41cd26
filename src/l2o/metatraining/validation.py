"""Judging an optimizer during meta-training."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.inner_loop import unroll
from l2o.metatraining.devices import AXES, TASKS, on_devices
from l2o.objectives import Objective
from l2o.optimizers import LearnedOptimizer, per_task
from l2o.tasks import TaskBatch, TaskFamily


class Judgement(eqx.Module):
    """What validation says of an optimizer; means over tasks."""

    score: Float[Array, ""]
    """The objective."""
    held_out: dict[str, Float[Array, ""]]
    """The tasks' own held-out metrics."""


class Validation(eqx.Module):
    """Runs an optimizer over the whole horizon on fresh tasks, always the same ones."""

    family: TaskFamily
    objective: Objective
    key: PRNGKeyArray
    num_tasks: int = eqx.field(static=True)
    horizon: int = eqx.field(static=True)
    mesh: Mesh = eqx.field(static=True)

    def __call__(self, optimizer: LearnedOptimizer) -> Judgement:
        """The objective over the whole horizon, and held-out metrics at its end."""

        def judge(
            shared: tuple["Validation", LearnedOptimizer], own: tuple[()]
        ) -> tuple[Judgement, tuple[()]]:
            validation, optimizer = shared
            key = jax.random.fold_in(validation.key, jax.lax.axis_index(TASKS))
            task_key, unroll_key = jax.random.split(key)
            own_tasks = validation.num_tasks // validation.mesh.size
            task = TaskBatch.draw(validation.family, task_key, own_tasks)
            trajectory = unroll(per_task(optimizer), task, unroll_key, validation.horizon)
            losses = trajectory.losses
            scores = validation.objective(losses, losses[0])
            held_out = task.evaluate(trajectory.state.params)
            means = jax.tree.map(jnp.mean, (scores, held_out))
            return Judgement(*jax.lax.pmean(means, AXES)), own

        judgement, _ = on_devices(judge, self.mesh)((self, optimizer), ())
        return judgement
