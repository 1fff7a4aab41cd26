"""CR-MOGM: weights averaged over steps."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from l2o.gradients import Gramian
from l2o.multiobjective.randomness import check_takes_key
from l2o.multiobjective.stateful_weighting import StatefulWeighting
from l2o.multiobjective.weightings.mgda import mgda, mgda_of_present
from l2o.support.checks import check_number


class CRMOGM(StatefulWeighting):
    """Exponential averages of another weighting's weights, which begin with the first ones.

    Source: Zhou et al. 2022, On the Convergence of Stochastic Multi-Objective Gradient
    Manipulation and Beyond, algorithm 1, with a constant decay.

    **Arguments:** `weighting`, a function of the Gramian, by default MGDA, which is that of the
    gradients present: `mgda_of_present`; `decay`, of the average (alpha).

    **Raises:** `ValueError` if `weighting` is no function or `decay` not between 0 and 1.

    ```pycon
    >>> descent = l2o.multiobjective.aggregate(l2o.multiobjective.CRMOGM(), num_objectives=2)
    >>> jacobian = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    >>> descent.update(jacobian, descent.init(jnp.zeros(2)))[0]
    Array([0.5, 0.5], dtype=float32)
    ```
    """

    # MGDA proper gives all weight to an absent gradient, and none to the others.
    weighting: Callable[..., Float[Array, " m"]] = eqx.field(
        static=True,
        default=mgda,
        converter=lambda given: mgda_of_present if given is mgda else given,
    )
    decay: float = 0.9

    def __check_init__(self) -> None:
        if isinstance(self.weighting, StatefulWeighting | type) or not callable(self.weighting):
            raise ValueError(
                f"CRMOGM averages a function of the Gramian, such as mgda; got {self.weighting!r}."
            )
        check_number("decay", self.decay, least=0, below=1)

    def init(self, num_objectives: int) -> Float[Array, " m"]:
        """No average yet: NaN."""
        return jnp.full(num_objectives, jnp.nan)

    def step(
        self,
        gramian: Gramian,
        state: Float[Array, " m"],
        *,
        losses: Float[Array, " m"],
        present: Bool[Array, " m"],
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
        """One step; the losses do not matter, and a key is handed on."""
        del losses, present
        if key is not None:
            check_takes_key(self.weighting)
        new = self.weighting(gramian) if key is None else self.weighting(gramian, key=key)
        average = self.decay * state + (1 - self.decay) * new
        average = jnp.where(jnp.isnan(state), new, average)
        return average, average
