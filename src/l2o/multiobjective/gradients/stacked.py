"""Gradients of all objectives as a Jacobian."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from l2o.multiobjective.gradients.checks import Losses, shape_of_losses
from l2o.multiobjective.gradients.protocol import Gradients
from l2o.multiobjective.gramian import Gramian
from l2o.multiobjective.jacobian import Jacobian, combine, gramian


class StackedGradients(Gradients):
    """Gradients that are stacked along the leading axis of every leaf: m times the parameters."""

    losses: Float[Array, " m"]
    jacobian: Jacobian

    def gramian(self) -> Gramian:
        """Inner products of the gradients, `JJ'`."""
        return gramian(self.jacobian)

    def combine(self, weights: Float[Array, " m"]) -> PyTree:
        """The weighted sum of the gradients, `J'w`."""
        return combine(self.jacobian, weights)


def stacked(losses: Losses, params: PyTree) -> StackedGradients:
    """The whole Jacobian, by one forward pass and m backward passes made together.

    **Arguments:** `losses`, from parameters to m losses; `params`.

    **Raises:** `ValueError` if `losses` does not give a vector, or parameters are not
    floating-point arrays.
    """
    shape = shape_of_losses(losses, params)
    values, pullback = jax.vjp(losses, params)
    (jacobian,) = jax.vmap(pullback)(jnp.eye(shape.shape[0], dtype=shape.dtype))
    return StackedGradients(values, jacobian)
