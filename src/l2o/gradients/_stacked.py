"""Gradients of all objectives as a Jacobian."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from l2o.gradients._gramian import Gramian
from l2o.gradients.checks import Losses, shape_of_losses
from l2o.gradients.jacobian import Jacobian, combine, gramian
from l2o.gradients.protocol import Gradients


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

    def stack(self) -> Jacobian:
        """The Jacobian."""
        return self.jacobian


def stacked(losses: Losses, params: PyTree) -> StackedGradients:
    """The whole Jacobian, by one forward pass and m backward passes made together.

    **Arguments:** `losses`, from parameters to m losses; `params`.

    **Raises:** `ValueError` if `losses` does not give a vector, or parameters are not
    floating-point arrays.

    ```pycon
    >>> losses = lambda x: jnp.stack([jnp.sum((x - 1) ** 2), jnp.sum((x + 1) ** 2)])
    >>> l2o.multiobjective.stacked(losses, jnp.zeros(2)).jacobian
    Array([[-2., -2.],
           [ 2.,  2.]], dtype=float32)
    ```
    """
    shape = shape_of_losses(losses, params)
    values, pullback = jax.vjp(losses, params)
    (jacobian,) = jax.vmap(pullback)(jnp.eye(shape.shape[0], dtype=shape.dtype))
    return StackedGradients(values, jacobian)
