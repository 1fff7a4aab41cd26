"""Whether an optimizer cuts large gradients off."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from l2o.mechanisms._update_function import PROBED, Saturation, saturation_of
from l2o.mechanisms.findings.presence import Presence
from l2o.mechanisms.findings.survey import Survey
from l2o.mechanisms.probes import step_many

# An end of growth is abrupt, as no division by a size is, where updates are within the first share
# of their plateau already at so many times the gradient that brings them to half of it.
_FLAT = 1e-9
_ABRUPT = 50.0
# What large gradients still add to a number of the state, for it to have an end of growth.
_BOUNDED = 1e-6
# A law of growth is a power if its exponent is whole within this.
_WHOLE = 1e-3


# Where thresholds for other gradients met before differ by more than this, they depend on them.
_SAME_THRESHOLD = 0.05


@dataclass(frozen=True)
class ClippingFinding:
    """Clipping: an absolute size from which on a gradient counts no more than that size."""

    presence: Presence
    reason: str
    threshold: float
    """The gradient from which on: c for a hard clip at c and for c tanh(g / c) alike. Of two, for
    gradients above and below zero, the smaller one. Not a number where there is none."""
    largest_update: float
    """The largest update, an offset set apart; not a number where updates grow without end."""
    is_of_gradient: bool
    """Whether the gradient itself is clipped, before the optimizer remembers it."""
    sides: tuple[float, float] | None = None
    """The thresholds for gradients below and above zero where they differ; infinity for a side
    without."""


def find_clipping(survey: Survey) -> ClippingFinding:
    """Looks at updates and next states for gradients up to 1e12, whatever was met before."""
    if survey.dead:
        return _none(Presence.UNCLEAR, survey.dead)
    states, sizes = _states(survey)
    places = [_seen_from(survey, state) for state in states]
    first = places[0]
    if first.presence is not Presence.PRESENT or len(places) == 1:
        return first
    thresholds = np.array([_size(place) for place in places])
    if not np.all(np.isfinite(thresholds)):
        return _none(
            Presence.UNCLEAR,
            "whether its updates level off depends on the gradients met before",
            first.largest_update,
        )
    if np.max(thresholds) <= (1 + _SAME_THRESHOLD) * np.min(thresholds):
        return first
    relative = thresholds[sizes > 0] / sizes[sizes > 0]
    if np.max(relative) <= (1 + _SAME_THRESHOLD) * np.min(relative):
        return _none(
            Presence.ABSENT,
            "its updates level off only relative to the gradients met before, "
            f"at {relative[0]:.4g} times their size",
            first.largest_update,
        )
    return _none(
        Presence.UNCLEAR,
        "where its updates level off depends on the gradients met before",
        first.largest_update,
    )


def _size(place: ClippingFinding) -> float:
    """From which gradient on updates level off, by the update where that cannot be told."""
    if place.presence is not Presence.PRESENT:
        return math.nan
    return place.threshold if math.isfinite(place.threshold) else place.largest_update


def _seen_from(survey: Survey, state: Float[np.ndarray, " state"]) -> ClippingFinding:
    """What is found at one of the states."""
    gradients = np.concatenate([-PROBED[::-1], [0.0], PROBED])
    updates, following = step_many(
        survey.dynamics, np.tile(state, (len(gradients), 1)), gradients, survey.time
    )
    saturation = saturation_of(gradients, updates, _slope(gradients, updates))
    if survey.memory.only_sign:
        return _of_signs(survey, saturation, _remembered(following))
    sides = _sides(gradients, updates)
    if not saturation.saturates:
        if sides is not None and not survey.singular:
            return _present(saturation, math.nan, sides=sides)
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
        return _present(saturation, threshold, of_gradient=survey.memory.is_cascade, sides=sides)
    if not bounded:
        return _present(saturation, saturation.threshold, of_gradient=True, sides=sides)
    if _is_abrupt(heights):
        if _remembers_only_large(memory, saturation.threshold):
            return _none(
                Presence.ABSENT,
                "its updates level off only because it divides by the largest gradient met",
                abs(saturation.plateau),
            )
        # Where it divides by sizes, the update is clipped, at a gradient relative to these.
        threshold = math.nan if survey.singular else saturation.threshold
        return _present(saturation, threshold, sides=sides)
    averages = survey.memory.has_parity or survey.memory.is_cascade
    if averages and np.any(survey.memory.even & _responds(following)):
        largest = _in_memory(survey)
        if math.isfinite(largest):
            return ClippingFinding(Presence.PRESENT, "", math.nan, largest, False)
        return _none(
            Presence.ABSENT,
            "its updates level off only because it divides by the size of gradients, the present "
            "one included",
            abs(saturation.plateau),
        )
    if not survey.memory.is_cascade and survey.singular:
        return _none(
            Presence.UNCLEAR,
            "its updates level off, but it also takes in sizes of gradients without end, and so "
            "may divide by them",
            abs(saturation.peak),
        )
    return _present(saturation, saturation.threshold, of_gradient=False, sides=sides)


def _of_signs(survey: Survey, saturation: Saturation, memory: np.ndarray) -> ClippingFinding:
    """Where all updates are of one size: what is remembered may be clipped all the same."""
    if not survey.memory.matters or np.all(np.ptp(memory, axis=0) <= _FLAT * memory[-1]):
        return _none(
            Presence.ABSENT,
            "only the sign of the gradient counts, so that a clip would change nothing",
            abs(saturation.plateau),
        )
    if memory.size and all(_ends(column) for column in memory.T):
        return _present(saturation, _threshold_of_memory(memory), of_gradient=True)
    return _none(
        Presence.ABSENT,
        "only the sign of what it makes of gradients reaches the update",
        abs(saturation.plateau),
    )


def _in_memory(survey: Survey) -> float:
    """The largest update that ever larger averages of gradients make without a gradient.

    Not a number where updates grow with them for ever, where there are none, or where sizes are
    taken of them: otherwise a division by sizes does not change with these averages, and a clip
    behind it is seen.
    """
    memory = survey.memory
    if not (memory.has_parity and np.any(memory.odd) and np.any(memory.even)):
        return math.nan
    state = survey.points.states[survey.settled(survey.reference, survey.time)]
    factors = np.concatenate([-PROBED[::-1], [0.0], PROBED])
    states = np.where(memory.odd, factors[:, None] * state, state)
    updates, following = step_many(survey.dynamics, states, np.zeros(len(factors)), survey.time)
    if np.any(_responds(following) & memory.even):
        return math.nan
    saturation = saturation_of(factors, updates, _slope(factors, updates))
    is_flat = _is_flat(_half_differences(updates))
    return abs(saturation.peak) if saturation.saturates and not is_flat else math.nan


def _none(
    presence: Presence, reason: str, largest: float = math.nan, threshold: float = math.nan
) -> ClippingFinding:
    return ClippingFinding(presence, reason, threshold, largest, False)


def _present(
    saturation: Saturation,
    threshold: float,
    *,
    of_gradient: bool = False,
    sides: tuple[float, float] | None = None,
) -> ClippingFinding:
    if sides is not None:
        threshold = min(sides)
    return ClippingFinding(
        Presence.PRESENT, "", threshold, abs(saturation.peak), of_gradient, sides
    )


def _states(
    survey: Survey,
) -> tuple[Float[np.ndarray, "places state"], Float[np.ndarray, " places"]]:
    """Where to look: under gradients, with nothing gone on from gradients before; or at rest.

    Where all of its memory is averages, or it divides by what it met, other gradients met before
    must give the same threshold.

    **Returns:** the states, the most telling first, and the sizes of the gradients met before.
    """
    met = [survey.settled(gradient, survey.time) for gradient in survey.met]
    states = survey.points.states[met]
    if survey.memory.has_parity:
        states = np.where(survey.memory.odd, 0.0, states)
    if survey.singular:
        reference_first = [1, 0, 2]
        return states[reference_first], survey.met[reference_first]
    rest = survey.points.states[survey.resting_point(survey.time)][None]
    if survey.memory.has_parity and survey.memory.matters:
        return np.concatenate([rest, states]), np.concatenate([[0.0], survey.met])
    return rest, np.zeros(1)


def _sides(gradients: np.ndarray, updates: np.ndarray) -> tuple[float, float] | None:
    """The thresholds of gradients below and above zero, if they differ."""
    middle = len(gradients) // 2
    moved = updates - updates[middle]
    thresholds = []
    for arm in (moved[:middle][::-1], -moved[middle + 1 :]):
        odd = np.concatenate([arm[::-1], [0.0], -arm])
        saturation = saturation_of(gradients, odd, _slope(gradients, odd))
        thresholds.append(abs(saturation.threshold) if saturation.saturates else math.inf)
    below, above = thresholds
    if math.isinf(below) and math.isinf(above):
        return None
    same = abs(below - above) <= _SAME_THRESHOLD * min(below, above)
    return None if same else (below, above)


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


def _remembers_only_large(memory: np.ndarray, threshold: float) -> bool:
    """Whether a size is taken in only from where updates level off, as a largest one is."""
    if not math.isfinite(threshold):
        return False
    below, above = np.searchsorted(PROBED, abs(threshold) * np.array([0.5, 2.0]))
    return bool(np.any((memory[below] == 0) & (memory[above] != 0)))


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
