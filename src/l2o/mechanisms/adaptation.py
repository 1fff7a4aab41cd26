"""Learning-rate adaptation: how the gradients met set the learning rate."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from l2o.mechanisms.anderson import iterate_to_rest
from l2o.mechanisms.dynamics import Dynamics, checked_time
from l2o.mechanisms.fixed_points import _SETTLED, _within
from l2o.mechanisms.precision import in_double_precision
from l2o.mechanisms.schedule import changes

_PLAIN_STEPS = 64
_MAX_STEPS = 1000
_DEFAULT_GRADIENTS = np.logspace(-3, 3, 25)


class AdaptationCurve(eqx.Module):
    """Fixed points h*(g) of the state under constant gradients, and the learning rate there."""

    gradients: Float[np.ndarray, " gradients"]
    """In rising order."""
    states: Float[np.ndarray, "gradients state"]
    residuals: Float[np.ndarray, " gradients"]
    """The sum of squares of F(h, g) - h: not near zero where the state did not come to rest."""
    effective_learning_rate: Float[np.ndarray, " gradients"]
    """Minus the slope of g' -> u(h*(g), g') at g' = 0; not a number where there is no h*(g)."""
    present: bool
    """Whether the learning rates differ by more than `RELATIVE_CHANGE` of the largest."""

    def draw(self, axes: Any) -> None:
        """Draws the effective learning rate against the size of the gradient, one line a sign.

        **Arguments:** `axes`, of matplotlib.
        """
        for arm, label in ((self.gradients > 0, "g > 0"), (self.gradients < 0, "g < 0")):
            axes.plot(np.abs(self.gradients[arm]), self.effective_learning_rate[arm], label=label)
        axes.set_xscale("log")
        axes.set_xlabel("size of the constant gradient")
        axes.set_ylabel("effective learning rate")


@in_double_precision
def adaptation_curve(
    dynamics: Dynamics,
    gradients: Float[ArrayLike, " gradients"] | None = None,
    *,
    start: Float[ArrayLike, " state"] | None = None,
    time: int | None = None,
) -> AdaptationCurve:
    """Follows the fixed point h*(g) over constant gradients g, and the learning rate there.

    Each sign's arm begins at its smallest gradient and goes on from neighbour to neighbour. Source:
    Maheswaranathan et al. 2021, the section on learning-rate adaptation.

    **Arguments:**

    - `dynamics`: from `coordinate_dynamics`.
    - `gradients`: the constant gradients, by default 25 of each sign from 1e-3 to 1e3.
    - `start`: where both arms begin, by default the initial state.
    - `time`: the number of steps to hold the counters at, for optimizers that count them.

    **Returns:** the fixed points and learning rates, in the order of rising gradients.

    **Raises:** `ValueError` for an optimizer that depends on time, without `time`.
    """
    held = jnp.asarray(checked_time(dynamics, time))
    if gradients is None:
        gradients = np.concatenate([-_DEFAULT_GRADIENTS[::-1], _DEFAULT_GRADIENTS])
    values = np.sort(np.asarray(gradients, np.float64))
    begin = dynamics.initial_state if start is None else jnp.asarray(start, jnp.float64)
    arms = []
    for arm in (values[values < 0][::-1], values[values >= 0]):
        if arm.size:
            arms.append(tuple(map(np.asarray, _follow(dynamics, begin, jnp.asarray(arm), held))))
    if np.any(values < 0):
        arms[0] = tuple(part[::-1] for part in arms[0])
    states, residuals, rates = (np.concatenate(parts) for parts in zip(*arms, strict=True))
    rates = np.where(_within(residuals, states, _SETTLED), rates, np.nan)
    return AdaptationCurve(values, states, residuals, rates, changes(rates))


@eqx.filter_jit
def _follow(
    dynamics: Dynamics, start: Array, gradients: Array, time: Array
) -> tuple[Array, Array, Array]:
    def step(state: Array, gradient: Array) -> tuple[Array, tuple[Array, Array, Array]]:
        end = iterate_to_rest(
            lambda state: dynamics.next_state(state, gradient, time),
            state,
            tolerance=1e-26,
            plain_steps=_PLAIN_STEPS,
            max_steps=_MAX_STEPS,
        )
        rate = dynamics.effective_learning_rate(end.state, jnp.zeros(()), time)
        return end.state, (end.state, end.residual, rate)

    return jax.lax.scan(step, start, gradients)[1]
