"""Judging an optimizer during meta-training."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, PRNGKeyArray

from l2o.inner_loop import Step, unroll
from l2o.metatraining.devices import AXES, on_devices, own_key
from l2o.metatraining.meta_gradient import MetaLoss
from l2o.optimizers import LearnedOptimizer, per_task
from l2o.tasks import TaskBatch, TaskFamily


class Judgement(eqx.Module):
    """What validation says of an optimizer; means over tasks."""

    score: Float[Array, ""]
    """The meta-loss."""
    held_out: dict[str, Float[Array, ""]]
    """The tasks' own held-out metrics."""


class Validation(eqx.Module):
    """Runs an optimizer over the whole horizon on fresh tasks, always the same ones.

    It is judged by what it is meta-trained for, regularizers included: what is best for the bare
    objective need not be for the meta-loss.
    """

    family: TaskFamily
    meta_loss: MetaLoss
    meta_step: Int[Array, ""]
    """At which the weights of regularizers are taken, the same for all validations."""
    key: PRNGKeyArray
    num_tasks: int = eqx.field(static=True)
    horizon: int = eqx.field(static=True)
    mesh: Mesh = eqx.field(static=True)

    def __call__(self, optimizer: LearnedOptimizer) -> Judgement:
        """The meta-loss over the whole horizon, and held-out metrics at its end."""

        def judge(
            shared: tuple["Validation", LearnedOptimizer], own: tuple[()]
        ) -> tuple[Judgement, tuple[()]]:
            validation, optimizer = shared
            task, unroll_key = validation._own_tasks()
            meta_loss, horizon = validation.meta_loss, validation.horizon

            def regularizers(step: Step) -> Float[Array, ""]:
                return jnp.mean(meta_loss.at_step(step, task, horizon, validation.meta_step).value)

            trajectory = unroll(
                per_task(optimizer),
                task,
                unroll_key,
                horizon,
                probe=regularizers if meta_loss.regularizers else None,
            )
            losses = trajectory.losses
            score = meta_loss.of_losses(losses, losses[0])
            if meta_loss.regularizers:
                score += jnp.sum(trajectory.probes)
            held_out = task.evaluate(trajectory.params)
            means = jax.tree.map(jnp.mean, (score, held_out))
            return Judgement(*jax.lax.pmean(means, AXES)), own

        judgement, _ = on_devices(judge, self.mesh)((self, optimizer), ())
        return judgement

    def initial_loss(self) -> Float[Array, ""]:
        """The mean size of the tasks' losses where their trajectories begin."""

        def look(validation: "Validation", own: tuple[()]) -> tuple[Float[Array, ""], tuple[()]]:
            task, key = validation._own_tasks()
            init_key, batch_key = jax.random.split(key)
            losses = task.value(task.init(init_key), task.sample(batch_key))
            return jax.lax.pmean(jnp.mean(jnp.abs(losses)), AXES), own

        return on_devices(look, self.mesh)(self, ())[0]

    def _own_tasks(self) -> tuple[TaskBatch, PRNGKeyArray]:
        """This device's tasks, and the key of what is drawn for them."""
        task_key, key = jax.random.split(own_key(self.key))
        return TaskBatch.draw(self.family, task_key, self.num_tasks // self.mesh.size), key
