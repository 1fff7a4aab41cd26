"""An optimizer's learning rate over time, with what gradients do to it set apart.

A counter may do two things: set the learning rate, as a schedule does, or make up for averages that
start at zero, as Adam's bias correction does. So the rate is read in two ways. *Settled*: with the
memory settled at each time, where a schedule shows and a bias correction shows as one. *From the
start*: under a constant gradient from the first step on, where a bias correction cancels the
filling of the averages, and the filling of averages that nothing corrects shows as a schedule.
Which of them is right is decided by where the time comes in: a bias correction changes how averages
are read, not how they are made, and is no common factor of all updates, since eps stands beside the
average that it corrects. Some averages may be corrected and others not, as a momentum before or
behind a division; then these begin settled. Where a common factor may be a bias correction, as for
an average of gradients alone, the reading that follows a law, or bends less, is taken; if neither
does clearly, it cannot be told.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from l2o.mechanisms.dynamics import Dynamics
from l2o.mechanisms.laws import law_of
from l2o.mechanisms.memory import Memory
from l2o.mechanisms.operating_points import PLAIN_STEPS, OperatingPoints, settled_points
from l2o.mechanisms.precision import in_double_precision
from l2o.mechanisms.probes import step_many
from l2o.mechanisms.schedule import RELATIVE_CHANGE, autonomous_schedule, changes

LATE = 1_000_000
"""The time at which counters are held as a rule: bias corrections are over by then."""

# Learning rates at different gradients agree when they follow the same course up to this.
_SAME_COURSE = 0.02
# Times at which to see what depends on them, and how equal is equal.
_COMPARED_TIMES = (0, 1, 3, 10, 100, LATE)
_PROBES_PER_POINT = 8
_EQUAL = 1e-6
# Rates are constant, or follow a law, but for rounding.
_EXACT = 1e-5
# Of so many groups of numbers all combinations may fill while the others are settled.
_MOST_GROUPS = 4
# The filling of averages bends learning rates most in the first steps.
_BENT_STEPS = 48
_LONGEST_PERIOD = 16
_CLEARLY_LESS = 3.0
_NO_BEND = 1e-9
# Answers are looked at for gradients so much smaller than those that are met.
_SMALLER = 1e-3
# Averages are filled after so many of their time constants.
_FILLED = 3.0
_FIRST_STEPS_FACTOR = 2.0


@dataclass(frozen=True)
class Course:
    """Learning rates over time, whatever gradients are met."""

    times: Int[np.ndarray, " times"]
    """A single one where time does not matter."""
    rates: Float[np.ndarray, " times"]
    unclear: str = ""
    """Why it cannot be told; empty if it can."""
    corrects_bias: bool = False
    """Whether its counter makes up for averages that start at zero, which is no schedule."""
    first_steps: bool = False
    """Whether that is all that changes, if not exactly made up for in the first steps."""
    gradient: float = 0.0
    """The gradient that rates are for; 0 where they are slopes."""
    under_gradient: bool = False
    """Whether the rates are whole updates over that gradient, met from the start."""
    filling: Float[np.ndarray, " times"] | None = None
    """The share of the settled update that averages, filling from zero, make at each time; `None`
    where nothing is made up for."""


@dataclass(frozen=True)
class Readings:
    """What the course of learning rates is read off."""

    dynamics: Dynamics
    times: Int[np.ndarray, " times"]
    rates: Float[np.ndarray, "gradients times"]
    """Settled at each time, one row a constant gradient."""
    gradients: Float[np.ndarray, " gradients"]
    """In rising order; the last one is the reference."""
    points: OperatingPoints
    """Settled at some time, for gradients of both signs."""
    memory: Memory
    singular: bool
    num_steps: int

    @property
    def watched(self) -> int:
        """Which gradient to look at: the reference, unless it takes another course than others."""
        with np.errstate(invalid="ignore", divide="ignore"):
            courses = self.rates / np.max(np.abs(self.rates), axis=1, keepdims=True)
        return -1 if np.all(np.abs(courses[-1] - courses[1]) <= _SAME_COURSE) else 1

    def settled(self) -> Float[np.ndarray, " times"]:
        """Learning rates with the memory settled at each time."""
        if self.singular:
            return self.rates[self.watched]
        count = len(self.times)
        return -settled_points(self.dynamics, np.zeros(count), self.times).feedthroughs

    @property
    def gradient(self) -> float:
        """The one that is watched."""
        return float(self.gradients[self.watched])

    @cached_property
    def under_gradient(self) -> OperatingPoints:
        """Settled under the watched gradient at each time."""
        gradients = np.full(len(self.times), self.gradient)
        return settled_points(self.dynamics, gradients, self.times)

    def from_start(self, filling: Bool[np.ndarray, " state"]) -> Float[np.ndarray, " times"]:
        """What is taken off the watched gradient at each time, from the beginning on.

        **Arguments:** `filling`, which numbers of the state begin where the optimizer does; the
        others begin settled.
        """
        last = int(self.times[self.times < LATE][-1])
        start = np.where(
            filling, np.asarray(self.dynamics.initial_state), self.under_gradient.states[-1]
        )
        updates, _ = met_from_start(self.dynamics, self.gradient, last + 1, start=start)
        read = -updates[np.minimum(self.times, last)] / self.gradient
        # Averages that come to rest are full by then.
        late = (self.times > last) & self.under_gradient.at_rest
        return np.where(late, self.under_gradient.whole_rates, read)

    def partly_filling(self) -> Iterator[Bool[np.ndarray, " state"]]:
        """Which groups of numbers may fill while others are settled."""
        groups = self.memory.groups
        labels = np.unique(groups)
        if len(labels) <= _MOST_GROUPS:
            for count in range(len(labels) - 1, 0, -1):
                for chosen in combinations(labels, count):
                    yield np.isin(groups, chosen)


def course_of(readings: Readings) -> Course:
    """Reads the learning rate at each time.

    **Arguments:** `readings`, what was measured.
    """
    memory, dynamics = readings.memory, readings.dynamics
    if not memory.is_cascade and not readings.singular:
        run = autonomous_schedule(dynamics, readings.num_steps)
        return Course(np.arange(readings.num_steps), run.effective_learning_rate)
    if memory.is_cascade:
        return _course_of_averages(readings)
    return _course_of_others(readings)


def _course_of_averages(readings: Readings) -> Course:
    """For a memory of averages, which fill from zero."""
    times, settled = readings.times, readings.settled()
    as_settled = Course(times, settled, gradient=readings.gradient if readings.singular else 0.0)
    if not readings.dynamics.depends_on_time or not readings.memory.matters:
        return as_settled
    if not changes(settled) or not np.all(np.isfinite(settled)):
        return as_settled
    corrected = _corrected(readings, np.ones(readings.memory.size, bool))
    if not changes(corrected.rates):
        return corrected
    if _same_course(settled, corrected.rates):
        return as_settled
    partly = [_corrected(readings, filling) for filling in readings.partly_filling()]
    for course in partly:
        if np.ptp(course.rates) <= _EXACT * np.max(np.abs(course.rates)):
            return course
    if not _follows_exactly(as_settled) and not _follows_exactly(corrected):
        for course in partly:
            if _follows_exactly(course):
                return course
    where = _where_time_comes_in(readings)
    if where.averages:
        return _unclear(as_settled) if where.readout else as_settled
    if not where.is_common_factor:
        return _corrected_and_changing(readings, corrected)
    course = _more_plausible(as_settled, corrected)
    learned = course.corrects_bias and _is_learned(readings, corrected.rates)
    return _unclear(course) if learned else course


def _corrected(readings: Readings, filling: Bool[np.ndarray, " state"]) -> Course:
    """The course where a counter makes up for the averages that fill."""
    rates = readings.from_start(filling)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = rates / readings.under_gradient.whole_rates
    return Course(
        readings.times,
        rates,
        corrects_bias=True,
        gradient=readings.gradient,
        under_gradient=True,
        filling=np.where(np.isfinite(share), share, 1.0),
    )


def _follows_exactly(course: Course) -> bool:
    """Whether a course is that of a law but for rounding."""
    law = law_of(course.times, course.rates)
    return law is not None and law.miss <= _EXACT


def _corrected_and_changing(readings: Readings, corrected: Course) -> Course:
    """For a bias correction and something else."""
    if _is_learned(readings, corrected.rates):
        return _unclear(corrected)
    odd = readings.memory.odd
    jacobian = readings.points.state_jacobians[-1][np.ix_(odd, odd)]
    size = np.max(np.abs(np.linalg.eigvals(jacobian)), initial=0.0)
    constant = -1 / np.log(size) if 0 < size < 1 else 0.0
    times, rates = corrected.times, corrected.rates
    later = rates[times > _FILLED * constant]
    if later.size and not changes(later) and law_of(times, rates) is None:
        shares = rates / later[-1]
        if np.all((shares < _FIRST_STEPS_FACTOR) & (shares > 1 / _FIRST_STEPS_FACTOR)):
            return replace(corrected, first_steps=True)
    return corrected


def _more_plausible(settled: Course, corrected: Course) -> Course:
    """Where a counter's factor may be a schedule, a bias correction, or both."""
    courses = (settled, corrected)
    laws = [law_of(course.times, course.rates) for course in courses]
    following = [course for course, law in zip(courses, laws, strict=True) if law is not None]
    if len(following) == 1:
        return following[0]
    bends = [_bend(course.rates) for course in courses]
    for first, second in zip(*bends, strict=True):
        if max(first, second) > _NO_BEND and max(first, second) >= _CLEARLY_LESS * min(
            first, second
        ):
            return courses[int(first > second)]
    return Course(
        settled.times,
        settled.rates,
        unclear="its counter may set the learning rate or make up for averages that start at zero, "
        "and neither is clearly the simpler reading",
    )


def _bend(rates: Float[np.ndarray, " times"]) -> tuple[float, float]:
    """How much rates bend in the first steps, but for a period: median and mean."""
    early = rates[:_BENT_STEPS]
    scale = np.max(np.abs(early), initial=0.0)
    if scale == 0 or len(early) <= 2:
        return 0.0, 0.0
    kinds = []
    for lag in range(1, min(_LONGEST_PERIOD, (len(early) - 1) // 2) + 1):
        differences = early[2 * lag :] - 2 * early[lag:-lag] + early[: -2 * lag]
        kinds.append(np.abs(differences) / scale)
    return min(float(np.median(kind)) for kind in kinds), min(
        float(np.mean(kind)) for kind in kinds
    )


def _course_of_others(readings: Readings) -> Course:
    """For a memory that is no averages, of an optimizer that is singular at zero gradients."""
    dynamics, times = readings.dynamics, readings.times
    if not dynamics.depends_on_time:
        times = np.arange(readings.num_steps)
    settled, gradient = readings.rates[readings.watched], readings.gradient
    if dynamics.depends_on_time:
        from_start = readings.from_start(np.ones(readings.memory.size, bool))
    else:
        from_start = -met_from_start(dynamics, gradient, len(times))[0] / gradient
    course = Course(
        times,
        from_start,
        corrects_bias=changes(settled),
        gradient=gradient,
        under_gradient=True,
    )
    if not changes(from_start):
        return course
    seen = times < LATE
    later = from_start[seen & (times >= PLAIN_STEPS)]
    if later.size and not changes(np.append(later, from_start[seen][-1])):
        return replace(
            course,
            unclear=f"under a constant gradient its learning rate changes in the first "
            f"{PLAIN_STEPS} steps, in which its memory fills, too",
        )
    if not changes(settled) or not dynamics.depends_on_time or _is_learned(readings, from_start):
        return _unclear(course)
    return course


def _unclear(course: Course) -> Course:
    return replace(
        course,
        unclear="under a constant gradient its learning rate changes, but what it does by itself "
        "cannot be told from what it learns of that gradient",
        corrects_bias=False,
    )


class _Where(NamedTuple):
    """Where the time comes in."""

    averages: bool
    """Whether it changes how averages are made."""
    readout: bool
    """Whether it changes what is made of them without a gradient."""
    is_common_factor: bool
    """Whether it is a factor of all updates."""


def _where_time_comes_in(readings: Readings) -> _Where:
    """Steps from states of many sizes, at several times."""
    points, memory = readings.points, readings.memory
    here = np.flatnonzero(points.gradients != 0)
    draw = np.random.default_rng(0)
    index = np.repeat(here, _PROBES_PER_POINT)
    signs = np.where(memory.odd, draw.choice([-1.0, 1.0], (len(index), memory.size)), 1.0)
    states = points.states[index] * signs * draw.uniform(0.3, 3, signs.shape)
    gradients = points.gradients[index] * draw.uniform(0.3, 3, len(index))

    def at_all_times(gradients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        steps = [step_many(readings.dynamics, states, gradients, t) for t in _COMPARED_TIMES]
        updates, following = zip(*steps, strict=True)
        return np.array(updates), np.array(following)

    updates, following = at_all_times(gradients)
    without, _ = at_all_times(np.zeros_like(gradients))
    with np.errstate(invalid="ignore", divide="ignore"):
        factors = updates / updates[int(np.argmax(np.median(np.abs(updates), axis=1)))]
    factors = factors[:, np.all(np.isfinite(factors), axis=0)]
    spread = np.ptp(factors, axis=1) if factors.size else np.zeros(1)
    return _Where(
        _differ(following),
        _differ(without),
        bool(np.all(spread <= _EQUAL * np.max(np.abs(factors), initial=1.0))),
    )


def _differ(at_times: np.ndarray) -> bool:
    """Whether numbers differ between times."""
    with np.errstate(invalid="ignore"):
        return bool(np.any(np.ptp(at_times, axis=0) > _EQUAL * np.max(np.abs(at_times), axis=0)))


def _is_learned(readings: Readings, from_start: np.ndarray) -> bool:
    """Whether the course under a constant gradient is another for another gradient.

    It is compared with that for a gradient of another size, and the answers to one gradient on the
    way are compared with those where signs alternate.
    """
    dynamics, times = readings.dynamics, readings.times
    watched = readings.watched
    other = float(readings.gradients[0 if watched != 0 else 1])
    gradient = float(readings.gradients[watched])
    seen = times < LATE
    last = int(times[seen][-1])
    elsewhere = -met_from_start(dynamics, other, last + 1)[0][times[seen]] / other
    if not _same_course(from_start[seen], elsewhere):
        return True
    _, agreeing = met_from_start(dynamics, gradient, last + 1)
    _, alternating = met_from_start(dynamics, gradient, last + 1, alternating=True)
    return not _same_course(agreeing[times[seen]], alternating[times[seen]])


def _same_course(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two courses are equal up to a factor."""
    sizes = [np.max(np.abs(course)) for course in (first, second)]
    if not all(np.isfinite(size) and size > 0 for size in sizes):
        return False
    return bool(np.all(np.abs(first / sizes[0] - second / sizes[1]) <= RELATIVE_CHANGE))


@in_double_precision
def met_from_start(
    dynamics: Dynamics,
    gradient: float,
    num_steps: int,
    *,
    start: Float[np.ndarray, " state"] | None = None,
    alternating: bool = False,
) -> tuple[Float[np.ndarray, " steps"], Float[np.ndarray, " steps"]]:
    """Meets a gradient from the first step on, always the same or with alternating signs.

    **Returns:** the updates, and at each step the learning rate for much smaller gradients.
    """
    signs = (-1.0) ** np.arange(num_steps) if alternating else np.ones(num_steps)
    begin = dynamics.initial_state if start is None else jnp.asarray(start)
    met = _meet(dynamics, begin, jnp.asarray(gradient * signs), jnp.arange(num_steps))
    updates, answers = map(np.asarray, met)
    return updates, answers


@eqx.filter_jit
def _meet(
    dynamics: Dynamics, start: Array, gradients: Array, times: Array
) -> tuple[Float[Array, " steps"], Float[Array, " steps"]]:
    probed = jnp.array([1.0, _SMALLER, -_SMALLER])

    def step(state: Array, met: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        gradient, time = met
        updates, following = jax.vmap(dynamics, in_axes=(None, 0, None))(
            state, gradient * probed, time
        )
        answer = (updates[2] - updates[1]) / (2 * _SMALLER * gradient)
        return following[0], (updates[0], answer)

    return jax.lax.scan(step, start, (gradients, times))[1]
