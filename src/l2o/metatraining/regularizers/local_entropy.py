"""Negative local entropy as a term of the meta-loss."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.flatness import sgld_mean
from l2o.metatraining.regularizers.regularizer import Regularizer
from l2o.metatraining.regularizers.step_loss import SampledLoss
from l2o.support.checks import check_number, check_size
from l2o.tasks import Params


class LocalEntropy(Regularizer):
    """A surrogate of the negative local entropy: gamma / 2 |x - mu|^2.

    mu is the mean of the neighbourhood of x that the loss prefers, by Entropy-SGD's inner loop of
    Langevin dynamics (`l2o.flatness.sgld_mean`) on fresh minibatches, and is held constant. So the
    gradient is gamma (x - mu), that of the negative local entropy where the dynamics have
    converged. Source: Chaudhari et al., *Entropy-SGD*, ICLR 2017, for the inner loop; Yang et al.,
    AISTATS 2023, minimise the negative local entropy, but how they insert it into the meta-loss is
    not public, and this form is ours. In single precision it is 0 where x - mu is
    below some 1e-20, though its gradient is not.

    **Arguments:** as for `Regularizer`, whose `schedule` is the place for scoping. Numbers are 0 or
    more; those of the dynamics are Entropy-SGD's by default.

    - `gamma`: the stiffness of the neighbourhood that it looks at.
    - `num_steps`: steps of Langevin dynamics, at least 1.
    - `step_size`: the size of the steps of Langevin dynamics.
    - `noise`: the noise of Langevin dynamics.
    - `averaging`: how much of the running mean of the dynamics stays in a step, below 1.

    ```pycon
    >>> l2o.metatraining.LocalEntropy(1e-3, gamma=10.0).gamma
    10.0
    ```
    """

    gamma: float = eqx.field(static=True, default=1.0)
    num_steps: int = eqx.field(static=True, default=10)
    step_size: float = eqx.field(static=True, default=0.1)
    noise: float = eqx.field(static=True, default=1e-4)
    averaging: float = eqx.field(static=True, default=0.75)

    def __check_init__(self) -> None:
        for name in ("gamma", "step_size", "noise"):
            check_number(name, getattr(self, name), least=0)
        check_size("num_steps", self.num_steps)
        check_number("averaging", self.averaging, least=0, below=1)

    def find(self, loss: SampledLoss, params: Params, key: PRNGKeyArray) -> Params:
        """The neighbourhood's mean."""

        def gradient(params: Params, key: PRNGKeyArray) -> Params:
            return jax.grad(loss.resampled(key))(params)

        return sgld_mean(
            gradient,
            params,
            self.gamma,
            self.step_size,
            self.num_steps,
            self.noise,
            self.averaging,
            key,
        )

    def value(self, loss: SampledLoss, params: Params, found: Params) -> Float[Array, ""]:
        """Half of gamma times the squared distance from it."""
        del loss
        squares = jax.tree.map(lambda p, m: jnp.sum((p - m) ** 2), params, found)
        return self.gamma / 2 * jnp.sum(jnp.stack(jax.tree.leaves(squares)))
