"""Whether an optimizer's learning rate changes by itself."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from l2o.mechanisms.findings.presence import Presence
from l2o.mechanisms.findings.survey import Survey
from l2o.mechanisms.laws import Law, law_of
from l2o.mechanisms.schedule import RATE_FLOOR, changes


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
    gradient: float = 0.0
    """The gradient that rates are for; 0 where they are slopes at zero."""
    under_gradient: bool = False
    """Whether the rates are whole updates over that gradient, met from the start."""
    first_steps: bool = False
    """Whether the first rates are others because averages that start at zero are not made up for
    exactly."""

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
    """Says how learning rates change over time, with what gradients do to them set apart."""
    course = survey.course
    times, rates = course.times, course.rates
    law = None
    if survey.peak_rate <= RATE_FLOOR:
        presence, reason = Presence.UNCLEAR, survey.dead
    elif course.unclear:
        presence, reason = Presence.UNCLEAR, course.unclear
    elif not np.all(np.isfinite(rates)):
        presence, reason = Presence.UNCLEAR, "its learning rate does not stay finite"
    elif course.first_steps or not changes(rates):
        presence, reason = Presence.ABSENT, "its learning rate stays the same"
    else:
        presence, reason = Presence.PRESENT, ""
        law = law_of(times, rates)
    return ScheduleFinding(
        presence,
        reason,
        survey.num_steps,
        times,
        rates,
        law,
        course.corrects_bias,
        course.gradient,
        course.under_gradient,
        course.first_steps,
    )
