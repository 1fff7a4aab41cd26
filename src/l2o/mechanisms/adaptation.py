"""Learning-rate adaptation: how the gradients that are met set the learning rate."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from l2o.mechanisms.anderson import iterate_to_rest
from l2o.mechanisms.dynamics import Dynamics, checked_time
from l2o.mechanisms.held_map import TOLERANCE, HeldMap, newton
from l2o.mechanisms.precision import in_double_precision
from l2o.mechanisms.schedule import changes
from l2o.tasks.checks import check_at_least

# These carry the state into the basin of the attractor that it belongs to.
_PLAIN_STEPS = 64
_MAX_STEPS = 500
_ARM = np.logspace(-3, 3, 25)
_DEFAULT_GRADIENTS = np.concatenate([-_ARM[::-1], _ARM])


class AdaptationCurve(eqx.Module):
    """States that constant gradients lead to, and the effective learning rate there."""

    gradients: Float[np.ndarray, " gradients"]
    """In rising order."""
    states: Float[np.ndarray, "gradients state"]
    residuals: Float[np.ndarray, " gradients"]
    """The sum of squares of F(h, g) - h: not near zero where the state has not come to rest."""
    effective_learning_rate: Float[np.ndarray, " gradients"]
    """Minus the slope of g' -> u(h, g') at g' = 0; not a number where there is no fixed point."""
    num_steps: int | None
    """How many steps each gradient was met for; `None` for fixed points."""
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
    num_steps: int | None = None,
) -> AdaptationCurve:
    """Follows the fixed point h*(g) over constant gradients g, and the learning rate there.

    Each sign's arm begins at its smallest gradient, and every other one goes on from its
    neighbour's fixed point. Source: Maheswaranathan et al. 2021, on learning-rate adaptation.

    **Arguments:**

    - `dynamics`: from `coordinate_dynamics`.
    - `gradients`: the constant gradients, by default 25 of each sign from 1e-3 to 1e3.
    - `start`: where both arms begin, by default the initial state.
    - `time`: the number of steps at which to hold counters, for optimizers that depend on them.
    - `num_steps`: meet each gradient for so many steps, with counters running, instead of coming
      to rest: for optimizers without fixed points, such as AdaGrad.

    **Returns:** states and learning rates, in the order of rising gradients.

    **Raises:** `ValueError` for no gradients, `num_steps` below 1, and an optimizer that depends on
    time with neither `time` nor `num_steps`.
    """
    values = np.sort(np.asarray(_DEFAULT_GRADIENTS if gradients is None else gradients, float))
    if values.ndim != 1 or not values.size:
        raise ValueError(f"gradients must be a list of numbers, got shape {values.shape}.")
    begin = dynamics.initial_state if start is None else jnp.asarray(start, jnp.float64)
    if num_steps is not None:
        check_at_least("num_steps", num_steps, 1)
        curve = _meet(dynamics, begin, jnp.asarray(values), jnp.asarray(num_steps))
        states, residuals, rates = map(np.asarray, curve)
        return AdaptationCurve(values, states, residuals, rates, num_steps, changes(rates))
    held = jnp.asarray(checked_time(dynamics, time))
    outwards = [values[values < 0][::-1], values[values >= 0]]
    curves = [
        [np.asarray(part) for part in _follow(dynamics, begin, jnp.asarray(arm), held)]
        for arm in outwards
    ]
    below, above = curves
    states, residuals, rates = (
        np.concatenate([low[::-1], high]) for low, high in zip(below, above, strict=True)
    )
    return AdaptationCurve(values, states, residuals, rates, None, changes(rates))


@eqx.filter_jit
def _follow(
    dynamics: Dynamics, start: Array, gradients: Array, time: Array
) -> tuple[Array, Array, Array]:
    """The fixed points from gradient to gradient: states, sums of squares, learning rates."""

    def step(state: Array, gradient: Array) -> tuple[Array, tuple[Array, Array, Array]]:
        held = HeldMap(dynamics, gradient, time)
        state = jax.lax.fori_loop(0, _PLAIN_STEPS, lambda _, state: held(state), state)
        end = iterate_to_rest(held, state, tolerance=TOLERANCE, max_steps=_MAX_STEPS)
        fixed = newton(held, end.state)
        rate = dynamics.effective_learning_rate(fixed, jnp.zeros(()), time)
        rate = jnp.where(held.is_fixed(fixed), rate, jnp.nan)
        return fixed, (fixed, held.error(fixed), rate)

    return jax.lax.scan(step, start, gradients)[1]


@eqx.filter_jit
def _meet(
    dynamics: Dynamics, start: Array, gradients: Array, num_steps: Array
) -> tuple[Array, Array, Array]:
    """The states after some steps of every gradient: states, sums of squares, learning rates."""

    def meet(gradient: Array) -> tuple[Array, Array, Array]:
        def step(time: Array, state: Array) -> Array:
            return dynamics.next_state(state, gradient, time)

        state = jax.lax.fori_loop(0, num_steps, step, start)
        error = jnp.sum((step(num_steps, state) - state) ** 2)
        rate = dynamics.effective_learning_rate(state, jnp.zeros(()), num_steps)
        return state, error, rate

    return jax.vmap(meet)(gradients)
