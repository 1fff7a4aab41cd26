"""SDMGrad: MGDA kept near a preferred direction."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from l2o.gradients import Gramian
from l2o.multiobjective.presence import mean_of_present
from l2o.multiobjective.programs.simplex import project_present, shared_among
from l2o.multiobjective.stateful_weighting import StatefulWeighting
from l2o.support.checks import check_integer, check_number


class SDMGrad(StatefulWeighting):
    """Some projected momentum steps of the weights at every step, from where they stood.

    They descend on `|J'(w + l p)|^2 / 2`, p the mean, in units of the gradients' mean norm; the
    combination is that of `(w + l p) / (1 + l)`. For its convergence with minibatches the Gramian
    has to be `J_1 J_2'` of two independent minibatches; with `aggregate` it is that of one.

    Source: Xiao, Ban and Ji 2023, Direction-oriented Multi-objective Learning, algorithm 1; units,
    momentum and the default values are those of its public code.

    **Arguments:** `preference_strength`, l; `learning_rate`, `momentum` and `num_steps`, of the
    weights.

    ```pycon
    >>> descent = l2o.multiobjective.aggregate(l2o.multiobjective.SDMGrad(), num_objectives=2)
    >>> jacobian = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    >>> descent.update(jacobian, descent.init(jnp.zeros(2)))[0].shape
    (2,)
    ```
    """

    preference_strength: float = 0.3
    learning_rate: float = 10.0
    momentum: float = 0.5
    num_steps: int = eqx.field(static=True, default=20)

    def __check_init__(self) -> None:
        check_number("preference_strength", self.preference_strength, least=0)
        check_number("learning_rate", self.learning_rate, above=0)
        check_number("momentum", self.momentum, least=0, below=1)
        check_integer("num_steps", self.num_steps, least=1)

    def init(self, num_objectives: int) -> Float[Array, " m"]:
        """Equal weights."""
        return jnp.full(num_objectives, 1 / num_objectives)

    def step(
        self,
        gramian: Gramian,
        state: Float[Array, " m"],
        *,
        losses: Float[Array, " m"],
        present: Bool[Array, " m"],
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
        """One step; losses and key do not matter."""
        del losses, key
        sizes = gramian.relative.norms
        mean_size = mean_of_present(sizes, present)
        sizes = sizes / jnp.where(mean_size > 0.0, mean_size, 1.0)
        scaled = gramian.cosines * sizes[:, None] * sizes
        preferred = self.preference_strength * present / jnp.maximum(jnp.sum(present), 1)

        def step(_: Any, weights_and_velocity: tuple[Array, Array]) -> tuple[Array, Array]:
            weights, velocity = weights_and_velocity
            velocity = self.momentum * velocity + scaled @ (weights + preferred)
            return project_present(weights - self.learning_rate * velocity, present), velocity

        weights, total = shared_among(state, present)
        weights, _ = jax.lax.fori_loop(0, self.num_steps, step, (weights, jnp.zeros_like(weights)))
        return (weights + preferred) / (1 + self.preference_strength), total * weights
