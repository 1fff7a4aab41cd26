"""PCD: one objective first, and some progress for all others."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from l2o.gradients import Gramian
from l2o.multiobjective.programs.nonnegative_program import program_of
from l2o.multiobjective.stateful_weighting import StatefulWeighting
from l2o.support.checks import check_number


class PCDState(NamedTuple):
    """The gradients' root mean squares before they are corrected, and of how many steps."""

    step: Int[Array, " m"]
    averages: Float[Array, " m"]


class PCD(StatefulWeighting):
    """Priority-constrained descent: the first objective comes before the others.

    Gradients are divided by running means of their norms. Of all directions d on which every
    other objective has `<g_i, d> >= progress_i |g_i|^2`, a share of what a step along its own
    gradient would give, it takes the nearest to the first gradient, as long as that one. The
    multipliers of the constraints are a program over the non-negative orthant, in cosines.

    Source: Not All Objectives Are Born Equal: Priority-Constrained Descent for Hierarchical
    Multi-Objective Optimization, 2026 (arXiv 2606.29521).

    **Arguments:** `progress`, between 0 and 1, one number or m - 1; `decay`, of the running means
    of squared norms; `offset`, added to them.

    ```pycon
    >>> descent = l2o.multiobjective.aggregate(l2o.multiobjective.PCD(), num_objectives=2)
    >>> jacobian = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    >>> descent.update(jacobian, descent.init(jnp.zeros(2)), value=jnp.ones(2))[0].shape
    (2,)
    ```
    """

    progress: float | Float[Array, " others"] = 0.02
    decay: float = 0.999
    offset: float = 0.0

    def __check_init__(self) -> None:
        progress = np.asarray(self.progress)
        if not (np.all(progress >= 0) and np.all(progress <= 1)):
            raise ValueError(f"progress must be between 0 and 1, got {self.progress}.")
        check_number("decay", self.decay, least=0, below=1)
        check_number("offset", self.offset, least=0)

    def init(self, num_objectives: int) -> PCDState:
        """No averages yet."""
        return PCDState(jnp.zeros(num_objectives, jnp.int32), jnp.zeros(num_objectives))

    def step(
        self,
        gramian: Gramian,
        state: PCDState,
        *,
        losses: Float[Array, " m"],
        present: Bool[Array, " m"],
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, " m"], PCDState]:
        """One step; losses and key do not matter.

        **Returns:** weights, and the new state. If the constraints contradict one another, as far
        as the Gramian's precision can tell, the direction is the first gradient; if d vanishes, or
        the first gradient, zero.

        **Raises:** `ValueError` if the progress is not one number or m - 1.
        """
        del losses, present, key
        norms, cosines, remainder = gramian.norms, gramian.cosines, gramian.remainder
        progress = jnp.asarray(self.progress, gramian.dtype)
        if progress.shape not in ((), (len(norms) - 1,)):
            raise ValueError(
                f"The progress is one number or one for each of the other {len(norms) - 1} "
                f"objectives, got shape {progress.shape}."
            )
        step = state.step + 1
        averages = _root_of_squares(
            self.decay**0.5 * state.averages, (1 - self.decay) ** 0.5 * norms
        )
        share = -jnp.expm1(step * jnp.log1p(self.decay - 1))
        means = _root_of_squares(averages / jnp.sqrt(share), jnp.sqrt(self.offset))
        sizes = jnp.where(means > 0.0, norms / jnp.where(means > 0.0, means, 1.0), 0.0)

        limits = progress * sizes[1:]
        largest = jnp.max(jnp.abs(sizes[0] * cosines[1:, 0] - limits), initial=0.0)
        largest = jnp.where(largest == 0.0, 1.0, largest)
        multipliers = program_of(_nearest, cosines, remainder, sizes[0] / largest, limits / largest)
        # Contradictions have multipliers without bounds; they end where the matrix was rounded.
        rounding = 10 * gramian.rounding
        is_feasible = ~(jnp.max(multipliers, initial=0.0) > 1 / max(rounding, 1e-9))
        multipliers = jnp.where(is_feasible, largest * multipliers, 0.0)

        scaled = jnp.concatenate([sizes[:1], multipliers])
        square = scaled @ (cosines @ scaled + remainder @ scaled)
        vanishes = square <= 10 * jnp.finfo(square.dtype).eps * jnp.sum(scaled) ** 2
        lengthened = scaled * norms[0] / jnp.sqrt(jnp.where(vanishes, 1.0, square))
        weights = jnp.where(norms > 0.0, lengthened / jnp.where(norms > 0.0, norms, 1.0), 0.0)
        return jnp.where(vanishes, 0.0, weights), PCDState(step, averages)


def _nearest(
    cosines: Float[Array, "m m"], size: Float[Array, ""], limits: Float[Array, " others"]
) -> tuple[Array, Array]:
    return cosines[1:, 1:], size * cosines[1:, 0] - limits


def _root_of_squares(one: Float[Array, " m"], other: ArrayLike) -> Float[Array, " m"]:
    """`sqrt(a^2 + b^2)` without an overflow on the way."""
    largest = jnp.maximum(one, other)
    safe = jnp.where(largest > 0.0, largest, 1.0)
    return largest * jnp.sqrt(
        jnp.where(largest > 0.0, (one / safe) ** 2 + (other / safe) ** 2, 1.0)
    )
