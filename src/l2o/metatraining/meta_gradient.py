"""What a meta-gradient estimator is asked, and what it answers."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from l2o.inner_loop import InnerState
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
    initial_loss: Float[Array, " tasks"]
    """Each task's loss where its trajectory began; not used where the stretch is fresh."""
    num_steps: int = eqx.field(static=True)


class MetaGradient(eqx.Module):
    """The meta-loss over a window, and its derivative."""

    meta_loss: Float[Array, ""]
    gradient: LearnedOptimizer
    """The optimizer's structure, with derivatives as leaves."""
    losses: Float[Array, "losses tasks"]
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
        self, optimizer: LearnedOptimizer, objective: Objective, window: Window
    ) -> MetaGradient:
        """Runs the window and differentiates the objective, averaged over tasks."""


def meta_loss(
    objective: Objective, losses: Float[Array, "losses tasks"], window: Window
) -> Float[Array, ""]:
    """The objective over a window's losses, averaged over its tasks."""
    initial_loss = jnp.where(window.fresh, losses[0], window.initial_loss)
    return jnp.mean(objective(losses, jax.lax.stop_gradient(initial_loss)))
