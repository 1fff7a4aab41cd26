"""What a meta-gradient estimator is asked, and what it answers."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from l2o.inner_loop import InnerState, Step
from l2o.metatraining.regularizers import Regularization, Regularizer, regularization
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
    initial_loss: Float[Array, "tasks *objectives"]
    """Each task's loss where its trajectory began; not used where the stretch is fresh."""
    meta_step: Int[Array, ""]
    """How many updates of the meta-parameters came before, for schedules of weights."""
    num_steps: int = eqx.field(static=True)


class MetaLoss(eqx.Module):
    """What the meta-gradient is the derivative of: an objective and regularizers, added up."""

    objective: Objective
    regularizers: tuple[Regularizer, ...] = ()
    objective_weight: Float[Array, ""] = eqx.field(default=1.0, converter=jnp.asarray)

    def of_losses(
        self, losses: Float[Array, "losses tasks *objectives"], window: Window
    ) -> Float[Array, ""]:
        """The weighted objective over a window's losses, averaged over tasks and their losses."""
        initial_loss = jnp.where(window.fresh, losses[0], window.initial_loss)
        values = self.objective(losses, jax.lax.stop_gradient(initial_loss))
        return self.objective_weight * jnp.mean(values)

    def at_step(self, step: Step, window: Window) -> Regularization:
        """The regularizers at one step of a window."""
        return regularization(
            self.regularizers, window.task, step, window.num_steps, window.meta_step
        )


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
