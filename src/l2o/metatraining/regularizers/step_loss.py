"""A task's loss at one step of the inner loop, as regularizers see it."""

import abc

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.tasks import Batch, Params, Task


class SampledLoss(eqx.Module):
    """A loss of parameters on one minibatch that can be had on others, too."""

    @abc.abstractmethod
    def __call__(self, params: Params) -> Float[Array, ""]:
        """The loss on the minibatch."""

    @abc.abstractmethod
    def resampled(self, key: PRNGKeyArray) -> "SampledLoss":
        """The same on a fresh minibatch."""

    @abc.abstractmethod
    def held_out(self, key: PRNGKeyArray) -> "SampledLoss":
        """The same on examples that the optimizee is not trained on."""


class StepLoss(SampledLoss):
    """A task's loss on a minibatch, first that of the step itself."""

    task: Task
    batch: Batch

    def __call__(self, params: Params) -> Float[Array, ""]:
        """The task's training loss."""
        return self.task.loss(params, self.batch)

    def resampled(self, key: PRNGKeyArray) -> "StepLoss":
        """Draws a minibatch of the training data."""
        return StepLoss(self.task, self.task.sample(key))

    def held_out(self, key: PRNGKeyArray) -> "StepLoss":
        """Draws a minibatch of the held-out part of the training data."""
        return StepLoss(self.task, self.task.sample_held_out(key))


class RelativeLoss(SampledLoss):
    """A loss as a function of deviations from a centre, in units of a size of each parameter.

    **Arguments:** `loss`; `centre` and `scale`, pytrees like the parameters.
    """

    loss: SampledLoss
    centre: Params
    scale: Params

    def __call__(self, params: Params) -> Float[Array, ""]:
        """The loss at `centre + scale * params`."""
        return self.loss(jax.tree.map(lambda c, s, d: c + s * d, self.centre, self.scale, params))

    def resampled(self, key: PRNGKeyArray) -> "RelativeLoss":
        """The same on a fresh minibatch."""
        return RelativeLoss(self.loss.resampled(key), self.centre, self.scale)

    def held_out(self, key: PRNGKeyArray) -> "RelativeLoss":
        """The same on held-out examples."""
        return RelativeLoss(self.loss.held_out(key), self.centre, self.scale)
