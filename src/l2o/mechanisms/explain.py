"""All analyses of one optimizer, put together."""

import math
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from l2o.mechanisms.adaptation import AdaptationCurve, adaptation_curve
from l2o.mechanisms.dynamics import Dynamics, coordinate_dynamics
from l2o.mechanisms.explanation import Explanation, Inapplicable, LinearResponse, StateSpace
from l2o.mechanisms.fixed_points import FixedPoints, find_fixed_points
from l2o.mechanisms.linearization import linearize
from l2o.mechanisms.momentum import momentum_modes
from l2o.mechanisms.precision import in_double_precision
from l2o.mechanisms.schedule import autonomous_schedule
from l2o.mechanisms.state_space import GradientRecord, principal_components, visited_states
from l2o.mechanisms.update_function import UpdateFunction, update_function
from l2o.optimizers import LearnedOptimizer
from l2o.tasks.checks import check_at_least

LATE = 1_000_000
"""The time at which counters are held: bias corrections are over by then."""

SINGULAR_RATIO = 1e3
"""An optimizer is singular at zero if its slope there is so many times that at another gradient."""

# How far from zero the slope there is taken, in units of the reference gradient: near enough to see
# a jump at zero, as of the sign of the gradient, and a root that is zero there.
_CLOSE = 1e-10
_STEPS_WITHOUT_REST = 100
_SHOWN_COORDINATES = 48
_SHOWN_GRADIENTS = 401
_SHOWN_HALF_HEIGHTS = 8


class _OperatingPoint(NamedTuple):
    """Where the optimizer is looked at."""

    gradient: float
    state: Float[np.ndarray, " state"] | None
    """Where the state rests; `None` where it does not."""
    fixed_points: FixedPoints


@in_double_precision
def explain(
    optimizer: LearnedOptimizer,
    *,
    num_steps: int = 200,
    gradients: Float[ArrayLike, " gradients"] | None = None,
    time: int = LATE,
    reference_gradient: float = 1.0,
    record: GradientRecord | None = None,
) -> Explanation:
    """Runs all analyses of an optimizer.

    It is looked at where its state rests without a gradient. Optimizers that are singular there, as
    those that divide by the root of squared gradients are, are looked at where their state rests
    under the constant `reference_gradient` instead. Counters of steps are held at `time` for this;
    the schedule has them running.

    **Arguments:**

    - `optimizer`: a learned one, or a hand-designed one through `l2o.from_optax`.
    - `num_steps`: how long to follow the schedule, at least 1.
    - `gradients`: the constant gradients of the adaptation curve, by default those of
      `adaptation_curve`.
    - `time`: the number of steps at which to hold counters, for optimizers that depend on them.
    - `reference_gradient`: above zero.
    - `record`: gradients that the optimizer met on a task (`record_gradients`), to set against its
      saturation, and for the states that it visits.

    **Returns:** every analysis, or a sentence that says why it does not apply.

    **Raises:** `ValueError` if `num_steps` or `time` is out of range, `reference_gradient` is not
    above zero, or the optimizer's state has integers that do not count steps.
    """
    check_at_least("num_steps", num_steps, 1)
    check_at_least("time", time, 0)
    if not (reference_gradient > 0 and math.isfinite(reference_gradient)):
        raise ValueError(f"reference_gradient must be above zero, got {reference_gradient}.")
    dynamics = coordinate_dynamics(optimizer)
    held = time if dynamics.depends_on_time else 0
    point = _operating_point(dynamics, held, reference_gradient)
    singular = point.gradient != 0
    state = np.asarray(dynamics.initial_state) if point.state is None else point.state
    adaptation = _adaptation(dynamics, gradients, None if singular else state, held)
    return Explanation(
        state_size=dynamics.initial_state.size,
        depends_on_time=dynamics.depends_on_time,
        gradient=point.gradient,
        time=held,
        conditions=_conditions(dynamics, point, held),
        fixed_points=point.fixed_points,
        momentum=_linear_response(dynamics, point, held),
        # What holds at the initial state, as in the paper, unless that is singular.
        update_function=_update_function(dynamics, state, held)
        if singular
        else _update_function(dynamics, np.asarray(dynamics.initial_state), 0),
        schedule=autonomous_schedule(dynamics, num_steps, gradient=point.gradient),
        adaptation=adaptation,
        state_space=_state_space(dynamics, point, adaptation, record),
        record=record,
    )


def _operating_point(dynamics: Dynamics, time: int, reference: float) -> _OperatingPoint:
    """The resting state without a gradient, or under the reference one where that is singular."""
    points = find_fixed_points(dynamics, 0.0, time=time)
    state = _resting_state(dynamics, points, 0.0, time)
    referred = find_fixed_points(dynamics, reference, time=time)
    referred_state = _resting_state(dynamics, referred, reference, time)
    if not _is_singular(dynamics, state, referred_state, time, reference):
        return _OperatingPoint(0.0, state, points)
    return _OperatingPoint(reference, referred_state, referred)


def _resting_state(
    dynamics: Dynamics, points: FixedPoints, gradient: float, time: int
) -> Float[np.ndarray, " state"] | None:
    """The fixed point that attracts most starts, or else the initial state where it is one."""
    attracting = points.states[points.attracting]
    if len(attracting):
        return attracting[0]
    start = np.asarray(dynamics.initial_state)
    at_rest = linearize(dynamics, start, gradient, time=time).residual == 0
    return start if at_rest else None


def _is_singular(
    dynamics: Dynamics,
    state: Float[np.ndarray, " state"] | None,
    referred_state: Float[np.ndarray, " state"] | None,
    time: int,
    reference: float,
) -> bool:
    """Whether updates near zero gradient are out of all proportion to those elsewhere."""
    start = np.asarray(dynamics.initial_state)
    slopes = _secants(
        dynamics,
        jnp.asarray(start if state is None else state),
        jnp.asarray(start if referred_state is None else referred_state),
        jnp.asarray(time),
        jnp.asarray(reference),
    )
    at_zero, elsewhere = (abs(float(slope)) for slope in slopes)
    return not at_zero <= SINGULAR_RATIO * elsewhere


@eqx.filter_jit
def _secants(
    dynamics: Dynamics, state: Array, referred_state: Array, time: Array, reference: Array
) -> tuple[Array, Array]:
    close = _CLOSE * reference
    at_zero = dynamics.update(state, close, time) - dynamics.update(state, -close, time)
    return at_zero / (2 * close), dynamics.update(referred_state, reference, time) / reference


def _update_function(
    dynamics: Dynamics, state: Float[np.ndarray, " state"], time: int
) -> UpdateFunction:
    """The update function where it bends, if it does."""
    saturation = update_function(dynamics, state, time=time).saturation
    end = _SHOWN_HALF_HEIGHTS * saturation.half_height if saturation.saturates else 1.0
    return update_function(dynamics, state, np.linspace(-end, end, _SHOWN_GRADIENTS), time=time)


def _conditions(dynamics: Dynamics, point: _OperatingPoint, time: int) -> tuple[str, ...]:
    """What was assumed, and why."""
    said = []
    if point.gradient:
        said.append(
            "Near zero gradients its updates are out of proportion to the gradient, since it "
            "divides by the gradient's size or looks at its sign; so it is looked at where its "
            f"state rests under a constant gradient of {point.gradient:.3g}."
        )
    if dynamics.depends_on_time:
        said.append(
            f"It counts its steps; except for the schedule, the counter is held at {time:,}."
        )
    return tuple(said)


def _linear_response(
    dynamics: Dynamics, point: _OperatingPoint, time: int
) -> LinearResponse | Inapplicable:
    """The momenta at the resting state."""
    if point.state is None:
        points = point.fixed_points
        why = "grows for ever" if points.num_growing > points.num_wandering else "does not settle"
        return Inapplicable(
            f"Its state {why} under a constant gradient of {point.gradient:.3g}, so there is no "
            "fixed point to linearize it at."
        )
    linearization = linearize(dynamics, point.state, point.gradient, time=time)
    try:
        return LinearResponse(linearization, momentum_modes(linearization))
    except ValueError as error:
        return Inapplicable(str(error))


def _adaptation(
    dynamics: Dynamics,
    gradients: Float[ArrayLike, " gradients"] | None,
    start: Float[np.ndarray, " state"] | None,
    time: int,
) -> AdaptationCurve:
    """At the fixed points under constant gradients, or after some steps where there are none."""
    curve = adaptation_curve(dynamics, gradients, start=start, time=time)
    if np.any(np.isfinite(curve.effective_learning_rate)):
        return curve
    return adaptation_curve(dynamics, gradients, start=start, num_steps=_STEPS_WITHOUT_REST)


def _state_space(
    dynamics: Dynamics,
    point: _OperatingPoint,
    adaptation: AdaptationCurve,
    record: GradientRecord | None,
) -> StateSpace | Inapplicable:
    """Where recorded parameters took the state, along the two most important directions."""
    if record is None:
        return Inapplicable("No gradients of a task were recorded; give a run to explain.")
    if dynamics.initial_state.size == 0:
        return Inapplicable("It remembers nothing.")
    try:
        states = visited_states(dynamics, record)
    except ValueError as error:
        return Inapplicable(str(error))
    components = principal_components(states)
    resting = np.full(2, np.nan) if point.state is None else components.project(point.state)
    return StateSpace(
        components=components,
        trajectories=_in_plane(components.project(states[:, :_SHOWN_COORDINATES])),
        fixed_point=_in_plane(resting),
        under_constant_gradients=_in_plane(components.project(adaptation.states)),
        gradients=adaptation.gradients,
    )


def _in_plane(projected: Float[np.ndarray, "*points components"]) -> Float[np.ndarray, "*points 2"]:
    """Two coordinates, also of a state that has only one."""
    missing = 2 - projected.shape[-1]
    return np.pad(projected, [(0, 0)] * (projected.ndim - 1) + [(0, missing)])
