"""Whether an optimizer goes on by what gradients were before: momentum."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from l2o.mechanisms.findings.presence import Presence
from l2o.mechanisms.findings.survey import Survey
from l2o.mechanisms.linearization import Linearization
from l2o.mechanisms.momentum import Mode, momentum_modes
from l2o.mechanisms.operating_points import PLAIN_STEPS, OperatingPoints
from l2o.mechanisms.probes import run_many
from l2o.mechanisms.schedule import RATE_FLOOR

WORTH_SAYING = 0.01
"""A momentum with less than this share of the response is not spoken of."""

# A response smaller than this, relative to the update itself, is none.
_NO_RESPONSE = 1e-9
# So many of the places looked at must agree, and far fewer on anything else; others may lie where a
# clip is in between.
_AGREEMENT = 0.4
_OTHERS = 0.5
_SAME_BETA = 1e-3
# A memory that ends within so many steps is a window, not a decay.
_LONGEST_WINDOW = 32


@dataclass(frozen=True)
class MomentumFinding:
    """Momentum: updates go on in the direction of past gradients once there are none."""

    presence: Presence
    reason: str
    """Why there is none, why it cannot be told, or why no betas can; empty where they can."""
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
    window: int = 0
    """How many past gradients updates answer to, where all earlier ones are forgotten."""


def find_momentum(survey: Survey) -> MomentumFinding:
    """Stops gradients to see what goes on, and takes the response apart into modes."""
    if survey.dead:
        return MomentumFinding(Presence.UNCLEAR, survey.dead)
    if not survey.memory.matters:
        rate = _instant_rate(survey)
        return MomentumFinding(
            Presence.ABSENT,
            "its updates depend on the present gradient alone",
            rate=rate,
            time=survey.time,
        )
    going_on = [_going_on(survey, time) for time in survey.held]
    if all(np.isnan(share) for share in going_on):
        return MomentumFinding(
            Presence.UNCLEAR, "under constant gradients its updates are zero or not finite"
        )
    told = {
        time: share
        for time, share in zip(survey.held, going_on, strict=True)
        if not np.isnan(share)
    }
    going = [time for time, share in told.items() if share > WORTH_SAYING]
    if going and len(going) < len(told):
        return MomentumFinding(
            Presence.UNCLEAR,
            f"at step {going[0]:,} its updates go on without gradients, at other times they do not",
        )
    response = _most_common(survey, list(_responses(survey)))
    if not going:
        reason = "when gradients stop, its updates stop"
        if not response.counteracting and min(told.values()) < -WORTH_SAYING:
            reason = "what it remembers takes back part of its updates"
        return replace(response, presence=Presence.ABSENT, reason=reason, momenta=(), window=0)
    if not response.momenta and not response.reason and not response.window:
        response = replace(response, reason="it does not decay like powers of any number")
    return replace(response, presence=Presence.PRESENT)


def _most_common(survey: Survey, responses: list[MomentumFinding]) -> MomentumFinding:
    """What most places agree on; without betas, and with the reason, where they do not."""
    if not responses:
        reason = (
            "only the sign of what it makes of past gradients reaches the update"
            if survey.memory.only_sign
            else "small changes of a single gradient do not change its updates"
        )
        return MomentumFinding(Presence.PRESENT, reason)
    if len(responses) == 1 or not survey.memory.is_odd_cascade:
        return responses[0]
    # Within a clip nothing is answered.
    answering = [response for response in responses if response.momenta] or responses
    agree = np.array([[_agree(one, other) for other in answering] for one in answering])
    agreeing = np.sum(agree, axis=1)
    index = int(np.argmax(agreeing))
    others = np.max(agreeing[~agree[index]], initial=0)
    if agreeing[index] >= _AGREEMENT * len(responses) and others <= _OTHERS * agreeing[index]:
        return answering[index]
    reason = "at different gradients and times it answers to past gradients differently"
    return replace(answering[index], momenta=(), counteracting=(), reason=reason)


def _going_on(survey: Survey, time: int) -> float:
    """The largest share of an update that is made again when gradients have stopped.

    What is made against its direction counts below zero; not a number where nothing is told.
    """
    points = survey.points
    up = [survey.settled(gradient, time) for gradient in survey.met]
    down = [survey.settled(-gradient, time) for gradient in survey.met]
    index = np.array(up + down)
    stopped = np.zeros((len(index), PLAIN_STEPS))
    updates, _ = run_many(survey.dynamics, points.states[index], stopped, time)
    count = len(up)
    # Half of the difference of both signs is free of what it does by itself.
    left = (updates[:count] - updates[count:]) / 2
    whole = (points.updates[up] - points.updates[down]) / 2
    shares = _shares(left, whole)
    if np.all(np.abs(shares) <= WORTH_SAYING):
        # Gradients that agree may leave an optimizer without the size of their differences.
        (*_, first, second), (*_, one, other) = survey.patterned(time)
        stopped = np.zeros((2 * count, PLAIN_STEPS))
        updates, _ = run_many(survey.dynamics, np.concatenate([one, other]), stopped, time)
        before = np.max(np.abs(first - second), axis=1) / 2
        shares = _shares(np.abs(updates[:count] - updates[count:]) / 2, before)
    if not shares.size:
        return float("nan")
    largest, least = float(np.max(shares)), float(np.min(shares))
    return largest if largest > WORTH_SAYING else least


def _shares(left: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """What is left of updates, where there are any."""
    told = np.isfinite(whole) & (whole != 0)
    shares = left[told] / whole[told, None]
    return shares[np.isfinite(shares)]


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


def _responses(survey: Survey) -> Iterator[MomentumFinding]:
    """What is found at each place that answers at all, the main one first."""
    for time in survey.held:
        if not survey.singular:
            index = survey.resting_point(time)
            yield from _modes_of(survey, survey.points.linearization(index), RATE_FLOOR)
        elif not (survey.memory.has_parity and survey.memory.is_odd_cascade):
            for index in survey.at(time)[:2]:
                size = float(abs(survey.points.whole_rates[index]))
                yield from _modes_of(survey, survey.points.linearization(int(index)), size)
    if survey.memory.has_parity and survey.memory.is_odd_cascade:
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
    answer = linearization.impulse_response(2 * _LONGEST_WINDOW)
    if not np.all(np.isfinite(answer)):
        return
    if not np.max(np.abs(answer)) > _NO_RESPONSE * size:
        return
    # What a counter makes up for is not part of an average.
    filling = survey.filling(linearization.time)
    linearization = replace(
        linearization,
        readout=filling * linearization.readout,
        feedthrough=filling * linearization.feedthrough,
    )
    try:
        modes = momentum_modes(linearization)
    except ValueError:
        return
    lasting = _worth_saying(modes)
    # Averages of averages have modes of both signs; else those below zero take updates back.
    signed = survey.memory.has_parity and survey.memory.is_odd_cascade
    momenta = tuple(mode for mode in lasting if mode.alpha.real > 0 or signed)
    answering = np.flatnonzero(np.abs(answer) > _NO_RESPONSE * np.max(np.abs(answer)))
    window = 0 if lasting else int(answering[-1])
    yield MomentumFinding(
        Presence.PRESENT,
        "",
        momenta,
        tuple(mode for mode in lasting if mode not in momenta),
        linearization.effective_learning_rate,
        linearization.gradient,
        linearization.time,
        window if window <= _LONGEST_WINDOW else 0,
    )


def _worth_saying(modes: tuple[Mode, ...]) -> list[Mode]:
    """The modes with some share of the answer to one gradient, or to a constant one."""
    at_once = np.array([abs(mode.alpha) for mode in modes])
    # Where nothing is at once, as for a memory of the last gradient alone, there are no modes.
    with np.errstate(divide="ignore", invalid="ignore"):
        in_all = at_once / np.abs([1 - mode.beta for mode in modes])
        shares = at_once / np.sum(at_once)
    if np.sum(in_all) > 0 and np.all(np.isfinite(in_all)):
        shares = np.maximum(shares, in_all / np.sum(in_all))
    return [
        mode
        for mode, share in zip(modes, shares, strict=True)
        if mode.remembers and share > WORTH_SAYING
    ]
