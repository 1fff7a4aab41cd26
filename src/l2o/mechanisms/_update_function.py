"""What an optimizer does with a gradient, at one of its states."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from l2o.mechanisms.dynamics import Dynamics
from l2o.mechanisms.precision import in_double_precision

PROBED = np.logspace(-12, 12, 961)
"""The sizes at which saturation is looked for: wide enough for any scale that gradients have."""

# Saturated: a hundred times the gradient gives at most this much more of an update.
_SATURATED_GROWTH = 1.05
_DECADES_SHOWN = 6
_POINTS_PER_DECADE = 20


class Saturation(eqx.Module):
    """Whether large gradients give no larger updates: a soft clip of the gradient."""

    saturates: bool
    threshold: float
    """The gradient at which a line of the slope at zero reaches the peak: c for a hard clip at c
    and for c tanh(g / c) alike. Not a number where nothing saturates."""
    half_height: float
    """The smallest gradient at which the update, its offset removed, is half the peak; the mean of
    both signs."""
    peak: float
    """The largest update, its offset removed, with its sign: the mean of both signs."""
    plateau: float
    """The same at very large gradients: the peak, unless updates fall again."""

    @property
    def falls_again(self) -> bool:
        """Whether very large gradients give smaller updates than large ones."""
        return self.saturates and abs(self.peak) > _SATURATED_GROWTH * abs(self.plateau)


class UpdateFunction(eqx.Module):
    """The update u(h, g) against the gradient g, at one state h."""

    gradients: Float[np.ndarray, " gradients"]
    updates: Float[np.ndarray, " gradients"]
    offset: float
    """The update at g = 0: what momentum does."""
    effective_learning_rate: float
    """Minus the slope at g = 0."""
    saturation: Saturation

    def draw(self, axes: Any) -> None:
        """Draws the update against the gradient, with its slope at zero and its plateau.

        **Arguments:** `axes`, of matplotlib.
        """
        axes.plot(self.gradients, self.updates)
        line = self.offset - self.effective_learning_rate * self.gradients
        low, high = np.nanmin(self.updates), np.nanmax(self.updates)
        margin = 0.2 * (high - low) or 1.0
        axes.plot(self.gradients, line, color="#999999", linestyle="--", linewidth=1)
        axes.set_ylim(low - margin, high + margin)
        axes.set_xlabel("gradient")
        axes.set_ylabel("update")
        if self.gradients[-1] > 1e3 * np.min(np.abs(self.gradients[self.gradients != 0])):
            nearest = np.min(np.abs(self.gradients[self.gradients != 0]))
            axes.set_xscale("symlog", linthresh=nearest)


@in_double_precision
def update_function(
    dynamics: Dynamics,
    state: Float[ArrayLike, " state"] | None = None,
    gradients: Float[ArrayLike, " gradients"] | None = None,
    *,
    time: int = 0,
) -> UpdateFunction:
    """Evaluates the update function u(h, g) over gradients, and looks for saturation.

    Source: Maheswaranathan et al. 2021, the section on gradient clipping.

    **Arguments:**

    - `dynamics`: from `coordinate_dynamics`.
    - `state`: h, by default the initial state.
    - `gradients`: where to evaluate. By default both signs, and zero, over six decades to either
      side of the gradient at which the update saturates, or of 1.
    - `time`: the number of steps that came before, for optimizers that count them.

    **Returns:** the updates, and what they say: offset, slope at zero and saturation. Saturation is
    looked for up to gradients of 1e12, whatever `gradients` are.

    ```pycon
    >>> dynamics = l2o.mechanisms.coordinate_dynamics(l2o.from_optax(optax.sgd(0.5)))
    >>> found = l2o.mechanisms.update_function(dynamics, gradients=np.array([-1.0, 0.0, 1.0]))
    >>> found.effective_learning_rate, found.saturation.saturates
    (0.5, False)
    ```
    """
    state = dynamics.initial_state if state is None else jnp.asarray(state, jnp.float64)
    probed = np.concatenate([-PROBED[::-1], [0.0], PROBED])
    updates, slope = _evaluate(dynamics, state, jnp.asarray(probed), jnp.asarray(time))
    rate = -float(slope)
    saturation = saturation_of(probed, np.asarray(updates), rate)
    if gradients is None:
        scale = saturation.half_height if saturation.saturates else 1.0
        count = 2 * _DECADES_SHOWN * _POINTS_PER_DECADE + 1
        arm = scale * np.logspace(-_DECADES_SHOWN, _DECADES_SHOWN, count)
        gradients = np.concatenate([-arm[::-1], [0.0], arm])
    gradients = np.asarray(gradients, np.float64)
    shown, _ = _evaluate(dynamics, state, jnp.asarray(gradients), jnp.asarray(time))
    offset = float(updates[PROBED.size])
    return UpdateFunction(gradients, np.asarray(shown), offset, rate, saturation)


@eqx.filter_jit
def _evaluate(
    dynamics: Dynamics, state: Array, gradients: Array, time: Array
) -> tuple[Float[Array, " gradients"], Float[Array, ""]]:
    updates = jax.vmap(dynamics.update, in_axes=(None, 0, None))(state, gradients, time)
    return updates, -dynamics.effective_learning_rate(state, jnp.zeros(()), time)


def saturation_of(
    gradients: Float[np.ndarray, " gradients"],
    updates: Float[np.ndarray, " gradients"],
    rate: float,
) -> Saturation:
    """Looks for an end of growth at the ends of a wide grid that is symmetric around zero.

    **Arguments:** `gradients`; `updates`, for each of them; `rate`, minus the slope at zero.
    """
    middle = gradients.size // 2
    # Half the difference between a gradient and its negative is free of the offset.
    arm = gradients[middle + 1 :]
    positive, negative = updates[middle + 1 :], updates[:middle][::-1]
    heights = (negative - positive) / 2
    before = np.searchsorted(arm, arm[-1] / 100)
    plateau = float(heights[-1])
    peak = float(heights[np.argmax(np.abs(heights))])
    grown = abs(plateau) <= _SATURATED_GROWTH * abs(heights[before])
    if not (math.isfinite(peak) and peak != 0 and grown):
        return Saturation(False, math.nan, math.nan, math.nan, math.nan)
    half = abs(peak) / 2
    first = int(np.argmax(np.abs(heights) >= half))
    half_height = float(arm[first])
    if first > 0:
        low, high = abs(heights[first - 1]), abs(heights[first])
        share = (half - low) / (high - low)
        half_height = float(arm[first - 1] + share * (arm[first] - arm[first - 1]))
    threshold = peak / rate if rate else math.nan
    return Saturation(True, threshold, half_height, peak, plateau)
