"""Uncertainty weighting."""

import equinox as eqx
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from l2o.gradients import Gramian
from l2o.multiobjective.stateful_weighting import StatefulWeighting
from l2o.support.checks import check_instance


class UncertaintyWeighting(StatefulWeighting):
    """Weights `exp(-s) / 2`, where s are learned along with the parameters.

    s descend on `sum_i exp(-s_i) L_i / 2 + s_i / 2`, from 0 on.

    Source: Kendall et al. 2018, Multi-Task Learning Using Uncertainty to Weigh Losses.

    **Arguments:** `optimizer`, of s, from Optax.

    ```pycon
    >>> weighting = l2o.multiobjective.UncertaintyWeighting()
    >>> descent = l2o.multiobjective.aggregate(weighting, num_objectives=2)
    >>> jacobian = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    >>> descent.update(jacobian, descent.init(jnp.zeros(2)), value=jnp.ones(2))[0]
    Array([0.5, 0.5], dtype=float32)
    ```
    """

    needs_losses = True
    needs_gradients = False
    judges = "positive"

    optimizer: optax.GradientTransformation = eqx.field(static=True, default=optax.adam(1e-3))

    def __check_init__(self) -> None:
        check_instance("optimizer", self.optimizer, optax.GradientTransformation)

    def init(self, num_objectives: int) -> tuple[Float[Array, " m"], PyTree]:
        """Variances of 1."""
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
        log_variances, optimizer = state
        weights = jnp.exp(-log_variances) / 2
        change, optimizer = self.optimizer.update(0.5 - weights * losses, optimizer)
        moved = jnp.asarray(optax.apply_updates(log_variances, change))
        return weights, (moved, optimizer)
