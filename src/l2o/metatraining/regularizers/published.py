"""The terms of the public code for flatness-aware learned optimizers, as they are there.

`hessian`, `hessian-ev`, `hessian-esd` and `jacob` of the L2O-ScalewHessian code in Open-L2O, which
are those of HALO (ECCV 2020). They are for comparison: the first and the third have the same
random vectors for ever, and all but the last are signed, so that they can be made small by
negative curvature. There they are summed over the steps of a window; here every term is averaged,
so a published weight is to be multiplied by the number of steps. What the code differentiates
through its iterations is held constant here, which changes `SignedPowerIteration` and `RitzSum`
where they have not converged.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.flatness import curvature, power_iteration, ritz_pairs
from l2o.metatraining.regularizers.hessian_trace import random_signs
from l2o.metatraining.regularizers.regularizer import Regularizer
from l2o.metatraining.regularizers.step_loss import SampledLoss
from l2o.support.checks import check_size
from l2o.tasks import Params

_FIXED = 0


class TraceOfFixedProbes(Regularizer):
    """`hessian`: the mean of v'Hv over vectors of random signs that never change.

    **Arguments:** as for `Regularizer`, and `num_probes`.
    """

    num_probes: int = eqx.field(static=True, default=10)

    def __check_init__(self) -> None:
        check_size("num_probes", self.num_probes)

    def find(self, loss: SampledLoss, params: Params, key: PRNGKeyArray) -> Params:
        """The vectors."""
        del loss, key
        return random_signs(params, jax.random.key(_FIXED), self.num_probes)

    def value(self, loss: SampledLoss, params: Params, found: Params) -> Float[Array, ""]:
        """The mean curvature along them."""
        return jnp.mean(jax.vmap(lambda probe: curvature(loss, params, probe))(found))


class SignedPowerIteration(Regularizer):
    """`hessian-ev`: v'Hv after a power iteration, with its sign.

    **Arguments:** as for `Regularizer`, and `num_iterations`.
    """

    num_iterations: int = eqx.field(static=True, default=10)

    def __check_init__(self) -> None:
        check_size("num_iterations", self.num_iterations)

    def find(self, loss: SampledLoss, params: Params, key: PRNGKeyArray) -> Params:
        """The vector."""
        return power_iteration(loss, params, key, num_iterations=self.num_iterations)[1]

    def value(self, loss: SampledLoss, params: Params, found: Params) -> Float[Array, ""]:
        """The curvature along it."""
        return curvature(loss, params, found)


class RitzSum(Regularizer):
    """`hessian-esd`: the sum of Lanczos' approximate eigenvalues, from a start that never changes.

    **Arguments:** as for `Regularizer`, and `num_iterations`, of Lanczos' method.
    """

    num_iterations: int = eqx.field(static=True, default=10)

    def __check_init__(self) -> None:
        check_size("num_iterations", self.num_iterations)

    def find(self, loss: SampledLoss, params: Params, key: PRNGKeyArray) -> Params:
        """The orthonormal vectors whose curvatures add up to the sum."""
        del key
        pairs = ritz_pairs(loss, params, jax.random.key(_FIXED), self.num_iterations)
        _, unravel = ravel_pytree(params)
        return jax.vmap(unravel)(pairs.basis)

    def value(self, loss: SampledLoss, params: Params, found: Params) -> Float[Array, ""]:
        """The sum of the curvatures along them."""
        return jnp.sum(jax.vmap(lambda vector: curvature(loss, params, vector))(found))


class MeanSquaredGradient(Regularizer):
    """`jacob`: the mean of the squared entries of the gradient.

    In single precision it is 0 or infinite for gradients below some 1e-20 or above 1e19.
    """

    def value(self, loss: SampledLoss, params: Params, found: None) -> Float[Array, ""]:
        """That mean."""
        del found
        return jnp.mean(ravel_pytree(jax.grad(loss)(params))[0] ** 2)
