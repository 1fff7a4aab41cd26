"""Whether an optimizer's learning rate changes by itself."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from l2o.mechanisms.dynamics import Dynamics
from l2o.mechanisms.findings.presence import Presence
from l2o.mechanisms.findings.survey import LATE, Survey
from l2o.mechanisms.laws import Law, law_of
from l2o.mechanisms.operating_points import settled_points
from l2o.mechanisms.precision import in_double_precision
from l2o.mechanisms.schedule import RATE_FLOOR, autonomous_schedule, changes

# Learning rates at different gradients agree when they follow the same course up to this.
_SAME_COURSE = 0.02


@dataclass(frozen=True)
class ScheduleFinding:
    """A schedule: learning rates over time, whatever gradients are met."""

    presence: Presence
    reason: str
    num_steps: int
    """How many steps were followed one by one."""
    times: Int[np.ndarray, " times"]
    """These, and a few later ones; a single one where time does not matter."""
    rates: Float[np.ndarray, " times"]
    """The effective learning rate at these."""
    law: Law | None = None
    """What they follow, where that can be told."""
    corrects_bias: bool = False
    """Whether its counter makes up for averages that start at zero, which is no schedule."""
    under_gradient: bool = False
    """Whether the rates are updates over a constant gradient, rather than slopes at zero."""

    @property
    def present(self) -> bool:
        """Whether there is one."""
        return self.presence is Presence.PRESENT

    @property
    def effective_learning_rate(self) -> Float[np.ndarray, " steps"]:
        """At each of the steps that were followed; the same where time does not matter."""
        if len(self.rates) == 1:
            return np.full(self.num_steps, self.rates[0])
        return self.rates[: self.num_steps]

    def draw(self, axes: Any) -> None:
        """Draws the effective learning rate against the step.

        **Arguments:** `axes`, of matplotlib.
        """
        axes.plot(self.effective_learning_rate)
        axes.set_xlabel("step")
        axes.set_ylabel("effective learning rate")


def find_schedule(survey: Survey) -> ScheduleFinding:
    """Looks at learning rates over time, with what gradients do to them set apart."""
    if survey.peak_rate <= RATE_FLOOR:
        return ScheduleFinding(
            Presence.UNCLEAR, survey.dead, survey.num_steps, survey.times, survey.rates[-1]
        )
    by_itself = not survey.memory.is_cascade and not survey.singular
    if by_itself:
        run = autonomous_schedule(survey.dynamics, survey.num_steps)
        times, rates = np.arange(survey.num_steps), run.effective_learning_rate
        return _concluded(survey.num_steps, times, rates)
    times, held = survey.times, _held_rates(survey)
    if survey.memory.is_cascade and not survey.dynamics.depends_on_time:
        return _concluded(survey.num_steps, times, held, under_gradient=survey.singular)
    under_gradient = _under_gradient(survey)
    if not survey.dynamics.depends_on_time:
        times = np.arange(survey.num_steps)
    corrects_bias = False
    if survey.memory.is_cascade:
        rates = held
        if changes(held) and _roughness(times, under_gradient) < _roughness(times, held):
            rates, corrects_bias = under_gradient, True
        return _concluded(
            survey.num_steps,
            times,
            rates,
            corrects_bias=corrects_bias,
            under_gradient=corrects_bias or survey.singular,
        )
    if not changes(under_gradient):
        return _concluded(
            survey.num_steps,
            times,
            under_gradient,
            corrects_bias=changes(held),
            under_gradient=True,
        )
    reason = (
        "under a constant gradient its learning rate changes, but what it does by itself cannot be "
        "told from what it learns of that gradient"
    )
    if not changes(held) or not survey.dynamics.depends_on_time:
        return ScheduleFinding(
            Presence.UNCLEAR,
            reason,
            survey.num_steps,
            times,
            under_gradient,
            under_gradient=True,
        )
    smoother = min(held, under_gradient, key=lambda rates: _roughness(times, rates))
    return _concluded(survey.num_steps, times, smoother, under_gradient=True)


def _concluded(
    num_steps: int,
    times: Int[np.ndarray, " times"],
    rates: Float[np.ndarray, " times"],
    *,
    corrects_bias: bool = False,
    under_gradient: bool = False,
) -> ScheduleFinding:
    """What learning rates over time say."""
    presence, reason, law = Presence.PRESENT, "", None
    if not np.all(np.isfinite(rates)):
        presence, reason = Presence.UNCLEAR, "its learning rate does not stay finite"
    elif not changes(rates):
        presence, reason = Presence.ABSENT, "its learning rate stays the same"
    else:
        seen = times < LATE
        law = law_of(times[seen], rates[seen])
    return ScheduleFinding(
        presence, reason, num_steps, times, rates, law, corrects_bias, under_gradient
    )


def _held_rates(survey: Survey) -> Float[np.ndarray, " times"]:
    """Learning rates at each time, with the memory settled at that time."""
    if survey.singular:
        return survey.rates[_watched(survey)]
    count = len(survey.times)
    return -settled_points(survey.dynamics, np.zeros(count), survey.times).feedthroughs


def _under_gradient(survey: Survey) -> Float[np.ndarray, " times"]:
    """What is taken off a constant gradient at each time, from the beginning on."""
    times = survey.times
    if not survey.dynamics.depends_on_time:
        times = np.arange(survey.num_steps)
    last = int(times[times < LATE][-1])
    gradient = float(survey.watched[_watched(survey)])
    updates = _run(survey.dynamics, gradient, last + 1)
    return -updates[np.minimum(times, last)] / gradient


def _watched(survey: Survey) -> int:
    """Which gradient to look at: the reference one, unless it takes another course than smaller."""
    with np.errstate(invalid="ignore", divide="ignore"):
        courses = survey.rates / np.max(np.abs(survey.rates), axis=1, keepdims=True)
    return -1 if np.all(np.abs(courses[-1] - courses[1]) <= _SAME_COURSE) else 1


@in_double_precision
def _run(dynamics: Dynamics, gradient: float, num_steps: int) -> Float[np.ndarray, " steps"]:
    return np.asarray(_meet(dynamics, jnp.asarray(gradient), jnp.arange(num_steps)))


@eqx.filter_jit
def _meet(dynamics: Dynamics, gradient: Array, times: Array) -> Float[Array, " steps"]:
    def step(state: Array, time: Array) -> tuple[Array, Array]:
        update, following = dynamics(state, gradient, time)
        return following, update

    return jax.lax.scan(step, dynamics.initial_state, times)[1]


def _roughness(times: np.ndarray, rates: np.ndarray) -> float:
    """By how much the slope changes in all, relative to the largest learning rate."""
    seen = times < LATE
    slopes = np.diff(rates[seen]) / np.diff(times[seen])
    largest = np.max(np.abs(rates[seen]))
    return float(np.sum(np.abs(np.diff(slopes))) / largest) if largest > 0 else np.inf
