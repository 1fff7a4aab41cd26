"""The spectral norm of the Hessian as a term of the meta-loss."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.flatness import curvature, power_iteration
from l2o.metatraining.regularizers.regularizer import Regularizer
from l2o.metatraining.regularizers.step_loss import SampledLoss
from l2o.support.checks import check_size
from l2o.tasks import Params


class HessianNorm(Regularizer):
    """The magnitude of the Hessian's largest eigenvalue, |v'Hv| with v by power iteration.

    v is then held constant, which gives the eigenvalue's derivative where v has converged (the
    Hellmann-Feynman theorem), without differentiating the iteration. Source: *Learning to
    Generalize Provably in Learning to Optimize*, Yang et al., AISTATS 2023, minimises the spectral
    norm; how it is computed and differentiated is ours.

    **Arguments:** as for `Regularizer`, and `num_iterations`, Hessian-vector products, at
    least 1.

    ```pycon
    >>> l2o.metatraining.HessianNorm(1e-3, every=5).every
    5
    ```
    """

    num_iterations: int = eqx.field(static=True, default=10)

    def __check_init__(self) -> None:
        check_size("num_iterations", self.num_iterations)

    def find(self, loss: SampledLoss, params: Params, key: PRNGKeyArray) -> Params:
        """The eigenvector."""
        return power_iteration(loss, params, key, num_iterations=self.num_iterations)[1]

    def value(self, loss: SampledLoss, params: Params, found: Params) -> Float[Array, ""]:
        """The curvature along it."""
        return jnp.abs(curvature(loss, params, found))
