"""PCD: one objective first, and some progress for all others."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from l2o.multiobjective.cosines import cosines_of
from l2o.multiobjective.nonnegative_program import nonnegative_program
from l2o.multiobjective.stateful_weighting import StatefulWeighting


class PCDState(NamedTuple):
    """The averages of the gradients' squared norms, and of how many steps they are."""

    step: Int[Array, ""]
    squares: Float[Array, " m"]


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
    """

    progress: float | Float[Array, " others"] = 0.02
    decay: float = 0.999
    offset: float = 1e-8

    def init(self, num_objectives: int) -> PCDState:
        """No averages yet."""
        return PCDState(jnp.zeros((), jnp.int32), jnp.zeros(num_objectives))

    def update(
        self,
        gramian: Float[Array, "m m"],
        state: PCDState,
        *,
        losses: Float[Array, " m"] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, " m"], PCDState]:
        """One step; losses and key do not matter.

        **Returns:** weights, and the new state. If the constraints contradict one another, as far
        as the Gramian's precision can tell, the direction is the first gradient; if d vanishes, or
        the first gradient, zero. What is not finite makes weights of NaN and does not enter the
        averages.

        **Raises:** `ValueError` if the progress is not one number or m - 1.
        """
        del losses, key
        norms, cosines = cosines_of(gramian)
        progress = jnp.asarray(self.progress, gramian.dtype)
        if progress.shape not in ((), (len(norms) - 1,)):
            raise ValueError(
                f"The progress is one number or one for each of the other {len(norms) - 1} "
                f"objectives, got shape {progress.shape}."
            )
        step = state.step + 1
        squares = self.decay * state.squares + (1 - self.decay) * norms**2
        share = -jnp.expm1(step * jnp.log1p(self.decay - 1))
        means = jnp.sqrt(squares / share + self.offset)
        sizes = jnp.where(means > 0.0, norms / jnp.where(means > 0.0, means, 1.0), 0.0)

        linear = sizes[0] * cosines[1:, 0] - progress * sizes[1:]
        largest = jnp.max(jnp.abs(linear), initial=0.0)
        largest = jnp.where(largest == 0.0, 1.0, largest)
        multipliers = nonnegative_program(cosines[1:, 1:], linear / largest)
        rounding = 10 * float(jnp.finfo(gramian.dtype).eps)
        # Contradictions have multipliers without bounds; they end where the matrix was rounded.
        is_feasible = ~(jnp.max(multipliers, initial=0.0) > 1 / max(rounding, 1e-9))
        multipliers = jnp.where(is_feasible, largest * multipliers, 0.0)

        scaled = jnp.concatenate([sizes[:1], multipliers])
        square = scaled @ cosines @ scaled
        vanishes = square <= rounding * jnp.sum(scaled) ** 2
        lengthened = scaled * norms[0] / jnp.sqrt(jnp.where(vanishes, 1.0, square))
        weights = jnp.where(norms > 0.0, lengthened / jnp.where(norms > 0.0, norms, 1.0), 0.0)
        is_finite = jnp.all(jnp.isfinite(gramian))
        weights = jnp.where(is_finite, jnp.where(vanishes, 0.0, weights), jnp.nan)
        kept = PCDState(
            jnp.where(is_finite, step, state.step), jnp.where(is_finite, squares, state.squares)
        )
        return weights, kept
