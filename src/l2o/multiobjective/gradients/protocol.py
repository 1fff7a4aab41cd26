"""What is asked of the gradients of all objectives."""

import abc

import equinox as eqx
from jaxtyping import Array, Float, PyTree

from l2o.multiobjective.gramian import Gramian


class Gradients(eqx.Module):
    """Losses and gradients of m objectives at some parameters.

    A weighting needs no more of the Jacobian J than its Gramian, and its weights no more than one
    combination of the rows, so J itself need not exist.
    """

    losses: eqx.AbstractVar[Float[Array, " m"]]

    @abc.abstractmethod
    def gramian(self) -> Gramian:
        """Inner products of the gradients, `JJ'`."""

    @abc.abstractmethod
    def combine(self, weights: Float[Array, " m"]) -> PyTree:
        """The weighted sum of the gradients, `J'w`, with the structure of the parameters."""
