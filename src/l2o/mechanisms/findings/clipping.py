"""Whether an optimizer cuts large gradients off."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from l2o.mechanisms.findings.presence import Presence
from l2o.mechanisms.findings.survey import Survey
from l2o.mechanisms.probes import step_many
from l2o.mechanisms.update_function import PROBED, Saturation, saturation_of

# An end of growth is abrupt, as no division by a size is, where updates are within the first share
# of their plateau already at so many times the gradient that brings them to half of it.
_FLAT = 1e-9
_ABRUPT = 50.0
# What large gradients still add to a number of the state, for it to have an end of growth.
_BOUNDED = 1e-6
# A law of growth is a power if its exponent is whole within this.
_WHOLE = 1e-3


@dataclass(frozen=True)
class ClippingFinding:
    """Clipping: an absolute size from which on a gradient counts no more than that size."""

    presence: Presence
    reason: str
    threshold: float
    """The gradient from which on: c for a hard clip at c and for c tanh(g / c) alike. Not a number
    where there is none."""
    largest_update: float
    """The largest update, an offset set apart; not a number where updates grow without end."""
    is_of_gradient: bool
    """Whether the gradient itself is clipped, before the optimizer remembers it."""


def find_clipping(survey: Survey) -> ClippingFinding:
    """Looks at updates and next states for gradients up to 1e12."""
    if survey.dead:
        return _none(Presence.UNCLEAR, survey.dead)
    state = _state(survey)
    gradients = np.concatenate([-PROBED[::-1], [0.0], PROBED])
    updates, following = step_many(
        survey.dynamics, np.tile(state, (len(gradients), 1)), gradients, survey.time
    )
    saturation = saturation_of(gradients, updates, _slope(gradients, updates))
    if survey.memory.only_sign:
        return _none(
            Presence.ABSENT,
            "only the sign of the gradient counts, so that a clip would change nothing",
            abs(saturation.plateau),
        )
    if not saturation.saturates:
        return _none(Presence.ABSENT, "larger gradients give larger updates without end")
    heights = _half_differences(updates)
    if _is_flat(heights):
        return _none(
            Presence.ABSENT,
            "only the sign of the gradient counts, so that a clip would change nothing",
            abs(saturation.plateau),
        )
    memory = _remembered(following)
    bounded = [_ends(column) for column in memory.T]
    if bounded and all(bounded):
        threshold = _threshold_of_memory(memory) if survey.singular else saturation.threshold
        return _present(saturation, threshold, of_gradient=survey.memory.is_cascade)
    if not bounded or _is_abrupt(heights):
        return _present(saturation, saturation.threshold, of_gradient=not bounded)
    if not survey.memory.is_cascade:
        return _none(
            Presence.UNCLEAR if survey.singular else Presence.PRESENT,
            "its updates level off, but it also takes in sizes of gradients without end, and so "
            "may divide by them"
            if survey.singular
            else "",
            abs(saturation.peak),
            math.nan if survey.singular else saturation.threshold,
        )
    if np.any(survey.memory.even & _responds(following)):
        return _none(
            Presence.ABSENT,
            "its updates level off only because it divides by the size of gradients, the present "
            "one included",
            abs(saturation.plateau),
        )
    return _present(saturation, saturation.threshold, of_gradient=False)


def _none(
    presence: Presence, reason: str, largest: float = math.nan, threshold: float = math.nan
) -> ClippingFinding:
    return ClippingFinding(presence, reason, threshold, largest, False)


def _present(saturation: Saturation, threshold: float, *, of_gradient: bool) -> ClippingFinding:
    return ClippingFinding(Presence.PRESENT, "", threshold, abs(saturation.peak), of_gradient)


def _state(survey: Survey) -> Float[np.ndarray, " state"]:
    """Where to look: at rest, or under a gradient with nothing gone on from gradients before."""
    if not survey.singular:
        return survey.points.states[survey.resting_point(survey.time)]
    state = survey.points.states[survey.at(survey.time)[0]]
    return np.where(survey.memory.odd, 0.0, state) if survey.memory.has_parity else state


def _slope(gradients: np.ndarray, updates: np.ndarray) -> float:
    """The learning rate for the smallest gradients, which rounding leaves alone."""
    middle = len(gradients) // 2
    heights = _half_differences(updates)
    sharp = np.abs(heights) > 1e-9 * abs(updates[middle])
    first = int(np.argmax(sharp)) if np.any(sharp) else 0
    return float(heights[first] / PROBED[first])


def _half_differences(updates: np.ndarray) -> np.ndarray:
    middle = len(updates) // 2
    return (updates[:middle][::-1] - updates[middle + 1 :]) / 2


def _remembered(following: np.ndarray) -> np.ndarray:
    """How far gradients of growing size move each number that they move, the mean of both signs."""
    middle = len(following) // 2
    moved = following - following[middle]
    up, down = moved[middle + 1 :], moved[:middle][::-1]
    sizes = (np.abs(up) + np.abs(down)) / 2
    return sizes[:, _responds(following)]


def _responds(following: np.ndarray) -> np.ndarray:
    """Which numbers of the state a gradient moves at once."""
    return np.any(following != following[len(following) // 2], axis=0)


def _ends(sizes: np.ndarray) -> bool:
    """Whether the last factor of 100 moves a number no farther."""
    before = np.searchsorted(PROBED, PROBED[-1] / 100)
    return bool(np.isfinite(sizes[-1]) and sizes[-1] - sizes[before] <= _BOUNDED * sizes[-1])


def _is_flat(heights: np.ndarray) -> bool:
    """Whether all gradients, small and large, give the same update."""
    return bool(np.ptp(heights) <= _FLAT * np.max(np.abs(heights)))


def _is_abrupt(heights: np.ndarray) -> bool:
    """Whether growth ends at once."""
    sizes = np.abs(heights)
    peak = np.max(sizes)
    half = PROBED[int(np.argmax(sizes >= peak / 2))]
    flat = PROBED[int(np.argmax(sizes >= (1 - _FLAT) * peak))]
    return bool(flat <= _ABRUPT * half)


def _threshold_of_memory(memory: np.ndarray) -> float:
    """From the number of the state that grows most like a power of the gradient."""
    for sizes in memory.T:
        clear = np.flatnonzero(sizes > 1e-9 * sizes[-1])
        if len(clear) < 2:
            continue
        first, second = clear[0], clear[0] + 1
        power = float(np.log(sizes[second] / sizes[first]) / np.log(PROBED[second] / PROBED[first]))
        whole = round(power)
        if whole >= 1 and abs(power - whole) <= _WHOLE:
            return float(PROBED[first] * (sizes[-1] / sizes[first]) ** (1 / whole))
    return math.nan
