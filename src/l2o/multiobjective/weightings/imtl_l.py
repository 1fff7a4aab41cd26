"""IMTL-L: losses of equal size."""

import equinox as eqx
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from l2o.gradients import Gramian
from l2o.multiobjective.stateful_weighting import StatefulWeighting
from l2o.support.checks import check_instance


class IMTLL(StatefulWeighting):
    """Weights `exp(s)`, where s are learned along with the parameters until all `exp(s) L` are 1.

    s descend on `sum_i exp(s_i) L_i - s_i`, from 0 on. It is twice what `UncertaintyWeighting`
    descends on, with s of the other sign.

    Source: Liu et al. 2021, Towards Impartial Multi-task Learning.

    **Arguments:** `optimizer`, of s, from Optax.

    ```pycon
    >>> descent = l2o.multiobjective.aggregate(l2o.multiobjective.IMTLL(), num_objectives=2)
    >>> jacobian = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    >>> descent.update(jacobian, descent.init(jnp.zeros(2)), value=jnp.ones(2))[0]
    Array([1., 1.], dtype=float32)
    ```
    """

    needs_losses = True
    needs_gradients = False
    judges = "positive"

    optimizer: optax.GradientTransformation = eqx.field(static=True, default=optax.adam(1e-3))

    def __check_init__(self) -> None:
        check_instance("optimizer", self.optimizer, optax.GradientTransformation)

    def init(self, num_objectives: int) -> tuple[Float[Array, " m"], PyTree]:
        """Weights of 1."""
        zeros = jnp.zeros(num_objectives)
        return zeros, self.optimizer.init(zeros)

    def step(
        self,
        gramian: Gramian,
        state: tuple[Float[Array, " m"], PyTree],
        *,
        losses: Float[Array, " m"],
        present: Bool[Array, " m"],
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, " m"], tuple[Float[Array, " m"], PyTree]]:
        """One step; the key does not matter, nor does the Gramian."""
        del gramian, present, key
        log_weights, optimizer = state
        weights = jnp.exp(log_weights)
        change, optimizer = self.optimizer.update(weights * losses - 1.0, optimizer)
        moved = jnp.asarray(optax.apply_updates(log_weights, change))
        return weights, (moved, optimizer)
