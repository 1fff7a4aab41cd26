"""What is measured of an optimizer, once, before anything is said of its mechanisms."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from l2o.mechanisms.clock import separate_clock
from l2o.mechanisms.dynamics import HORIZON, Dynamics
from l2o.mechanisms.findings.course import (
    LATE,
    Course,
    Readings,
    course_of,
    met_from_start,
)
from l2o.mechanisms.memory import Memory, look_at_memory
from l2o.mechanisms.operating_points import (
    PLAIN_STEPS,
    OperatingPoints,
    points_at,
    settled_points,
)
from l2o.mechanisms.probes import run_many, step_many
from l2o.mechanisms.schedule import RATE_FLOOR, RELATIVE_CHANGE

SINGULAR_RATIO = 1e3
"""An optimizer is singular at zero if its slope there is so many times that at other gradients."""

# Constant gradients, in units of the reference one, which itself may lie on the edge of a clip.
_ARM = np.append(1.37 * 10.0 ** np.arange(-6, 3), 1.0)
_WATCHED = np.array([1.37e-4, 1.37e-2, 1.0])
# Those that memories are compared at, among the constant gradients.
_MET = _ARM[[4, 9, 7]]
_MOST_ABRUPT = 12
_LAST_STEPS = 10
_CLOSE, _LESS_CLOSE = 1e-10, 1e-6
_SPARSE_TIMES = 24
# An optimizer is alive when its learning rate is at least this share of its largest.
_ALIVE = 0.05
_WELL_ALIVE = 0.2
_QUANTILES = (0.75, 0.4, 0.1)
# Where averages are perturbed to, off the kinks that they may settle on.
_SHARES_OF_MEMORY = (0.61, 0.37)


@dataclass(frozen=True)
class Survey:
    """An optimizer's steps at several gradients and times."""

    dynamics: Dynamics
    """Of what gradients drive; the rest follows from the time."""
    reference: float
    num_steps: int
    times: Int[np.ndarray, " times"]
    """At which learning rates were looked at; a single 0 where time does not matter."""
    rates: Float[np.ndarray, "gradients times"]
    """Learning rates with the memory settled at each time, one row a size of the gradient."""
    course: Course
    """The learning rate over time, whatever gradients are met."""
    held: tuple[int, ...]
    """Times at which the optimizer is alive, that of the main analyses first."""
    dead: str
    """Why nothing can be told: it moves nothing at the times looked at. Empty if it does."""
    points: OperatingPoints
    """Settled states at all held times, for a range of gradients of both signs, and zero."""
    memory: Memory
    singular: bool
    """Whether its slope at zero gradient is out of all proportion."""

    @property
    def time(self) -> int:
        """At which the main analyses hold it."""
        return self.held[0]

    @property
    def met(self) -> Float[np.ndarray, " gradients"]:
        """Sizes of constant gradients at which memories are compared; among those of `points`."""
        return self.reference * _MET

    def filling(self, time: int) -> float:
        """What averages that a counter makes up for are of full ones at one of the held times."""
        if self.course.filling is None:
            return 1.0
        return float(self.course.filling[self.course.times == time][0])

    @property
    def peak_rate(self) -> float:
        """The largest learning rate over all times."""
        finite = self.rates[np.isfinite(self.rates)]
        return float(np.max(np.abs(finite))) if finite.size else 0.0

    def at(self, time: int) -> Int[np.ndarray, " points"]:
        """The indices of points with a gradient at a time, nearest to the reference one first."""
        chosen = np.flatnonzero((self.points.times == time) & (self.points.gradients != 0))
        return chosen[np.argsort(self.distances(self.points)[chosen], kind="stable")]

    def distances(self, points: OperatingPoints) -> Float[np.ndarray, " points"]:
        """How far from the reference gradient points are, on a logarithmic scale."""
        with np.errstate(divide="ignore"):
            return np.abs(np.log(np.abs(points.gradients) / self.reference))

    def resting_point(self, time: int) -> int:
        """The index of the point without a gradient at a time."""
        return int(np.flatnonzero((self.points.times == time) & (self.points.gradients == 0))[0])

    def settled(self, gradient: float, time: int) -> int:
        """The index of the point at one of the constant gradients of `met`, or its negative."""
        chosen = (self.points.times == time) & (self.points.gradients == gradient)
        return int(np.flatnonzero(chosen)[0])

    def patterned(
        self, time: int
    ) -> tuple[
        Float[np.ndarray, "patterns gradients steps"],
        Float[np.ndarray, "patterns gradients state"],
    ]:
        """The last updates and states under gradients of one size, with the time held.

        Their signs agree, alternate, and are random twice, each the opposite of the other; the
        sizes are those of `met`.
        """
        random = np.random.default_rng(0).choice([-1.0, 1.0], PLAIN_STEPS)
        signs = np.stack([np.ones(PLAIN_STEPS), (-1.0) ** np.arange(PLAIN_STEPS), random, -random])
        gradients = (signs[:, None] * self.met[:, None]).reshape(-1, PLAIN_STEPS)
        start = np.tile(np.asarray(self.dynamics.initial_state), (len(gradients), 1))
        updates, states = run_many(self.dynamics, start, gradients, time)
        shape = (len(signs), len(self.met), -1)
        return updates[:, -_LAST_STEPS:].reshape(shape), states.reshape(shape)

    @cached_property
    def off_kinks(self) -> OperatingPoints:
        """The points with a gradient, with the averages of gradients part of their settled values.

        A ratio of averages may settle exactly where it is clipped, whatever the gradient.
        """
        index = np.flatnonzero(self.points.gradients != 0)
        shares = np.where(self.memory.odd, np.array(_SHARES_OF_MEMORY)[:, None], 1.0)
        states = (self.points.states[index] * shares[:, None]).reshape(-1, self.memory.size)
        count = len(_SHARES_OF_MEMORY)
        return points_at(
            self.dynamics,
            states,
            np.tile(self.points.gradients[index], count),
            np.tile(self.points.times[index], count),
        )


def measure(
    whole: Dynamics, *, num_steps: int, reference_gradient: float, time: int | None
) -> Survey:
    """Measures an optimizer.

    **Arguments:** `whole`, from `coordinate_dynamics`; `num_steps`, how many steps of the schedule
    to look at one by one; `reference_gradient`; `time`, at which to hold counters, by default where
    the optimizer is alive.

    **Raises:** `ValueError` if its updates are not finite from the start.
    """
    _check_finite(whole, reference_gradient)
    dynamics = separate_clock(whole, max(num_steps, HORIZON, time or 0) + 1)
    times = np.zeros(1, int)
    if dynamics.depends_on_time:
        asked = [] if time is None else [time]
        abrupt = _abrupt_times(dynamics, reference_gradient)
        times = np.union1d(_times(num_steps), np.concatenate([abrupt, asked]).astype(int))
    watched = reference_gradient * _WATCHED
    rates = _rates(dynamics, times, watched)
    # Where it is alive depends on what its counters do, which is seen where it is alive at all.
    held, is_alive = _held_times(times, rates, time, num_steps)
    points, memory, singular = _look(dynamics, held, reference_gradient)
    course = course_of(
        Readings(dynamics, times, rates, watched, points, memory, singular, num_steps)
    )
    if course.corrects_bias and len(course.times) == len(times):
        first, (held, is_alive) = held, _held_times(times, course.rates[None], time, num_steps)
        if held != first:
            points, memory, singular = _look(dynamics, held, reference_gradient)
    return Survey(
        dynamics=dynamics,
        reference=reference_gradient,
        num_steps=num_steps,
        times=times,
        rates=rates,
        course=course,
        held=held,
        dead="" if is_alive else _why_dead(dynamics, times, rates, held[0]),
        points=points,
        memory=memory,
        singular=singular,
    )


def _look(
    dynamics: Dynamics, held: tuple[int, ...], reference: float
) -> tuple[OperatingPoints, Memory, bool]:
    """Settled points at some times, how it remembers, and whether it is singular."""
    gradients = np.concatenate([[0.0], _ARM, -_ARM]) * reference
    points = settled_points(
        dynamics, np.tile(gradients, len(held)), np.repeat(held, len(gradients))
    )
    memory = look_at_memory(dynamics, points, held[0])
    return points, memory, _is_singular(dynamics, points, memory, held[0], reference)


def _check_finite(dynamics: Dynamics, reference: float) -> None:
    """Makes sure that there is something to look at."""
    sizes = reference * np.concatenate([_WATCHED, -_WATCHED])
    start = np.tile(np.asarray(dynamics.initial_state), (len(sizes), 1))
    updates, following = step_many(dynamics, start, sizes, 0)
    if not np.any(np.isfinite(updates)) or not np.any(np.all(np.isfinite(following), axis=1)):
        raise ValueError(
            "The optimizer's updates are not finite numbers from the first step on, so it has no "
            "mechanisms to look for; check its hyperparameters or weights."
        )


def _times(num_steps: int) -> Int[np.ndarray, " times"]:
    """Every step that is followed, later ones sparsely, and one very late."""
    sparse = np.geomspace(num_steps, max(HORIZON, 2 * num_steps), _SPARSE_TIMES).astype(int)
    return np.unique(np.concatenate([np.arange(num_steps), sparse, [LATE]]))


def _abrupt_times(dynamics: Dynamics, reference: float) -> Int[np.ndarray, " times"]:
    """Times before and after updates under a constant gradient change at once, at most a few."""
    updates, _ = met_from_start(dynamics, reference, HORIZON + 1)
    finite = np.nan_to_num(updates, nan=0.0, posinf=0.0, neginf=0.0)
    jumps = np.abs(np.diff(finite)) > RELATIVE_CHANGE * np.max(np.abs(finite))
    places = np.flatnonzero(jumps)
    if not places.size:
        return places
    some = places[np.unique(np.linspace(0, len(places) - 1, _MOST_ABRUPT).astype(int))]
    return np.concatenate([some, some + 1])


def _rates(
    dynamics: Dynamics,
    times: Int[np.ndarray, " times"],
    gradients: Float[np.ndarray, " gradients"],
) -> Float[np.ndarray, "gradients times"]:
    """What is taken off per gradient, with the memory settled at each time."""
    count = len(gradients)
    points = settled_points(dynamics, np.repeat(gradients, len(times)), np.tile(times, count))
    odd = points.odd_rates.reshape(count, -1)
    whole = points.whole_rates.reshape(count, -1)
    return np.array([rates_or_whole(*pair) for pair in zip(odd, whole, strict=True)])


def rates_or_whole(
    odd: Float[np.ndarray, " times"], whole: Float[np.ndarray, " times"]
) -> Float[np.ndarray, " times"]:
    """The answer to a gradient of the other sign, or the whole update where there is none."""
    sizes = [np.nanmax(np.abs(rates), initial=0.0) for rates in (odd, whole)]
    return odd if sizes[0] > 1e-9 * sizes[1] else whole


def _held_times(
    times: Int[np.ndarray, " times"],
    rates: Float[np.ndarray, "gradients times"],
    asked: int | None,
    num_steps: int,
) -> tuple[tuple[int, ...], bool]:
    """Times at which the optimizer is alive, or one where there are none; and whether it is."""
    sizes = np.nan_to_num(np.abs(rates), nan=0.0, posinf=0.0)
    largest = np.max(sizes, axis=1, keepdims=True)
    share = np.max(
        np.where(largest > RATE_FLOOR, sizes / np.maximum(largest, RATE_FLOOR), 0.0), axis=0
    )
    if len(times) == 1:
        return (0,), bool(share[0] > 0)
    if asked is not None:
        return (asked,), bool(share[times == asked][0] >= _ALIVE)
    alive = times[share >= _WELL_ALIVE]
    if not alive.size:
        return (LATE,), False
    within = alive[alive < num_steps]
    chosen = within if within.size else alive
    some = [int(chosen[int(q * (len(chosen) - 1))]) for q in _QUANTILES]
    late = [LATE] if share[times == LATE][0] >= _ALIVE else []
    return tuple(dict.fromkeys((late + some)[:3])), True


def _why_dead(
    dynamics: Dynamics,
    times: Int[np.ndarray, " times"],
    rates: Float[np.ndarray, "gradients times"],
    time: int,
) -> str:
    """A clause that says how small updates are."""
    largest = float(np.nanmax(np.abs(rates), initial=0.0))
    if not dynamics.depends_on_time or largest <= RATE_FLOOR:
        return f"its updates are not above {RATE_FLOOR:g} of any gradient, which is rounding"
    now = float(np.nanmax(np.abs(rates[:, times == time]), initial=0.0))
    return (
        f"at step {time:,} it stands still: its updates are {now:.3g} of a gradient, of "
        f"{largest:.3g} at their largest"
    )


def _is_singular(
    dynamics: Dynamics, points: OperatingPoints, memory: Memory, time: int, reference: float
) -> bool:
    """Whether updates near zero gradient are out of all proportion to those at the reference one.

    They are beyond a low clip, too; but an optimizer is singular only if it divides by the size of
    gradients, or if its update jumps at zero.
    """
    here = points.times == time
    rest = points.states[here & (points.gradients == 0)][0]
    sizes = reference * np.array([_CLOSE, _LESS_CLOSE])
    states = np.tile(rest, (4, 1))
    updates, _ = step_many(dynamics, states, np.concatenate([sizes, -sizes]), time)
    slopes = np.abs(updates[:2] - updates[2:]) / (2 * sizes)
    elsewhere = here & (np.abs(points.gradients) >= reference)
    rates = np.abs(np.concatenate([points.whole_rates[elsewhere], points.odd_rates[elsewhere]]))
    largest = np.max(rates[np.isfinite(rates)], initial=0.0)
    if not np.all(np.isfinite(slopes)):
        return True
    jumps = slopes[0] > SINGULAR_RATIO * slopes[1]
    if memory.has_parity and not (jumps or np.any(memory.even)):
        return False
    return bool(largest > 0 and slopes[0] > SINGULAR_RATIO * largest)
