"""What is to be small along a trajectory: the meta-loss of meta-training, the score of tuning.

Learned optimizers are trained, and hand-designed ones tuned, on the same objective, so that the
comparison between them is fair.
"""

import abc
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from l2o.support.checks import check_number


class Objective(eqx.Module):
    """A function of the losses along a trajectory; smaller is better.

    ```pycon
    >>> class LargestLoss(l2o.objectives.Objective):
    ...     def __call__(self, losses, initial_loss):
    ...         return jnp.max(losses, axis=0)
    ...
    >>> float(LargestLoss()(jnp.array([4.0, 2.0, 1.0]), jnp.array(4.0)))
    4.0
    ```
    """

    relative: ClassVar[bool] = False
    """Whether it is of losses relative to the initial one, so that their sizes cancel."""

    @abc.abstractmethod
    def __call__(
        self, losses: Float[Array, " losses *tasks"], initial_loss: Float[Array, "*tasks"]
    ) -> Float[Array, "*tasks"]:
        """The value of a trajectory, or of each of several.

        **Arguments:** `losses`, those of the trajectory or of a window of it, time first;
        `initial_loss`, the loss where the whole trajectory began.
        """


class MeanLoss(Objective):
    """The mean of the losses (Andrychowicz et al. 2016, equation 3, with uniform weights).

    ```pycon
    >>> losses = jnp.array([4.0, 2.0, 0.0])
    >>> float(l2o.objectives.MeanLoss()(losses, losses[0]))
    2.0
    ```
    """

    def __call__(
        self, losses: Float[Array, " losses *tasks"], initial_loss: Float[Array, "*tasks"]
    ) -> Float[Array, "*tasks"]:
        """Averages over time."""
        del initial_loss
        return jnp.mean(losses, axis=0)


class NormalizedMeanLoss(Objective):
    """The mean of the losses over the initial loss, for tasks of very different scales.

    Maheswaranathan et al. 2021 train on it (`losses.mean` of their public code).

    ```pycon
    >>> losses = jnp.array([4.0, 2.0, 0.0])
    >>> float(l2o.objectives.NormalizedMeanLoss()(losses, losses[0]))
    0.5
    ```
    """

    relative: ClassVar[bool] = True

    def __call__(
        self, losses: Float[Array, " losses *tasks"], initial_loss: Float[Array, "*tasks"]
    ) -> Float[Array, "*tasks"]:
        """Averages the loss ratio over time."""
        return jnp.mean(losses / initial_loss, axis=0)


class FinalLoss(Objective):
    """The last loss alone.

    ```pycon
    >>> losses = jnp.array([4.0, 2.0, 1.0])
    >>> float(l2o.objectives.FinalLoss()(losses, losses[0]))
    1.0
    ```
    """

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

    ```pycon
    >>> losses = jnp.exp(jnp.array([0.0, -1.0, -2.0]))
    >>> print(f"{l2o.objectives.MeanLogRatio()(losses, losses[0]):.3f}")
    -1.000
    ```
    """

    relative: ClassVar[bool] = True
    offset: float = eqx.field(static=True, default=1e-6)

    def __check_init__(self) -> None:
        check_number("offset", self.offset, above=0)

    def __call__(
        self, losses: Float[Array, " losses *tasks"], initial_loss: Float[Array, "*tasks"]
    ) -> Float[Array, "*tasks"]:
        """Averages the logarithm of the loss ratio over time."""
        ratio = losses / (initial_loss + self.offset)
        return jnp.mean(jnp.log(ratio + self.offset), axis=0)
