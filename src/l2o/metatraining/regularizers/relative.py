"""Any regularizer for deviations relative to the size of parameters."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.metatraining.regularizers.regularizer import Found, Regularizer
from l2o.metatraining.regularizers.step_loss import RelativeLoss, SampledLoss
from l2o.tasks import Params


class Relative(Regularizer):
    """A regularizer of the loss as a function of relative deviations.

    Under cross-entropy most terms are made small by growing the weights alone. With perturbations,
    curvature and gamma in units of the parameters' own size, that has no effect where the network
    does not depend on it. The size's dependence on the parameters is differentiated, too.

    **Arguments:** `regularizer`, whose weight, `every` and schedule are taken; `scale`, gives the
    size of each parameter, `l2o.flatness.filter_norms` or `l2o.flatness.parameter_sizes`.
    """

    regularizer: Regularizer = eqx.field(kw_only=True)
    scale: Callable[[Params], Params] = eqx.field(static=True, kw_only=True)

    def __init__(self, regularizer: Regularizer, scale: Callable[[Params], Params]) -> None:
        if not isinstance(regularizer, Regularizer):
            raise ValueError(f"regularizer must be a Regularizer, got {regularizer!r}.")
        if not callable(scale):
            raise ValueError(f"scale must be a function of the parameters, got {scale!r}.")
        self.weight = regularizer.weight
        self.every = regularizer.every
        self.schedule = regularizer.schedule
        self.regularizer = regularizer
        self.scale = scale

    def find(self, loss: SampledLoss, params: Params, key: PRNGKeyArray) -> Found:
        """What the regularizer finds among relative deviations."""
        relative = RelativeLoss(loss, params, self.scale(params))
        return self.regularizer.find(relative, jax.tree.map(jnp.zeros_like, params), key)

    def value(self, loss: SampledLoss, params: Params, found: Found) -> Float[Array, ""]:
        """The regularizer at a deviation of zero that moves with the parameters."""
        scale = self.scale(params)
        # A parameter of size zero has no relative deviations, and moves the centre instead.
        centre = jax.tree.map(
            lambda param, size: jnp.where(size > 0, jax.lax.stop_gradient(param), param),
            params,
            scale,
        )

        def deviation(param: Array, size: Array) -> Array:
            unit = jax.lax.stop_gradient(jnp.where(size > 0, size, 1))
            return jnp.where(size > 0, (param - jax.lax.stop_gradient(param)) / unit, 0)

        moved = jax.tree.map(deviation, params, scale)
        return self.regularizer.value(RelativeLoss(loss, centre, scale), moved, found)
