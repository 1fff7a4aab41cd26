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
from l2o.support.checks import check_at_least

# These carry the state into the basin of the attractor that it belongs to.
_PLAIN_STEPS = 64
_MAX_STEPS = 500
_ARM = np.logspace(-3, 3, 25)
_DEFAULT_GRADIENTS = np.concatenate([-_ARM[::-1], _ARM])
# The update jumps at zero where so much nearer to it than all gradients met are, learning rates are
# so many times those at the gradients.
_NEARER = 1e-10
_JUMP = 10.0


class AdaptationCurve(eqx.Module):
    """States that constant gradients lead to, and the effective learning rate there."""

    gradients: Float[np.ndarray, " gradients"]
    """In rising order."""
    states: Float[np.ndarray, "gradients state"]
    residuals: Float[np.ndarray, " gradients"]
    """The sum of squares of F(h, g) - h: not near zero where the state has not come to rest."""
    effective_learning_rate: Float[np.ndarray, " gradients"]
    """Minus the slope of g' -> u(h, g') at g' = 0; not a number where there is no fixed point."""
    finite_learning_rate: Float[np.ndarray, " gradients"]
    """Minus the slope of the line through u(h, -g) and u(h, g), at the constant gradient g itself:
    what the optimizer makes of gradients of that size."""
    num_steps: int | None
    """How many steps each gradient was met for; `None` for fixed points."""
    present: bool
    """Whether the telling learning rates differ by more than `RELATIVE_CHANGE` of the largest."""
    jumps_at_zero: bool
    """Whether slopes at zero hold for far smaller gradients only than all that were met, or for
    none, as where the sign or the logarithm of the gradient is an input."""

    @property
    def telling_learning_rate(self) -> Float[np.ndarray, " gradients"]:
        """The effective learning rate, or the finite one where the update jumps at zero."""
        return self.finite_learning_rate if self.jumps_at_zero else self.effective_learning_rate

    def draw(self, axes: Any) -> None:
        """Draws the telling learning rate against the size of the gradient, one line a sign.

        **Arguments:** `axes`, of matplotlib.
        """
        rates = self.telling_learning_rate
        for arm, label in ((self.gradients > 0, "g > 0"), (self.gradients < 0, "g < 0")):
            axes.plot(np.abs(self.gradients[arm]), rates[arm], label=label)
        axes.set_xscale("log")
        axes.set_xlabel("size of the constant gradient")
        kind = "learning rate at that gradient" if self.jumps_at_zero else "effective learning rate"
        axes.set_ylabel(kind)


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

    ```pycon
    >>> dynamics = l2o.mechanisms.coordinate_dynamics(l2o.from_optax(optax.sgd(0.5)))
    >>> curve = l2o.mechanisms.adaptation_curve(dynamics, np.array([-1.0, 1.0]))
    >>> curve.effective_learning_rate, curve.present
    (array([0.5, 0.5]), False)
    ```
    """
    values = np.sort(np.asarray(_DEFAULT_GRADIENTS if gradients is None else gradients, float))
    if values.ndim != 1 or not values.size:
        raise ValueError(f"gradients must be a list of numbers, got shape {values.shape}.")
    begin = dynamics.initial_state if start is None else jnp.asarray(start, jnp.float64)
    if num_steps is not None:
        check_at_least("num_steps", num_steps, 1)
        curve = _meet(dynamics, begin, jnp.asarray(values), jnp.asarray(num_steps))
        return _curve(values, [np.asarray(part) for part in curve], num_steps)
    held = jnp.asarray(checked_time(dynamics, time))
    outwards = [values[values < 0][::-1], values[values >= 0]]
    curves = [
        [np.asarray(part) for part in _follow(dynamics, begin, jnp.asarray(arm), held)]
        for arm in outwards
    ]
    below, above = curves
    arms = zip(below, above, strict=True)
    return _curve(values, [np.concatenate([low[::-1], high]) for low, high in arms], None)


def _curve(
    gradients: Float[np.ndarray, " gradients"], parts: list[np.ndarray], num_steps: int | None
) -> AdaptationCurve:
    """Puts together states, sums of squares, and the three kinds of learning rates."""
    states, residuals, slopes, finite, near = parts
    known = np.isfinite(finite) & (gradients != 0)
    jumps = np.abs(near[known]) > _JUMP * np.abs(finite[known])
    jumps_at_zero = bool(jumps.size and np.all(jumps))
    present = changes(finite if jumps_at_zero else slopes)
    return AdaptationCurve(
        gradients, states, residuals, slopes, finite, num_steps, present, jumps_at_zero
    )


@eqx.filter_jit
def _follow(dynamics: Dynamics, start: Array, gradients: Array, time: Array) -> tuple[Array, ...]:
    """The fixed points from gradient to gradient: states, sums of squares, learning rates."""

    def step(state: Array, gradient: Array) -> tuple[Array, tuple[Array, ...]]:
        held = HeldMap(dynamics, gradient, time)
        state = jax.lax.fori_loop(0, _PLAIN_STEPS, lambda _, state: held(state), state)
        end = iterate_to_rest(held, state, tolerance=TOLERANCE, max_steps=_MAX_STEPS)
        fixed = newton(held, end.state)
        rates = _learning_rates(dynamics, fixed, gradient, time)
        known = [jnp.where(held.is_fixed(fixed), rate, jnp.nan) for rate in rates]
        return fixed, (fixed, held.error(fixed), *known)

    return jax.lax.scan(step, start, gradients)[1]


@eqx.filter_jit
def _meet(
    dynamics: Dynamics, start: Array, gradients: Array, num_steps: Array
) -> tuple[Array, ...]:
    """After some steps of every gradient: states, sums of squares, learning rates."""

    def meet(gradient: Array) -> tuple[Array, ...]:
        def step(time: Array, state: Array) -> Array:
            return dynamics.next_state(state, gradient, time)

        state = jax.lax.fori_loop(0, num_steps, step, start)
        error = jnp.sum((step(num_steps, state) - state) ** 2)
        return state, error, *_learning_rates(dynamics, state, gradient, num_steps)

    return jax.vmap(meet)(gradients)


def _learning_rates(
    dynamics: Dynamics, state: Array, gradient: Array, time: Array
) -> tuple[Float[Array, ""], ...]:
    """The slope at zero, and what is taken off per gradient at the gradient and near zero."""

    def finite(gradient: Array) -> Float[Array, ""]:
        update, opposite = (dynamics.update(state, g, time) for g in (gradient, -gradient))
        return (opposite - update) / (2 * gradient)

    slope = dynamics.effective_learning_rate(state, jnp.zeros(()), time)
    return slope, finite(gradient), finite(_NEARER * gradient)
