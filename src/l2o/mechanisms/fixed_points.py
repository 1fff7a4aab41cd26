"""Where an optimizer's state comes to rest under a constant gradient, and where it lingers."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Bool, Complex, Float, Int, PRNGKeyArray

from l2o.mechanisms.dynamics import Dynamics, checked_time
from l2o.mechanisms.held_map import HeldMap
from l2o.mechanisms.points import are_finite, distinct, nearest, spread_out, typical_size
from l2o.mechanisms.precision import in_double_precision
from l2o.mechanisms.starts import default_starts
from l2o.support.keys import check_key

# Starts are iterated for so many steps at a time, until each is this near to an attractor, relative
# to the size of states. Attractors are found by accelerating a few starts that are not.
_STRETCHES = (24, 40, 64, 128)
_NEAR = 1e-2
_NUM_ACCELERATED = 16
_NUM_SEARCHES = 16
# A start that has not come near is watched for twice so many steps. It approaches an attractor if
# the largest distance falls to this share from one half to the other, and runs away if the distance
# from where it was rises to this multiple.
_WATCHED_STEPS = 512
_APPROACH = 0.97
_FLIGHT = 1.5
# Newton's method may carry a minimiser of the error to a fixed point this far off, relative to the
# size of states; else it is another point, and slow if the root of the error is this steep at most
# and the state moves at most this share of the distance that the typical start does. Those farther
# out than a multiple of the size of states have run away; those nearer than a share of it are one.
_SAME_MINIMISER = 0.1
_FLAT = 1e-4
_SLOW = 0.1
_FAR = 1e3
_SAME_SLOW_POINT = 1e-3
# Eigenvalues that lie this little within the unit circle lie on it.
_ROUNDING = 1e-9


class FixedPoints(eqx.Module):
    """States with F(h, g) = h at one gradient g, and where else the state moves slowly.

    The points at which most starts come to rest stand first.
    """

    gradient: float
    time: int
    """The number of steps at which counters are held."""
    states: Float[np.ndarray, "points state"]
    residuals: Float[np.ndarray, " points"]
    """The sum of squares of F(h) - h."""
    eigenvalues: Complex[np.ndarray, "points state"]
    """Those of dF/dh, the largest first; not numbers where F has no derivative."""
    attracting: Bool[np.ndarray, " points"]
    """Whether all eigenvalues lie inside the unit circle."""
    num_starts: Int[np.ndarray, " points"]
    """How many of the starts come to rest there."""
    slow_points: Float[np.ndarray, "slow state"]
    """Minimisers of |F(h) - h|^2 that are no fixed points, and slow compared with the starts."""
    slow_residuals: Float[np.ndarray, " slow"]
    num_wandering: int
    """How many starts neither come to rest nor run away: they end on a cycle, or are too slow."""
    num_growing: int
    """How many starts run away, such as a sum of squares that grows for ever."""

    def draw(self, axes: Any) -> None:
        """Draws the first two coordinates: attractors filled, other fixed points not, slow gray.

        **Arguments:** `axes`, of matplotlib.
        """
        for states, style in (
            (self.slow_points, {"color": "#999999", "label": "slow"}),
            (
                self.states[~self.attracting],
                {"facecolors": "none", "edgecolors": "#0072B2", "label": "not attracting"},
            ),
            (self.states[self.attracting], {"color": "#0072B2", "label": "attracting"}),
        ):
            if len(states):
                plane = np.pad(states, ((0, 0), (0, max(0, 2 - states.shape[1]))))
                axes.scatter(plane[:, 0], plane[:, 1], **style)
        axes.set_xlabel("first coordinate of the state")
        axes.set_ylabel("second coordinate of the state")


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

    All starts are iterated until they are near an attractor. Attractors are found from a few of
    them by Anderson acceleration, then Newton's method. Other fixed points, and slow points, are
    found by minimising |F(h) - h|^2 from a spread-out subset of the starts (Sussillo and Barak,
    *Opening the black box*, 2013), with the Levenberg-Marquardt method.

    **Arguments:**

    - `dynamics`: from `coordinate_dynamics`.
    - `gradient`: g.
    - `starts`: by default the initial state, states visited when random gradients are met, and
      random ones around those (`l2o.mechanisms.starts`).
    - `time`: the number of steps at which to hold counters, for optimizers that depend on them.
    - `key`: of the default starts.

    **Returns:** the distinct points, their stability, and how many starts went where.

    **Raises:** `ValueError` for an optimizer that depends on time, without `time`, and for starts
    of another shape.

    ```pycon
    >>> optimizer = l2o.from_optax(optax.sgd(0.25, momentum=0.5))
    >>> dynamics = l2o.mechanisms.coordinate_dynamics(optimizer)
    >>> points = l2o.mechanisms.find_fixed_points(dynamics, gradient=1.0)
    >>> points.states, points.attracting
    (array([[2.]]), array([ True]))
    ```
    """
    if key is not None:
        check_key(key)
    time = checked_time(dynamics, time)
    if starts is None:
        starts = default_starts(dynamics, jax.random.key(0) if key is None else key, time=time)
    first = np.asarray(starts, np.float64)
    size = dynamics.initial_state.size
    if first.ndim != 2 or first.shape[1] != size or not len(first):
        raise ValueError(
            f"starts must have one row for each start, at least one, and {size} columns; "
            f"got shape {first.shape}."
        )
    held = HeldMap(dynamics, jnp.asarray(gradient, jnp.float64), jnp.asarray(time))
    search = _Search(held, first)
    search.follow_starts()
    slow_points, slow_residuals = search.minimise()
    counts, num_wandering, num_growing = search.count()
    order = np.argsort(-counts, kind="stable")
    return FixedPoints(
        gradient=float(gradient),
        time=time,
        states=search.points[order],
        residuals=search.errors[order],
        eigenvalues=search.eigenvalues[order],
        attracting=search.attracting[order],
        num_starts=counts[order],
        slow_points=slow_points,
        slow_residuals=slow_residuals,
        num_wandering=num_wandering,
        num_growing=num_growing,
    )


class _Search:
    """One search: a map, its starts, and the fixed points found so far."""

    def __init__(self, held: HeldMap, starts: Float[np.ndarray, "starts state"]) -> None:
        self.held, self.starts, self.states = held, starts, starts.copy()
        self.size = typical_size(starts)
        # The index of the attractor that each start has come near to.
        self.homes = np.full(len(starts), -1)
        self.points, self.errors = starts[:0], np.zeros(0)
        self.eigenvalues = np.zeros(self.points.shape, complex)

    @property
    def attracting(self) -> Bool[np.ndarray, " points"]:
        return np.all(np.abs(self.eigenvalues) < 1 - _ROUNDING, axis=1)

    def follow_starts(self) -> None:
        """Iterates all starts, stretch by stretch, until each is near an attractor."""
        for num_steps in _STRETCHES:
            moving = self._at_large()
            if not moving.size:
                break
            self.states[moving] = self.held.iterate(self.states[moving], num_steps)
            moving = self._at_large()
            some = spread_out(self.states[moving], _NUM_ACCELERATED)
            ends = self.held.accelerate(self.states[moving][some])
            ends = ends[are_finite(ends)]
            self._add(ends[distinct(ends, self.size)])
            attractors = np.flatnonzero(self.attracting)
            near = nearest(self.states[moving], self.points[attractors], self.size, _NEAR)
            self.homes[moving] = np.where(near < 0, -1, np.append(attractors, -1)[near])
        # What stands still, though not at an attractor, is at a fixed point of its own.
        moving = self._at_large()
        if moving.size:
            self._add(self.states[moving[self.held.are_fixed(self.states[moving])]])

    def minimise(self) -> tuple[Float[np.ndarray, "slow state"], Float[np.ndarray, " slow"]]:
        """Minimises the error from some starts.

        **Returns:** the slow points and their errors. Fixed points are added to those found.
        """
        speeds = self.held.errors(self.starts)
        able = np.isfinite(speeds)
        minima = self.held.minimise(self.starts[able][spread_out(self.starts[able], _NUM_SEARCHES)])
        minima = self._some_distinct(minima)
        exact, ends = self._add(minima)
        moved = np.linalg.norm(ends - minima, axis=1)
        minima = minima[~exact | (moved > _SAME_MINIMISER * self.size)]
        if not len(minima):
            return minima, np.zeros(0)
        minima, steepness = self.held.refine(minima)
        errors = self.held.errors(minima)
        slow = (steepness <= _FLAT) & (errors <= _SLOW**2 * np.median(speeds[able]))
        minima = self._some_distinct(minima[slow & ~self.held.are_fixed(minima)])
        errors = self.held.errors(minima)
        order = np.argsort(errors, kind="stable")
        return minima[order], errors[order]

    def count(self) -> tuple[Int[np.ndarray, " points"], int, int]:
        """How many starts come to rest at each point, wander for ever, and run away."""
        left = self._at_large()
        if not left.size:
            return self._counts(), 0, int(np.sum(~are_finite(self.states)))
        states = self.states[left]
        own = nearest(states, self.points, self.size)
        own[~self.held.are_fixed(states)] = -1
        attractors = np.flatnonzero(self.attracting)
        closest = nearest(states, self.points[attractors], self.size, np.inf)
        targets = np.append(attractors, -1)[closest]
        aims = np.where(
            targets[:, None] < 0, np.nan, np.append(self.points, states[:1], 0)[targets]
        )
        early, late, early_distance, late_distance = self.held.watch(states, aims, _WATCHED_STEPS)
        approaching = (targets >= 0) & (late_distance <= _APPROACH * early_distance)
        growing = ~(np.isfinite(late) & (late <= _FLIGHT * early))
        self.homes[left] = np.where(own >= 0, own, np.where(approaching, targets, -1))
        lost = self.homes[left] < 0
        broken = int(np.sum(~are_finite(self.states)))
        return self._counts(), int(np.sum(lost & ~growing)), int(np.sum(lost & growing)) + broken

    def _counts(self) -> Int[np.ndarray, " points"]:
        return np.bincount(self.homes[self.homes >= 0], minlength=len(self.points))

    def _at_large(self) -> Int[np.ndarray, " moving"]:
        """The starts that are not near an attractor yet."""
        return np.flatnonzero((self.homes < 0) & are_finite(self.states))

    def _some_distinct(
        self, minima: Float[np.ndarray, "minima state"]
    ) -> Float[np.ndarray, "distinct state"]:
        """The minimisers that are neither far out nor repeat another."""
        minima = minima[are_finite(minima)]
        minima = minima[np.linalg.norm(minima, axis=1) <= _FAR * self.size]
        return minima[distinct(minima, self.size, _SAME_SLOW_POINT)]

    def _add(
        self, states: Float[np.ndarray, "states state"]
    ) -> tuple[Bool[np.ndarray, " states"], Float[np.ndarray, "states state"]]:
        """Takes in the fixed points near some states.

        **Returns:** for each state, whether Newton's method found a fixed point, and where.
        """
        points, errors, exact, jacobians = self.held.polish(states)
        known = len(self.points)
        index = distinct(np.concatenate([self.points, points[exact]]), self.size)
        new = np.flatnonzero(exact)[index[known:] - known]
        self.points = np.concatenate([self.points, points[new]])
        self.errors = np.concatenate([self.errors, errors[new]])
        self.eigenvalues = np.concatenate([self.eigenvalues, _eigenvalues(jacobians[new])])
        return exact, points


def _eigenvalues(
    matrices: Float[np.ndarray, "matrices state state"],
) -> Complex[np.ndarray, "matrices state"]:
    """The eigenvalues of each matrix, the largest first; not numbers for one that is not finite."""
    values = np.full(matrices.shape[:2], np.nan, complex)
    finite = np.all(np.isfinite(matrices), axis=(1, 2))
    values[finite] = np.linalg.eigvals(matrices[finite])
    return np.take_along_axis(values, np.argsort(-np.abs(values), axis=1, kind="stable"), axis=1)
