"""Whether an optimizer goes on by what gradients were before: momentum."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from l2o.mechanisms.findings.presence import Presence
from l2o.mechanisms.findings.survey import Survey
from l2o.mechanisms.linearization import Linearization
from l2o.mechanisms.momentum import Mode, momentum_modes
from l2o.mechanisms.operating_points import OperatingPoints
from l2o.mechanisms.schedule import RATE_FLOOR

WORTH_SAYING = 0.01
"""A momentum with less than this share of the response is not spoken of."""

# A response smaller than this, relative to the update itself, is none.
_NO_RESPONSE = 1e-9
# So many of the places looked at must agree; a few may lie where a clip is in between.
_AGREEMENT = 0.7
_SAME_BETA = 1e-3


@dataclass(frozen=True)
class MomentumFinding:
    """Momentum: how updates answer to gradients of the past."""

    presence: Presence
    reason: str
    """Why there is none, or why it cannot be told; empty where there is some."""
    momenta: tuple[Mode, ...] = ()
    """The modes that go on in the direction of past gradients, the largest first."""
    counteracting: tuple[Mode, ...] = ()
    """Those that take back part of the update, as an adapting learning rate does."""
    rate: float = float("nan")
    """How much of a gradient is taken off at once, where the momenta were found."""
    gradient: float = 0.0
    """The constant gradient there."""
    time: int = 0
    """The time there."""


def find_momentum(survey: Survey) -> MomentumFinding:
    """Looks at the response to gradients of the past, at several gradients and times."""
    if survey.dead:
        return MomentumFinding(Presence.UNCLEAR, survey.dead)
    if not survey.memory.matters:
        rate = _instant_rate(survey)
        return MomentumFinding(
            Presence.ABSENT, "its updates depend on the present gradient alone", rate=rate
        )
    responses = list(_responses(survey))
    if not responses:
        reason = (
            "only the sign of what it makes of past gradients reaches the update, which small "
            "changes of a gradient do not change"
            if survey.memory.only_sign
            else "its updates depend on past gradients, but do not answer to changes of a single "
            "one at any of the places looked at"
        )
        return MomentumFinding(Presence.UNCLEAR, reason)
    first = responses[0]
    if survey.memory.is_cascade:
        agreeing = [sum(_agree(one, other) for other in responses) for one in responses]
        if max(agreeing) < _AGREEMENT * len(responses):
            return MomentumFinding(
                Presence.UNCLEAR,
                "at different gradients and times it answers to past gradients differently",
            )
        first = responses[int(np.argmax(agreeing))]
    if not first.momenta:
        return _replaced(first, Presence.ABSENT, "nothing of past gradients goes on in its updates")
    return first


def _instant_rate(survey: Survey) -> float:
    if not survey.singular:
        return -float(survey.points.feedthroughs[survey.resting_point(survey.time)])
    return float(survey.points.odd_rates[survey.at(survey.time)[0]])


def _agree(one: MomentumFinding, other: MomentumFinding) -> bool:
    """Whether two places have the same betas."""
    betas = [np.sort(np.abs([mode.beta for mode in finding.momenta])) for finding in (one, other)]
    return len(betas[0]) == len(betas[1]) and bool(
        np.all(np.abs(betas[0] - betas[1]) <= _SAME_BETA)
    )


def _replaced(finding: MomentumFinding, presence: Presence, reason: str) -> MomentumFinding:
    return MomentumFinding(
        presence,
        reason,
        finding.momenta,
        finding.counteracting,
        finding.rate,
        finding.gradient,
        finding.time,
    )


def _responses(survey: Survey) -> Iterator[MomentumFinding]:
    """What is found at each place that answers at all, the main one first."""
    for time in survey.held:
        if not survey.singular:
            index = survey.resting_point(time)
            yield from _modes_of(survey, survey.points.linearization(index), RATE_FLOOR)
        elif not (survey.memory.has_parity and survey.memory.is_cascade):
            for index in survey.at(time)[:2]:
                size = float(abs(survey.points.whole_rates[index]))
                yield from _modes_of(survey, survey.points.linearization(int(index)), size)
    if survey.memory.has_parity and survey.memory.is_cascade:
        points = survey.off_kinks
        for index in np.lexsort((survey.distances(points), points.times != survey.time)):
            size = float(abs(points.whole_rates[index]) + abs(points.odd_rates[index]))
            response = _to_other_signs(points, int(index), survey.memory.odd)
            yield from _modes_of(survey, response, size)


def _to_other_signs(points: OperatingPoints, index: int, odd: np.ndarray) -> Linearization:
    """The response to reversing a gradient, which averages of gradients' sizes do not notice."""
    return Linearization(
        state=points.states[index][odd],
        gradient=float(points.gradients[index]),
        time=int(points.times[index]),
        update=float(points.updates[index]),
        residual=float(points.residuals[index]),
        state_jacobian=points.state_jacobians[index][np.ix_(odd, odd)],
        gradient_jacobian=points.odd_responses[index][odd],
        readout=points.readouts[index][odd],
        feedthrough=-float(points.odd_rates[index]),
    )


def _modes_of(
    survey: Survey, linearization: Linearization, size: float
) -> Iterator[MomentumFinding]:
    """The modes of a response, unless there is none.

    **Arguments:** `size`, of what counts as a response.
    """
    answer = np.abs(linearization.impulse_response(3))
    if not np.all(np.isfinite(answer)) or not np.max(answer) > _NO_RESPONSE * size:
        return
    try:
        modes = momentum_modes(linearization)
    except ValueError:
        return
    total = sum(abs(mode.alpha) for mode in modes)
    lasting = [mode for mode in modes if mode.remembers and abs(mode.alpha) > WORTH_SAYING * total]
    # Averages of averages have modes of both signs; else those below zero take updates back.
    signed = survey.memory.has_parity and survey.memory.is_cascade
    momenta = tuple(mode for mode in lasting if mode.alpha.real > 0 or signed)
    yield MomentumFinding(
        Presence.PRESENT if momenta else Presence.ABSENT,
        "",
        momenta,
        tuple(mode for mode in lasting if mode not in momenta),
        linearization.effective_learning_rate,
        linearization.gradient,
        linearization.time,
    )
