"""GradVac: gradient vaccine."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from l2o.gradients import AnyGramian, Gramian, as_gramian
from l2o.multiobjective.programs.cosines import weights_from_scaled_rows
from l2o.multiobjective.stateful_weighting import StatefulWeighting
from l2o.multiobjective.weightings.orders import random_orders
from l2o.support.checks import check_number

_OFFSET = 1e-8


def gradvac(
    gramian: AnyGramian, *, targets: ArrayLike = 0.0, key: PRNGKeyArray | None = None
) -> Float[Array, " m"]:
    """Turns every gradient towards the others until all cosines reach their targets.

    The result is the sum of the turned gradients. With targets of zero it turns as PCGrad does,
    save for the length of what is added. `GradVac` learns the targets.

    Source: Wang et al. 2021, Gradient Vaccine, equation 2.

    **Arguments:** `gramian`, of inner products of m gradients; `targets`, the cosines wanted
    between gradient i (row) and j (column), or one number for all; `key`, for the random order of
    the others; without one they are taken in the order of the rows.

    **Raises:** `ValueError` if the Gramian is not a square matrix.

    ```pycon
    >>> jacobian = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    >>> l2o.multiobjective.gradvac(l2o.multiobjective.gramian(jacobian))
    Array([1., 1.], dtype=float32)
    ```
    """
    gramian = as_gramian(gramian)
    wanted = jnp.broadcast_to(jnp.asarray(targets, gramian.dtype), gramian.shape)
    return _vaccinate(gramian, wanted, key).weights


class GradVac(StatefulWeighting):
    """Gradient vaccine, `gradvac`, with targets that are exponential averages of the cosines met.

    Source: Wang et al. 2021, Gradient Vaccine, algorithm 1.

    **Arguments:** `decay`, the share of the newest cosine in the average (beta).

    ```pycon
    >>> descent = l2o.multiobjective.aggregate(
    ...     l2o.multiobjective.GradVac(), num_objectives=2, key=jax.random.key(0)
    ... )
    >>> jacobian = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    >>> descent.update(jacobian, descent.init(jnp.zeros(2)))[0]
    Array([1., 1.], dtype=float32)
    ```
    """

    decay: float = 0.5

    def __check_init__(self) -> None:
        check_number("decay", self.decay, least=0, most=1)

    def init(self, num_objectives: int) -> Float[Array, "m m"]:
        """Targets of zero."""
        return jnp.zeros((num_objectives, num_objectives))

    def step(
        self,
        gramian: Gramian,
        state: Float[Array, "m m"],
        *,
        losses: Float[Array, " m"],
        present: Bool[Array, " m"],
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, " m"], Float[Array, "m m"]]:
        """One step: weights, and new targets; losses do not matter."""
        del losses, present
        weights, met = _vaccinate(gramian, state, key)
        is_other = ~jnp.eye(len(gramian), dtype=bool)
        return weights, jnp.where(is_other, (1 - self.decay) * state + self.decay * met, state)


class _Vaccinated(NamedTuple):
    weights: Float[Array, " m"]
    cosines: Float[Array, "m m"]
    """Those met on the way, between a gradient as it was then and another one."""


def _vaccinate(
    gramian: Gramian, targets: Float[Array, "m m"], key: PRNGKeyArray | None
) -> _Vaccinated:
    norms, cosines = gramian.norms, gramian.cosines
    m = len(gramian)

    def turn(
        own: Int[Array, ""], order: Int[Array, " m"], targets: Float[Array, " m"]
    ) -> tuple[Array, Array]:
        def towards(row: Float[Array, " m"], other: Int[Array, ""]) -> tuple[Array, Array]:
            products = cosines @ row
            square = row @ products
            norm = jnp.where(square > 0.0, jnp.sqrt(jnp.where(square > 0.0, square, 1.0)), 0.0)
            cosine = jnp.clip(products[other] / (norm + _OFFSET), -1.0, 1.0)
            target = targets[other]
            sine, target_sine = _sine(cosine), _sine(target)
            added = norm * (target * sine - cosine * target_sine) / (target_sine + _OFFSET)
            turns = (cosine < target) & (other != own) & (norms[other] > 0.0)
            return row.at[other].add(jnp.where(turns, added, 0.0)), cosine

        row, met = jax.lax.scan(towards, jnp.eye(m, dtype=gramian.dtype)[own], order)
        return row, jnp.zeros_like(met).at[order].set(met)

    indices = jnp.arange(m, dtype=jnp.int32)
    rows, met = jax.vmap(turn)(indices, random_orders(m, key), targets)
    return _Vaccinated(weights_from_scaled_rows(rows, norms), met)


def _sine(cosine: Float[Array, ""]) -> Float[Array, ""]:
    square = 1.0 - cosine**2
    return jnp.where(square > 0.0, jnp.sqrt(jnp.where(square > 0.0, square, 1.0)), 0.0)
