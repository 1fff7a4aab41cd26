"""Meta-gradients by differentiating the unroll as it stands: back-propagation through time."""

import equinox as eqx
import jax
from jaxtyping import Array, Float

from l2o.metatraining.meta_gradient import MetaLoss
from l2o.metatraining.regularizers.regularization import Regularization
from l2o.metatraining.window import Window, WindowGradient, WindowLoss, run_window
from l2o.optimizers import LearnedOptimizer


def gradient_through_unroll(
    optimizer: LearnedOptimizer,
    meta_loss: MetaLoss,
    window: Window,
    *,
    first_order: bool,
    checkpoint: bool = False,
) -> WindowGradient:
    """Differentiates the meta-loss through every step of the window.

    **Arguments:** `optimizer`; `meta_loss`; `window`; `first_order` and `checkpoint` as in
    `l2o.unroll`.
    """

    def run(optimizer: LearnedOptimizer) -> tuple[Float[Array, ""], WindowLoss]:
        end = run_window(
            optimizer,
            meta_loss,
            window,
            regularizers=Regularization.surrogate,
            first_order=first_order,
            checkpoint=checkpoint,
        )
        return end.meta_loss, end

    (loss, end), gradient = eqx.filter_value_and_grad(run, has_aux=True)(optimizer)
    state = jax.lax.stop_gradient(end.state)
    return WindowGradient(loss, end.regularization, end.losses, state, gradient)
