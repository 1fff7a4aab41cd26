"""How an optimizer remembers gradients: by averages of them and of their sizes, or otherwise."""

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse.csgraph import connected_components

from l2o.mechanisms.dynamics import Dynamics
from l2o.mechanisms.operating_points import OperatingPoints
from l2o.mechanisms.probes import step_many

# Two numbers are equal, and a derivative is zero or constant, within this share.
_EQUAL = 1e-6
_SAME_UPDATE = 1e-9
_TINY = 1e-8


class Memory(eqx.Module):
    """The structure of the part of the state that gradients drive."""

    odd: Bool[np.ndarray, " state"]
    """Which numbers change their sign, and nothing else, when all gradients do: averages of
    gradients."""
    even: Bool[np.ndarray, " state"]
    """Which do not change when all gradients change their signs: averages of their sizes."""
    groups: Int[np.ndarray, " state"]
    """To which group of numbers that depend on one another each belongs."""
    is_cascade: bool
    """Whether the state is averages, and averages of averages: each group is linear in itself with
    constant coefficients."""
    is_odd_cascade: bool
    """Whether that holds of the odd numbers alone."""
    matters: bool
    """Whether updates depend on it."""
    only_sign: bool
    """Whether all updates at one time are of one size."""

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return self.odd.size

    @property
    def has_parity(self) -> bool:
        """Whether each number either keeps or changes its sign with the gradients."""
        return bool(np.all(self.odd | self.even))


def look_at_memory(dynamics: Dynamics, points: OperatingPoints, time: int) -> Memory:
    """Compares settled states, and their derivatives, with one another.

    **Arguments:** `dynamics`; `points`, at gradients of both signs; `time`, which of the points.
    """
    here = np.flatnonzero((points.times == time) & (points.gradients != 0))
    up = here[points.gradients[here] > 0]
    down = here[points.gradients[here] < 0]
    up = up[np.argsort(points.gradients[up])]
    down = down[np.argsort(-points.gradients[down])]
    high, low = points.states[up], points.states[down]
    size = np.maximum(np.abs(high), np.abs(low))
    with np.errstate(invalid="ignore"):
        even = np.all(np.abs(high - low) <= _EQUAL * size, axis=0)
        odd = np.all(np.abs(high + low) <= _EQUAL * size, axis=0) & ~even
    matters, only_sign = zip(
        *(_updates_of(dynamics, points, int(held)) for held in np.unique(points.times)),
        strict=True,
    )
    jacobians = points.state_jacobians[here]
    return Memory(
        odd,
        even,
        _groups(jacobians),
        _is_cascade(jacobians),
        _is_cascade(jacobians[:, odd][:, :, odd]),
        any(matters),
        all(only_sign),
    )


def _updates_of(dynamics: Dynamics, points: OperatingPoints, time: int) -> tuple[bool, bool]:
    """Whether updates depend on the state at a time, and whether they are all of one size."""
    here = np.flatnonzero((points.times == time) & (points.gradients != 0))
    states = points.states[here]
    # Tiny ones, too, since everything lies beyond a clip that is low enough.
    gradients = np.concatenate([points.gradients[here], _TINY * points.gradients[here]])
    updates, _ = step_many(
        dynamics,
        np.tile(states, (len(gradients), 1)),
        np.repeat(gradients, len(states)),
        time,
    )
    by_gradient = updates.reshape(len(gradients), len(states))
    with np.errstate(invalid="ignore"):
        spread = np.ptp(by_gradient, axis=1)
        largest = np.max(np.abs(by_gradient), axis=1)
        matters = bool(np.any(~(spread <= _SAME_UPDATE * largest)))
        sizes = np.abs(updates[updates != 0])
        only_sign = bool(sizes.size and np.ptp(sizes) <= _SAME_UPDATE * np.max(sizes))
    return matters, only_sign


def _is_cascade(jacobians: Float[np.ndarray, "points state state"]) -> bool:
    """Whether all blocks of numbers that depend on one another have constant derivatives."""
    size = jacobians.shape[1]
    if not size:
        return True
    if not np.all(np.isfinite(jacobians)):
        return False
    groups = _groups(jacobians)
    together = groups[:, None] == groups[None]
    blocks = jacobians[:, together]
    spread = np.ptp(blocks, axis=0)
    return bool(np.all(spread <= _EQUAL * np.maximum(np.max(np.abs(blocks), axis=0), 1e-300)))


def _groups(jacobians: Float[np.ndarray, "points state state"]) -> Int[np.ndarray, " state"]:
    """Labels of numbers that depend on one another, directly or through others."""
    depends = np.any(jacobians != 0, axis=0)
    _, groups = connected_components(depends, directed=True, connection="strong")
    return groups
