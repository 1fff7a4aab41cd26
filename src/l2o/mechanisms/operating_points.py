"""Where an optimizer is looked at: states settled under a gradient, at a time that is held."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from l2o.mechanisms.dynamics import Dynamics, limit_in
from l2o.mechanisms.held_map import HeldMap
from l2o.mechanisms.linearization import Linearization
from l2o.mechanisms.precision import in_double_precision

PLAIN_STEPS = 100
"""How long a gradient is met before the state is looked at, where it never comes to rest."""

_NEWTON_STEPS = 8
# All calls are made in batches of this many points, so that one program does for all of them.
_ROWS = 64


class OperatingPoints(eqx.Module):
    """An optimizer's steps to first order, at one settled state a gradient and time."""

    gradients: Float[np.ndarray, " points"]
    times: Int[np.ndarray, " points"]
    states: Float[np.ndarray, "points state"]
    """Fixed points, or the states after `PLAIN_STEPS` where there are none."""
    at_rest: Bool[np.ndarray, " points"]
    updates: Float[np.ndarray, " points"]
    reversed_updates: Float[np.ndarray, " points"]
    """For the opposite of the gradient."""
    residuals: Float[np.ndarray, " points"]
    """The sum of squares of F(h) - h."""
    state_jacobians: Float[np.ndarray, "points state state"]
    gradient_jacobians: Float[np.ndarray, "points state"]
    readouts: Float[np.ndarray, "points state"]
    feedthroughs: Float[np.ndarray, " points"]
    odd_responses: Float[np.ndarray, "points state"]
    """(F(h, g) - F(h, -g)) / 2g: the answer of the state to a gradient of the other sign."""

    @property
    def odd_rates(self) -> Float[np.ndarray, " points"]:
        """(u(h, -g) - u(h, g)) / 2g: how much of a gradient of that size is taken off at once."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return (self.reversed_updates - self.updates) / (2 * self.gradients)

    @property
    def whole_rates(self) -> Float[np.ndarray, " points"]:
        """-u(h, g) / g: how much is taken off in all."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return -self.updates / self.gradients

    def linearization(self, index: int) -> Linearization:
        """F and u to first order at one of the points."""
        return Linearization(
            state=self.states[index],
            gradient=float(self.gradients[index]),
            time=int(self.times[index]),
            update=float(self.updates[index]),
            residual=float(self.residuals[index]),
            state_jacobian=self.state_jacobians[index],
            gradient_jacobian=self.gradient_jacobians[index],
            readout=self.readouts[index],
            feedthrough=float(self.feedthroughs[index]),
        )


@in_double_precision
def settled_points(
    dynamics: Dynamics, gradients: Float[ArrayLike, " points"], times: ArrayLike
) -> OperatingPoints:
    """Settles the state under constant gradients, with the time held, and differentiates there.

    The state begins where the optimizer does. Where it does not come to rest, as a sum that grows
    for ever, it is looked at on its way.

    **Arguments:** `dynamics`, whose counters are held; `gradients`, one a point; `times`, one a
    point or one for all.
    """
    gradients = np.asarray(gradients, np.float64)
    times = np.broadcast_to(np.asarray(times, int), gradients.shape)
    states, at_rest = _in_rows(_settle, dynamics, gradients, times)
    return points_at(dynamics, states, gradients, times, at_rest)


@in_double_precision
def points_at(
    dynamics: Dynamics,
    states: Float[ArrayLike, "points state"],
    gradients: Float[ArrayLike, " points"],
    times: ArrayLike,
    at_rest: Bool[np.ndarray, " points"] | None = None,
) -> OperatingPoints:
    """Differentiates at given states.

    **Arguments:** as for `settled_points`; `states`, one a point; `at_rest`, which of them are
    known to be fixed points.
    """
    gradients, states = np.asarray(gradients, np.float64), np.asarray(states, np.float64)
    times = np.broadcast_to(np.asarray(times, int), gradients.shape)
    known = np.zeros(gradients.shape, bool) if at_rest is None else at_rest
    parts = _in_rows(_differentiate, dynamics, states, gradients, times)
    return OperatingPoints(gradients, times, states, known, *parts)


def _in_rows(function: Any, dynamics: Dynamics, *arrays: np.ndarray) -> list[np.ndarray]:
    """Calls a compiled function of many points, a fixed number of them at a time."""
    count, pieces = len(arrays[0]), []
    for first in range(0, count, _ROWS):
        rows = np.minimum(np.arange(first, first + _ROWS), count - 1)
        ends = function(dynamics, *(jnp.asarray(array[rows]) for array in arrays))
        pieces.append([np.asarray(end)[: count - first] for end in ends])
    return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]


@eqx.filter_jit
def _settle(dynamics: Dynamics, gradients: Array, times: Array) -> tuple[Array, Array]:
    # Most of the time goes into compilation, so the dynamics stand in here as few times as can be.
    def settle(gradient: Array, time: Array) -> tuple[Array, Array]:
        held = HeldMap(dynamics, gradient, time)
        plain = jax.lax.fori_loop(
            0, PLAIN_STEPS, lambda _, state: held(state), dynamics.initial_state
        )
        fixed = _newton(held, plain)
        at_rest = held.is_fixed(fixed)
        return jnp.where(at_rest, fixed, plain), at_rest

    return jax.vmap(settle)(gradients, times)


@eqx.filter_jit
def _differentiate(
    dynamics: Dynamics, states: Array, gradients: Array, times: Array
) -> tuple[Array, ...]:
    def differentiate(state: Array, gradient: Array, time: Array) -> tuple[Array, ...]:
        def jacobians(gradient: Array) -> tuple[Array, ...]:
            (readout, feedthrough), (state_jacobian, gradient_jacobian) = jax.jacfwd(
                dynamics, argnums=(0, 1)
            )(state, gradient, time)
            return state_jacobian, gradient_jacobian, readout, feedthrough

        (update, opposite), (following, reverse) = jax.vmap(dynamics, in_axes=(None, 0, None))(
            state, gradient * jnp.array([1.0, -1.0]), time
        )
        return (
            update,
            opposite,
            jnp.sum((following - state) ** 2),
            *limit_in(jacobians, gradient),
            (following - reverse) / jnp.where(gradient == 0, jnp.nan, 2 * gradient),
        )

    return jax.vmap(differentiate)(states, gradients, times)


def _newton(held: HeldMap, state: Float[Array, " state"]) -> Float[Array, " state"]:
    """A few steps of Newton's method for F(h) = h: the best state met."""

    def step(_: Any, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        state, best, least = carry

        def image(state: Array) -> tuple[Array, Array]:
            following = held(state)
            return following, following

        jacobian, following = jax.jacfwd(image, has_aux=True)(state)
        residual = following - state
        error = jnp.sum(residual**2)
        better = error < least
        best, least = jnp.where(better, state, best), jnp.where(better, error, least)
        return state + jnp.linalg.solve(jnp.eye(state.size) - jacobian, residual), best, least

    start = (state, state, jnp.full((), jnp.inf))
    return jax.lax.fori_loop(0, _NEWTON_STEPS, step, start)[1]
