"""Where an optimizer's state comes to rest under a constant gradient, and where it lingers."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from jaxtyping import Array, Bool, Complex, Float, Int, PRNGKeyArray
from numpy.typing import ArrayLike

from l2o.mechanisms.anderson import iterate_to_rest
from l2o.mechanisms.dynamics import Dynamics, checked_time
from l2o.mechanisms.precision import in_double_precision

TOLERANCE = 1e-24
"""The largest sum of squares of F(h) - h at a fixed point, relative to that of h above 1."""

_SETTLED = 1e-20
_PLAIN_STEPS = 64
_MAX_STEPS = 500
_WATCHED_STEPS = 256
_SEARCHES = 32
_SEARCH_STEPS = 256
# Fixed points closer than this, relative to the size of the states, are one.
_SAME = 1e-5
# A slow point moves at most this fraction of the typical distance that starts do.
_SLOW = 0.1
# No slow point is looked for farther out than this many times the size of the starts.
_FAR = 1e3

_NUM_RANDOM_STARTS = 64
_NUM_SEQUENCES = 32
_SEQUENCE_LENGTH = 32


class FixedPoints(eqx.Module):
    """States with F(h, g) = h, at one gradient g, and other places where the state is slow.

    The points that most starts came to rest at stand first.
    """

    gradient: float
    time: int
    """The counters' value, for optimizers that count their steps."""
    states: Float[np.ndarray, "points state"]
    residuals: Float[np.ndarray, " points"]
    """The sum of squares of F(h) - h."""
    eigenvalues: Complex[np.ndarray, "points state"]
    """Those of dF/dh, the largest first."""
    attracting: Bool[np.ndarray, " points"]
    """Whether all eigenvalues lie inside the unit circle."""
    num_starts: Int[np.ndarray, " points"]
    """How many of the starts came to rest there."""
    slow_points: Float[np.ndarray, "slow state"]
    """Minimisers of |F(h) - h|^2 that are no fixed points."""
    slow_residuals: Float[np.ndarray, " slow"]
    num_wandering: int
    """How many starts never came to rest but stayed where they were: a limit cycle, say."""
    num_growing: int
    """How many starts ran away: a sum that grows for ever, say, or an instability."""

    def draw(self, axes: Any) -> None:
        """Draws the first two coordinates of all points: attracting ones filled, slow ones gray.

        **Arguments:** `axes`, of matplotlib.
        """
        for states, style in (
            (self.slow_points, {"color": "#999999", "marker": "."}),
            (self.states[~self.attracting], {"facecolors": "none", "edgecolors": "#D55E00"}),
            (self.states[self.attracting], {"color": "#D55E00"}),
        ):
            padded = np.pad(states, ((0, 0), (0, max(0, 2 - states.shape[1]))))
            axes.scatter(padded[:, 0], padded[:, 1], **style)


@in_double_precision
def find_fixed_points(
    dynamics: Dynamics,
    gradient: float = 0.0,
    *,
    starts: Float[ArrayLike, "starts state"] | None = None,
    time: int | None = None,
    key: PRNGKeyArray | None = None,
) -> FixedPoints:
    """Finds where the state comes to rest at a constant gradient.

    Attractors are found by iterating the map from all starts, with Anderson acceleration, then
    Newton's method at the distinct ones. Unstable fixed points, and slow points, are found by
    minimising |F(h) - h|^2 (Sussillo and Barak 2013) with the Levenberg-Marquardt method from a
    spread-out subset of the starts.

    **Arguments:**

    - `dynamics`: from `coordinate_dynamics`.
    - `gradient`: g.
    - `starts`: where to start from. By default the initial state, states visited when random
      gradients of many sizes are met, and random states around those.
    - `time`: the number of steps to hold the counters at, for optimizers that count them.
    - `key`: of the default starts.

    **Returns:** the distinct points, their stability, and how many starts went where.

    **Raises:** `ValueError` for an optimizer that depends on time, without `time`.
    """
    time = checked_time(dynamics, time)
    if starts is None:
        starts = default_starts(dynamics, jax.random.key(0) if key is None else key, time=time)
    first = jnp.asarray(starts, jnp.float64)
    if first.shape[1:] != dynamics.initial_state.shape:
        raise ValueError(
            f"starts must have a row for each start and {dynamics.initial_state.size} columns, "
            f"got shape {first.shape}."
        )
    constants = (jnp.asarray(gradient, jnp.float64), jnp.asarray(time))
    if first.shape[1] == 0:
        return _stateless(gradient, time, first.shape[0])

    ends, residuals, speeds = map(np.asarray, _settle(dynamics, first, *constants))
    finite = np.all(np.isfinite(first), axis=1) & np.isfinite(speeds)
    scale = _size_of(np.asarray(first)[finite])
    settled = finite & _within(residuals, ends, _SETTLED)
    searched = _spread_out(np.asarray(first)[finite], scale)
    minima, slopes = (np.zeros((0, first.shape[1])), np.zeros(0))
    if searched.size:
        minima = np.asarray(_minimise(dynamics, jnp.asarray(searched), *constants))
    found = _polish_all(
        dynamics, np.concatenate([_distinct(ends[settled], scale), minima]), constants
    )
    points, errors = found
    exact = _within(errors, points, TOLERANCE)
    order = np.argsort(errors[exact], kind="stable")
    states = _distinct(points[exact][order], scale)
    states, errors, eigenvalues = _judge(dynamics, states, constants)
    owners = _nearest(ends[settled], states, scale)
    counts = np.bincount(owners[owners >= 0], minlength=len(states))
    order = np.argsort(-counts, kind="stable")
    slow, slow_errors = _slow_points(dynamics, minima, states, speeds[finite], scale, constants)
    lost = jnp.asarray(ends[finite & ~settled])
    growing = np.asarray(_runs_away(dynamics, lost, *constants)) if len(lost) else np.zeros(0, bool)
    del slopes
    return FixedPoints(
        gradient=float(gradient),
        time=time,
        states=states[order],
        residuals=errors[order],
        eigenvalues=eigenvalues[order],
        attracting=np.all(np.abs(eigenvalues[order]) < 1 - 1e-9, axis=1),
        num_starts=counts[order],
        slow_points=slow,
        slow_residuals=slow_errors,
        num_wandering=int(np.sum(~growing)),
        num_growing=int(np.sum(growing) + np.sum(~finite)),
    )


def _stateless(gradient: float, time: int, num_starts: int) -> FixedPoints:
    """The one fixed point of an optimizer without a state."""
    return FixedPoints(
        gradient=float(gradient),
        time=time,
        states=np.zeros((1, 0)),
        residuals=np.zeros(1),
        eigenvalues=np.zeros((1, 0), complex),
        attracting=np.ones(1, bool),
        num_starts=np.array([num_starts]),
        slow_points=np.zeros((0, 0)),
        slow_residuals=np.zeros(0),
        num_wandering=0,
        num_growing=0,
    )


@in_double_precision
def default_starts(
    dynamics: Dynamics, key: PRNGKeyArray, *, time: int = 0
) -> Float[Array, "starts state"]:
    """The initial state, states visited when random gradients are met, and random ones around.

    **Arguments:** `dynamics`; `key`; `time`, at which counters are held.
    """
    return _draw_starts(dynamics, key, jnp.asarray(time))


@eqx.filter_jit
def _draw_starts(
    dynamics: Dynamics, key: PRNGKeyArray, time: Array
) -> Float[Array, "starts state"]:
    size_key, gradient_key, pick_key, noise_key = jax.random.split(key, 4)
    sizes = 10 ** jax.random.uniform(size_key, (_NUM_SEQUENCES, 1), minval=-2.0, maxval=1.0)
    gradients = sizes * jax.random.normal(gradient_key, (_NUM_SEQUENCES, _SEQUENCE_LENGTH))

    def visit(gradients: Array) -> Array:
        def step(state: Array, gradient: Array) -> tuple[Array, Array]:
            following = dynamics.next_state(state, gradient, time)
            return following, following

        return jax.lax.scan(step, dynamics.initial_state, gradients)[1]

    visited = jax.vmap(visit)(gradients)
    typical = jnp.std(visited, axis=(0, 1))
    # What no gradient changes, such as a hyperparameter kept in the state, is left as it is; in a
    # state that gradients do not reach at all, everything is tried.
    typical = jnp.where(jnp.any(typical > 0), typical, 1.0)
    last = visited[:, -1]
    picked = jax.random.choice(pick_key, last, (_NUM_RANDOM_STARTS,))
    noise = jax.random.normal(noise_key, picked.shape) * typical
    return jnp.concatenate([dynamics.initial_state[None], last, picked + noise])


@eqx.filter_jit
def _settle(
    dynamics: Dynamics, starts: Array, gradient: Array, time: Array
) -> tuple[Array, Array, Array]:
    """Iterates from every start.

    **Returns:** the states at the end, the sums of squares of F(h) - h there and at the starts.
    """

    def settle(start: Array) -> tuple[Array, Array, Array]:
        def function(state: Array) -> Array:
            return dynamics.next_state(state, gradient, time)

        end = iterate_to_rest(
            function,
            start,
            tolerance=_SETTLED,
            plain_steps=_PLAIN_STEPS,
            max_steps=_MAX_STEPS,
        )
        return end.state, end.residual, jnp.sum((function(start) - start) ** 2)

    return jax.vmap(settle)(starts)


@eqx.filter_jit
def _minimise(dynamics: Dynamics, starts: Array, gradient: Array, time: Array) -> Array:
    """Minimises |F(h) - h|^2 from every start."""

    def displacement(state: Array, _: Any) -> Array:
        return dynamics.next_state(state, gradient, time) - state

    def minimise(start: Array) -> Array:
        solver = optimistix.LevenbergMarquardt(rtol=1e-12, atol=1e-14)
        solution = optimistix.least_squares(
            displacement, solver, start, max_steps=_SEARCH_STEPS, throw=False
        )
        return solution.value

    return jax.vmap(minimise)(starts)


@eqx.filter_jit
def _polish(dynamics: Dynamics, states: Array, gradient: Array, time: Array) -> tuple[Array, Array]:
    """A few of Newton's steps, as long as they help."""

    def displacement(state: Array) -> Array:
        return dynamics.next_state(state, gradient, time) - state

    def polish(state: Array) -> tuple[Array, Array]:
        def step(_: int, best: tuple[Array, Array]) -> tuple[Array, Array]:
            state, error = best
            jacobian = jax.jacfwd(displacement)(state)
            move = jnp.linalg.lstsq(jacobian, displacement(state))[0]
            new = state - move
            new_error = jnp.sum(displacement(new) ** 2)
            better = new_error < error
            return jnp.where(better, new, state), jnp.where(better, new_error, error)

        return jax.lax.fori_loop(0, 8, step, (state, jnp.sum(displacement(state) ** 2)))

    return jax.vmap(polish)(states)


def _polish_all(
    dynamics: Dynamics, states: Float[np.ndarray, "points state"], constants: Any
) -> tuple[Float[np.ndarray, "points state"], Float[np.ndarray, " points"]]:
    """Newton's method at every state, in batches of sizes that have been compiled before."""
    states = states[np.all(np.isfinite(states), axis=1)]
    if not len(states):
        return states, np.zeros(0)
    polished = _polish(dynamics, jnp.asarray(_padded(states)), *constants)
    return tuple(np.asarray(array)[: len(states)] for array in polished)  # type: ignore[return-value]


def _padded(states: Float[np.ndarray, "points state"]) -> Float[np.ndarray, "more state"]:
    """The states, the last of them repeated up to a power of two."""
    size = 8
    while size < len(states):
        size *= 2
    return np.concatenate([states, np.repeat(states[-1:], size - len(states), axis=0)])


@eqx.filter_jit
def _jacobians(
    dynamics: Dynamics, states: Array, gradient: Array, time: Array
) -> tuple[Array, Array]:
    def judge(state: Array) -> tuple[Array, Array]:
        following = dynamics.next_state(state, gradient, time)
        jacobian = jax.jacfwd(dynamics.next_state)(state, gradient, time)
        return jnp.sum((following - state) ** 2), jacobian

    return jax.vmap(judge)(states)


def _judge(
    dynamics: Dynamics, states: Float[np.ndarray, "points state"], constants: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Residuals and eigenvalues at the points."""
    if not len(states):
        return states, np.zeros(0), np.zeros(states.shape, complex)
    errors, jacobians = _jacobians(dynamics, jnp.asarray(_padded(states)), *constants)
    values = np.linalg.eigvals(np.asarray(jacobians)[: len(states)]).astype(complex)
    order = np.argsort(-np.abs(values), axis=1, kind="stable")
    return states, np.asarray(errors)[: len(states)], np.take_along_axis(values, order, axis=1)


@eqx.filter_jit
def _runs_away(dynamics: Dynamics, states: Array, gradient: Array, time: Array) -> Array:
    """Whether states that do not come to rest move farther and farther off."""

    def runs_away(start: Array) -> Array:
        def step(state: Array, _: None) -> tuple[Array, Array]:
            following = dynamics.next_state(state, gradient, time)
            return following, jnp.sum((following - start) ** 2)

        distances = jax.lax.scan(step, start, None, _WATCHED_STEPS)[1]
        early, late = jnp.split(distances, 2)
        return ~(jnp.max(late) <= 2.25 * jnp.max(early))

    return jax.vmap(runs_away)(states)


def _slow_points(
    dynamics: Dynamics,
    minima: Float[np.ndarray, "searches state"],
    fixed: Float[np.ndarray, "points state"],
    speeds: Float[np.ndarray, " starts"],
    scale: float,
    constants: Any,
) -> tuple[Float[np.ndarray, "slow state"], Float[np.ndarray, " slow"]]:
    """The minimisers that are no fixed points, slow for what the starts are, and not far out."""
    near = np.all(np.isfinite(minima), axis=1) & (np.linalg.norm(minima, axis=1) <= _FAR * scale)
    minima = minima[near]
    minima = _distinct(minima[_nearest(minima, fixed, 100 * scale) < 0], 100 * scale)
    minima, errors, _ = _judge(dynamics, minima, constants)
    slow = (errors <= _SLOW**2 * np.median(speeds)) & ~_within(errors, minima, TOLERANCE)
    order = np.argsort(errors[slow], kind="stable")
    return minima[slow][order], errors[slow][order]


def _within(
    errors: Float[np.ndarray, " points"],
    states: Float[np.ndarray, "points state"],
    tolerance: float,
) -> Bool[np.ndarray, " points"]:
    """Whether sums of squares pass for zero: relative to the state's where it is large."""
    return errors <= tolerance * np.maximum(1.0, np.sum(states**2, axis=1))


def _size_of(states: Float[np.ndarray, "starts state"]) -> float:
    """The typical size of states, for telling whether two of them are the same."""
    return float(np.sqrt(np.median(np.sum(states**2, axis=1)))) if len(states) else 1.0


def _distinct(
    states: Float[np.ndarray, "points state"], scale: float
) -> Float[np.ndarray, "distinct state"]:
    """The states without those that repeat an earlier one."""
    kept = np.zeros((0, states.shape[1]))
    for state in states:
        if _nearest(state[None], kept, scale)[0] < 0:
            kept = np.concatenate([kept, state[None]])
    return kept


def _nearest(
    states: Float[np.ndarray, "states state"],
    points: Float[np.ndarray, "points state"],
    scale: float,
) -> Int[np.ndarray, " states"]:
    """For each state, the index of the point that it is the same as; -1 for none."""
    if not len(points):
        return np.full(len(states), -1)
    distances = np.linalg.norm(states[:, None] - points[None], axis=2)
    nearest = np.argmin(distances, axis=1)
    size = np.maximum(scale, np.linalg.norm(points[nearest], axis=1))
    return np.where(np.min(distances, axis=1) <= _SAME * size, nearest, -1)


def _spread_out(
    states: Float[np.ndarray, "starts state"], scale: float
) -> Float[np.ndarray, "chosen state"]:
    """Some of the states, each the farthest from those chosen before it; the first one included."""
    if not len(states):
        return states
    chosen = [0]
    distances = np.linalg.norm(states - states[0], axis=1)
    while len(chosen) < _SEARCHES and np.max(distances) > _SAME * scale:
        chosen.append(int(np.argmax(distances)))
        distances = np.minimum(distances, np.linalg.norm(states - states[chosen[-1]], axis=1))
    return _padded(states[chosen])
