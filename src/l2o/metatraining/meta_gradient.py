"""What a meta-gradient estimator is asked, and what it answers."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from l2o.inner_loop import Step
from l2o.metatraining.devices import TASKS, device_mesh, own_key
from l2o.metatraining.regularizers.regularization import Regularization, regularization
from l2o.metatraining.regularizers.regularizer import Regularizer
from l2o.objectives import Objective
from l2o.optimizers import LearnedOptimizer
from l2o.tasks import TaskBatch, TaskFamily


class InnerProblems(eqx.Module):
    """Which tasks an optimizer is meta-trained on, how many at once, and for how long each."""

    family: TaskFamily
    num_tasks: int = eqx.field(static=True)
    # No constant of the program, which stages of a curriculum share.
    num_windows: Int[Array, ""] = eqx.field(converter=jnp.asarray)
    """How many windows a task is optimized for before a new one is drawn."""
    truncation: int = eqx.field(static=True)
    """Inner steps of a window."""

    def draw_own(self, key: PRNGKeyArray, mesh: Mesh) -> TaskBatch:
        """This device's own tasks, within `on_devices`; as many on each."""
        return TaskBatch.draw(self.family, own_key(key), self.num_tasks // mesh.shape[TASKS])


class MetaLoss(eqx.Module):
    """What the meta-gradient is the derivative of: an objective and regularizers, added up.

    ```pycon
    >>> loss = l2o.metatraining.MetaLoss(
    ...     l2o.objectives.MeanLoss(), regularizers=(l2o.metatraining.SAMSharpness(0.1),)
    ... )
    >>> len(loss.regularizers)
    1
    ```
    """

    objective: Objective
    regularizers: tuple[Regularizer, ...] = ()
    objective_weight: Float[Array, ""] = eqx.field(default=1.0, converter=jnp.asarray)

    def of_losses(
        self,
        losses: Float[Array, "losses tasks *objectives"],
        initial_loss: Float[Array, " tasks *objectives"],
    ) -> Float[Array, ""]:
        """The weighted objective, averaged over tasks and their losses."""
        return self.objective_weight * jnp.mean(self.objective(losses, initial_loss))

    def at_step(
        self, step: Step, task: TaskBatch, num_steps: int, meta_step: Int[Array, ""]
    ) -> Regularization:
        """The regularizers at one of `num_steps` steps."""
        return regularization(self.regularizers, task, step, num_steps, meta_step)


class MetaGradient(eqx.Module):
    """An estimate of the meta-loss and of its derivative, averaged over all inner problems."""

    meta_loss: Float[Array, ""]
    """Regularizers included."""
    regularization: Float[Array, ""]
    """What regularizers add to it."""
    gradient: LearnedOptimizer
    """The optimizer's structure, with derivatives in place of floating-point arrays and `None` in
    place of all else."""
    diagnostics: dict[str, Array] = eqx.field(default_factory=dict)
    """Scalars that go into the row of the meta-step, such as the estimate's variance."""


class MetaGradientEstimator(eqx.Module):
    """A way to compute the derivative of the meta-loss.

    An estimator owns its inner problems: what is carried of them from one meta-step to the next is
    its state, of which nobody else knows anything. All of it is pure and is compiled.
    """

    def mesh(self, optimizer: LearnedOptimizer, num_tasks: int) -> Mesh:
        """The devices that it runs on: by default as many as divide the tasks evenly."""
        del optimizer
        return device_mesh(num_tasks)

    @abc.abstractmethod
    def begin(
        self, optimizer: LearnedOptimizer, problems: InnerProblems, key: PRNGKeyArray
    ) -> PyTree:
        """The state before the first meta-step."""

    @abc.abstractmethod
    def __call__(
        self,
        optimizer: LearnedOptimizer,
        meta_loss: MetaLoss,
        problems: InnerProblems,
        state: PyTree,
        key: PRNGKeyArray,
        meta_step: Int[Array, ""],
    ) -> tuple[MetaGradient, PyTree]:
        """Goes on with the inner problems, and differentiates the meta-loss.

        **Arguments:** `optimizer`; `meta_loss`; `problems`; `state`, from `begin` or the last
        call; `key`, all randomness of this meta-step; `meta_step`, how many updates of the
        meta-parameters came before, for schedules of weights.

        **Returns:** the estimate and the new state.
        """

    @abc.abstractmethod
    def give_up(self, state: PyTree, lost: Bool[Array, ""]) -> PyTree:
        """The state with all inner problems to be drawn anew, where `lost` says so.

        They are lost where they led to numbers that are not finite.
        """
