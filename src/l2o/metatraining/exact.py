"""Exact meta-gradients, second derivatives of the task included."""

import equinox as eqx

from l2o.metatraining.back_propagation import BackPropagation
from l2o.metatraining.meta_gradient import MetaLoss
from l2o.metatraining.through_unroll import gradient_through_unroll
from l2o.metatraining.window import Window, WindowGradient
from l2o.optimizers import LearnedOptimizer
from l2o.support.checks import check_instance


class Exact(BackPropagation):
    """Back-propagation through the whole window, also through the gradients it is made of.

    Memory grows with the number of steps times what one step stores. With `checkpoint`, a step
    stores its state alone and is run again in the backward pass; on CPUs, where memory is the
    bottleneck, that is also the faster way.

    **Arguments:** `checkpoint`, whether to keep the states of steps alone, and run each again.

    ```pycon
    >>> l2o.metatraining.Exact(checkpoint=False)
    Exact(checkpoint=False)
    ```
    """

    checkpoint: bool = eqx.field(static=True, default=True)

    def __check_init__(self) -> None:
        check_instance("checkpoint", self.checkpoint, bool)

    def through_window(
        self, optimizer: LearnedOptimizer, meta_loss: MetaLoss, window: Window
    ) -> WindowGradient:
        """Runs the window and differentiates it."""
        return gradient_through_unroll(
            optimizer, meta_loss, window, first_order=False, checkpoint=self.checkpoint
        )
