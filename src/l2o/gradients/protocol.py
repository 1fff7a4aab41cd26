"""What is asked of the gradients of all objectives."""

import abc

import equinox as eqx
from jaxtyping import Array, Float, PyTree

from l2o.gradients._gramian import Gramian
from l2o.gradients.jacobian import Jacobian


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

    @abc.abstractmethod
    def stack(self) -> Jacobian:
        """The Jacobian itself, for what looks at the gradients one by one."""


def as_jacobian(gradients: Gradients | PyTree) -> PyTree:
    """Gradients of any form, stacked.

    **Arguments:** `gradients`, `Gradients`, or plain ones that are stacked, which are handed on
    as they are: whoever asks checks them.

    ```pycon
    >>> gradients = l2o.multiobjective.linearized(lambda x: jnp.stack([x**2, x]), jnp.array(3.0))
    >>> l2o.multiobjective.as_jacobian(gradients).tolist()
    [6.0, 1.0]
    ```
    """
    return gradients.stack() if isinstance(gradients, Gradients) else gradients
