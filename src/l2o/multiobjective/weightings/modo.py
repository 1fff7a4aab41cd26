"""MoDo: stochastic MGDA with double sampling."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from l2o.gradients import Gramian
from l2o.multiobjective.programs.simplex import project_present, shared_among
from l2o.multiobjective.stateful_weighting import StatefulWeighting
from l2o.support.checks import check_number


class MoDo(StatefulWeighting):
    """One projected gradient step of the weights at every step, towards those of MGDA.

    For its convergence with minibatches the Gramian has to be `J_1 J_2'` of two independent
    minibatches; with `aggregate` it is that of one.

    Source: Chen et al. 2023, Three-Way Trade-Off in Multi-Objective Learning, algorithm 1.

    **Arguments:** `step_size`, of the weights (gamma); `regularization`, pulls them together
    (rho).

    ```pycon
    >>> descent = l2o.multiobjective.aggregate(l2o.multiobjective.MoDo(), num_objectives=2)
    >>> jacobian = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    >>> descent.update(jacobian, descent.init(jnp.zeros(2)))[0]
    Array([0.5, 0.5], dtype=float32)
    ```
    """

    step_size: float = 0.1
    regularization: float = 0.1

    def __check_init__(self) -> None:
        check_number("step_size", self.step_size, above=0)
        check_number("regularization", self.regularization, least=0)

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
        weights, total = shared_among(state, present)
        slope = gramian.times(weights) + self.regularization * weights
        weights = project_present(weights - self.step_size * slope, present)
        return weights, total * weights
