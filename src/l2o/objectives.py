"""What is to be small along a trajectory: the meta-loss of meta-training, the score of tuning.

Learned optimizers are trained, and hand-designed ones tuned, on the same objective, so that the
comparison between them is fair.
"""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from l2o.support.checks import check_number


class Objective(eqx.Module):
    """A function of the losses along a trajectory; smaller is better."""

    @abc.abstractmethod
    def __call__(
        self, losses: Float[Array, " losses *tasks"], initial_loss: Float[Array, "*tasks"]
    ) -> Float[Array, "*tasks"]:
        """The value of a trajectory, or of each of several.

        **Arguments:** `losses`, those of the trajectory or of a window of it, time first;
        `initial_loss`, the loss where the whole trajectory began.
        """


class MeanLoss(Objective):
    """The mean of the losses (Andrychowicz et al. 2016, equation 3, with uniform weights)."""

    def __call__(
        self, losses: Float[Array, " losses *tasks"], initial_loss: Float[Array, "*tasks"]
    ) -> Float[Array, "*tasks"]:
        """Averages over time."""
        del initial_loss
        return jnp.mean(losses, axis=0)


class NormalizedMeanLoss(Objective):
    """The mean of the losses over the initial loss, for tasks of very different scales.

    Maheswaranathan et al. 2021 train on it (`losses.mean` of their public code).
    """

    def __call__(
        self, losses: Float[Array, " losses *tasks"], initial_loss: Float[Array, "*tasks"]
    ) -> Float[Array, "*tasks"]:
        """Averages the loss ratio over time."""
        return jnp.mean(losses / initial_loss, axis=0)


class FinalLoss(Objective):
    """The last loss alone."""

    def __call__(
        self, losses: Float[Array, " losses *tasks"], initial_loss: Float[Array, "*tasks"]
    ) -> Float[Array, "*tasks"]:
        """Takes the last loss."""
        del initial_loss
        return losses[-1]


class MeanLogRatio(Objective):
    """The mean of `ln(f_t / f_0)` (L2O-Scale, Wichrowska et al. 2017), for losses above zero.

    Both losses are offset by `offset`, as in the released code, so that a loss that reaches zero
    keeps a finite logarithm.

    **Arguments:** `offset`, above 0.

    **Raises:** `ValueError` if it is not.
    """

    offset: float = eqx.field(static=True, default=1e-6)

    def __check_init__(self) -> None:
        check_number("offset", self.offset, above=0)

    def __call__(
        self, losses: Float[Array, " losses *tasks"], initial_loss: Float[Array, "*tasks"]
    ) -> Float[Array, "*tasks"]:
        """Averages the logarithm of the loss ratio over time."""
        ratio = losses / (initial_loss + self.offset)
        return jnp.mean(jnp.log(ratio + self.offset), axis=0)
