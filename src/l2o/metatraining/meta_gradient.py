"""What a meta-gradient estimator is asked, and what it answers."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from l2o.inner_loop import InnerState, Step
from l2o.metatraining.regularizers.regularization import Regularization, regularization
from l2o.metatraining.regularizers.regularizer import Regularizer
from l2o.objectives import Objective
from l2o.optimizers import LearnedOptimizer
from l2o.tasks import TaskBatch


class Window(eqx.Module):
    """A stretch of the inner loop of several tasks, over which a meta-gradient is taken."""

    task: TaskBatch
    key: PRNGKeyArray
    """Of the minibatches."""
    state: InnerState
    """Where the stretch begins; held constant, but for a fresh optimizer state."""
    fresh: Bool[Array, ""]
    """Whether the stretch begins at initialisation; if so, the optimizer's initial state is
    differentiated too."""
    initial_loss: Float[Array, " tasks *objectives"]
    """Each task's loss where its trajectory began; not used where the stretch is fresh."""
    meta_step: Int[Array, ""]
    """How many updates of the meta-parameters came before, for schedules of weights."""
    num_steps: int = eqx.field(static=True)

    def start_of(
        self, losses: Float[Array, "losses tasks *objectives"]
    ) -> Float[Array, " tasks *objectives"]:
        """Each task's loss where its trajectory began, given the losses of this stretch."""
        return jax.lax.stop_gradient(jnp.where(self.fresh, losses[0], self.initial_loss))


class MetaLoss(eqx.Module):
    """What the meta-gradient is the derivative of: an objective and regularizers, added up."""

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
    """The meta-loss over a window, and its derivative."""

    meta_loss: Float[Array, ""]
    """Regularizers included."""
    regularization: Float[Array, ""]
    """What regularizers add to it."""
    gradient: LearnedOptimizer
    """The optimizer's structure, with derivatives as leaves."""
    losses: Float[Array, "losses tasks *objectives"]
    state: InnerState
    """Where the window ends."""


class MetaGradientEstimator(eqx.Module):
    """A way to compute the derivative of the meta-loss."""

    def can_split_coordinates(self, optimizer: LearnedOptimizer) -> bool:
        """Whether it takes an optimizer in `SplitCoordinates`; by default not."""
        del optimizer
        return False

    @abc.abstractmethod
    def __call__(
        self, optimizer: LearnedOptimizer, meta_loss: MetaLoss, window: Window
    ) -> MetaGradient:
        """Runs the window and differentiates the meta-loss, averaged over tasks."""
