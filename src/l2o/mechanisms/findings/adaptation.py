"""Whether the gradients that were met change what an optimizer makes of the next one."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from l2o.mechanisms.findings.presence import Presence
from l2o.mechanisms.findings.survey import Survey
from l2o.mechanisms.probes import step_many
from l2o.mechanisms.schedule import RATE_FLOOR, changes

# A slope near zero is taken so much nearer to it than the gradient that was met.
_NEARER = 1e-7
_JUMP = 10.0
# A learning rate so much smaller than others is that of a clip which is closed.
_CLOSED = 1e-9
_ROUNDING = 1e-14
_MOSTLY = 0.9


@dataclass(frozen=True)
class AdaptationFinding:
    """Adaptation: learning rates after different gradients were met for long."""

    presence: Presence
    reason: str
    gradients: Float[np.ndarray, " gradients"]
    """The constant gradients, in rising order of size."""
    rates: Float[np.ndarray, " gradients"]
    """The effective learning rate after each; not a number where it says nothing."""
    by_signs: tuple[float, float] | None = None
    """The learning rates after gradients whose signs agreed and alternated, where that, and not
    their size, is what counts."""


def find_adaptation(survey: Survey, clips: Presence) -> AdaptationFinding:
    """Compares learning rates after different gradients, with the time held.

    **Arguments:** `survey`; `clips`, whether the optimizer clips.
    """
    index = survey.at(survey.time)
    index = index[np.argsort(np.abs(survey.points.gradients[index]), kind="stable")]
    gradients = survey.points.gradients[index]
    none = np.full(len(index), np.nan)
    if survey.dead:
        return AdaptationFinding(Presence.UNCLEAR, survey.dead, gradients, none)
    if not survey.memory.matters:
        reason = "what it met before changes nothing"
        return AdaptationFinding(Presence.ABSENT, reason, gradients, none)
    if survey.memory.only_sign:
        by_signs = _by_signs(survey, clips)
        reason = "" if by_signs else "all of its updates are of one size"
        presence = Presence.PRESENT if by_signs else Presence.ABSENT
        return AdaptationFinding(presence, reason, gradients, none, by_signs)
    states = survey.points.states[index]
    rates = _telling(survey, states, gradients)
    if survey.memory.has_parity and not np.any(np.isfinite(rates)):
        # Momentum may carry all updates beyond a clip.
        rates = _telling(survey, np.where(survey.memory.odd, 0.0, states), gradients)
    telling = np.isfinite(rates)
    if not np.any(telling) or np.max(np.abs(rates[telling])) <= RATE_FLOOR:
        return AdaptationFinding(
            Presence.UNCLEAR, "its updates do not answer to small gradients", gradients, rates
        )
    if not changes(rates):
        by_signs = _by_signs(survey, clips)
        reason = "" if by_signs else "whatever gradient was met, its learning rate is the same"
        presence = Presence.PRESENT if by_signs else Presence.ABSENT
        return AdaptationFinding(presence, reason, gradients, rates, by_signs)
    if survey.memory.has_parity and clips is not Presence.ABSENT:
        # Without what goes on from gradients before, nothing is driven into the clip.
        still = _telling(survey, np.where(survey.memory.odd, 0.0, states), gradients)
        if not changes(still):
            return AdaptationFinding(
                Presence.UNCLEAR,
                "what changes its learning rate may be its clip, into which momentum carries it",
                gradients,
                rates,
            )
    return AdaptationFinding(Presence.PRESENT, "", gradients, rates)


def _by_signs(survey: Survey, clips: Presence) -> tuple[float, float] | None:
    """Learning rates after gradients that agreed and alternated, if they differ.

    Where it may clip, what goes on from gradients before is taken away, so that nothing is driven
    into the clip; where that cannot be told from the rest, nothing is said. Where only signs count,
    it is the sizes of updates that are compared.
    """
    sizes = survey.met
    updates, states = survey.patterned(survey.time)
    if survey.memory.only_sign:
        largest = np.max(np.abs(updates[:2]), axis=-1) / sizes
        agreed, alternated = largest[:, 1]
        return (float(agreed), float(alternated)) if changes(largest[:, 1]) else None
    if not survey.memory.has_parity:
        return None
    drives = clips is not Presence.ABSENT
    agreed, alternated = (
        _telling(survey, np.where(survey.memory.odd & drives, 0.0, met), sizes)
        for met in states[:2]
    )
    both = np.stack([agreed, alternated])
    telling = [index for index in range(len(sizes)) if changes(both[:, index])]
    return (float(agreed[telling[-1]]), float(alternated[telling[-1]])) if telling else None


def _telling(
    survey: Survey, states: np.ndarray, gradients: np.ndarray
) -> Float[np.ndarray, " gradients"]:
    """Learning rates at zero, or for the reference gradient where the update jumps there."""
    sizes = np.abs(gradients)
    close, doubt = _rates(survey, states, _NEARER * sizes)
    same, _ = _rates(survey, states, sizes)
    with np.errstate(invalid="ignore"):
        jumps = np.abs(close) > _JUMP * np.abs(same)
        if np.mean(jumps) > _MOSTLY:
            close, doubt = _rates(survey, states, np.full(len(gradients), survey.reference))
        largest = np.max(np.nan_to_num(np.abs(close)), initial=0.0)
        closed = np.abs(close) <= np.maximum(_CLOSED * largest, doubt)
    return np.where(closed, np.nan, close)


def _rates(
    survey: Survey, states: np.ndarray, probes: np.ndarray
) -> tuple[Float[np.ndarray, " states"], Float[np.ndarray, " states"]]:
    """(u(h, -p) - u(h, p)) / 2p, and how far off rounding may make it."""
    up, _ = step_many(survey.dynamics, states, probes, survey.time)
    down, _ = step_many(survey.dynamics, states, -probes, survey.time)
    return (down - up) / (2 * probes), _ROUNDING * np.maximum(np.abs(up), np.abs(down)) / probes
