"""All analyses of one optimizer, put together."""

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from l2o.mechanisms._update_function import UpdateFunction, update_function
from l2o.mechanisms.adaptation import AdaptationCurve, adaptation_curve
from l2o.mechanisms.clock import hold
from l2o.mechanisms.dynamics import Dynamics, coordinate_dynamics
from l2o.mechanisms.explanation import Explanation, Inapplicable, LinearResponse, StateSpace
from l2o.mechanisms.findings import Mechanisms, find_mechanisms
from l2o.mechanisms.fixed_points import FixedPoints, find_fixed_points
from l2o.mechanisms.linearization import linearize
from l2o.mechanisms.momentum import momentum_modes
from l2o.mechanisms.operating_points import PLAIN_STEPS
from l2o.mechanisms.precision import in_double_precision
from l2o.mechanisms.state_space import GradientRecord, principal_components, visited_states
from l2o.optimizers import LearnedOptimizer
from l2o.support.checks import check_instance, check_number, check_size

_SHOWN_COORDINATES = 48
_SHOWN_TO_EITHER_SIDE = 200
_SHOWN_HALF_HEIGHTS = 8


@in_double_precision
def explain(
    optimizer: LearnedOptimizer,
    *,
    num_steps: int = 200,
    gradients: Float[ArrayLike, " gradients"] | None = None,
    time: int | None = None,
    reference_gradient: float = 1.0,
    record: GradientRecord | None = None,
) -> Explanation:
    """Says which mechanisms an optimizer has, and makes all analyses of it.

    Mechanisms are decided by `find_mechanisms`. The pictures beside them are of where its state
    rests without a gradient; of optimizers that are singular there, as those that divide by the
    root of squared gradients are, of where it rests under the constant `reference_gradient`.
    Whatever follows from the time alone is held for this.

    **Arguments:**

    - `optimizer`: a learned one, or a hand-designed one through `l2o.from_optax`.
    - `num_steps`: how long to follow the schedule step by step, at least 1.
    - `gradients`: the constant gradients of the adaptation curve, by default those of
      `adaptation_curve`.
    - `time`: the number of steps at which to hold counters, for optimizers that depend on them; by
      default late, at 1,000,000, or where they are alive.
    - `reference_gradient`: above zero; the size of gradients that are met.
    - `record`: gradients that the optimizer met on a task (`record_gradients`), to set against its
      saturation, and for the states that it visits.

    **Returns:** every analysis, or a sentence that says why it does not apply.

    **Raises:** `ValueError` if `num_steps` or `time` is out of range, `reference_gradient` is not
    above zero, the optimizer's updates are not finite from the first step on, or its state has
    integers that do not count steps.

    ```pycon
    >>> optimizer = l2o.from_optax(optax.sgd(0.25, momentum=0.5))
    >>> explanation = l2o.mechanisms.explain(optimizer, num_steps=5)
    >>> explanation.summary
    'It has momentum, but no clipping and no schedule and no adaptation.'
    ```
    """
    check_size("num_steps", num_steps)
    if time is not None:
        check_size("time", time, least=0)
    check_number("reference_gradient", reference_gradient, above=0)
    if record is not None:
        check_instance("record", record, GradientRecord)
    whole = coordinate_dynamics(optimizer)
    mechanisms = find_mechanisms(
        whole, num_steps=num_steps, reference_gradient=reference_gradient, time=time
    )
    survey = mechanisms.survey
    held = hold(survey.dynamics, survey.time)
    gradient = reference_gradient if survey.singular else 0.0
    points = find_fixed_points(held, gradient)
    resting = _resting_state(held, points, gradient)
    start = np.asarray(held.initial_state)
    state = start if resting is None else resting
    adaptation = _adaptation(held, gradients, None if survey.singular else state)
    return Explanation(
        state_size=whole.initial_state.size,
        mechanisms=mechanisms,
        gradient=gradient,
        conditions=_conditions(mechanisms, gradient),
        fixed_points=points,
        momentum=_linear_response(held, points, resting, gradient),
        # What holds at the initial state, as in the paper, unless that is singular.
        update_function=_update_function(held, state if survey.singular else start),
        adaptation=adaptation,
        state_space=_state_space(survey.dynamics, resting, adaptation, record),
        record=record,
    )


def _resting_state(
    held: Dynamics, points: FixedPoints, gradient: float
) -> Float[np.ndarray, " state"] | None:
    """The fixed point that attracts most starts, or else the initial state where it is one."""
    attracting = points.states[points.attracting]
    if len(attracting):
        return attracting[0]
    start = np.asarray(held.initial_state)
    at_rest = linearize(held, start, gradient).residual == 0
    return start if at_rest else None


def _update_function(held: Dynamics, state: Float[np.ndarray, " state"]) -> UpdateFunction:
    """The update function where it bends, if it does."""
    saturation = update_function(held, state).saturation
    end = _SHOWN_HALF_HEIGHTS * saturation.half_height if saturation.saturates else 1.0
    steps = np.arange(-_SHOWN_TO_EITHER_SIDE, _SHOWN_TO_EITHER_SIDE + 1)
    return update_function(held, state, end * steps / _SHOWN_TO_EITHER_SIDE)


def _conditions(mechanisms: Mechanisms, gradient: float) -> tuple[str, ...]:
    """What was assumed, and why."""
    survey, said = mechanisms.survey, []
    if gradient:
        said.append(
            "Near zero gradients its updates are out of proportion to the gradient, as where it "
            "divides by the gradient's size or looks at its sign; so it is looked at where its "
            f"state rests under a constant gradient of {gradient:.3g}."
        )
    if survey.dynamics.depends_on_time:
        also = [f"{time:,}" for time in survey.held[1:]]
        and_at = f", and at {' and '.join(also)} to see whether that agrees" if also else ""
        said.append(
            "What it does changes with the number of steps, whatever gradients are met; except for "
            f"the schedule, it is looked at with the time held at step {survey.time:,}{and_at}."
        )
    return tuple(said)


def _linear_response(
    held: Dynamics,
    points: FixedPoints,
    state: Float[np.ndarray, " state"] | None,
    gradient: float,
) -> LinearResponse | Inapplicable:
    """The response to a small change of one gradient, at the resting state."""
    if state is None:
        why = "grows for ever" if points.num_growing > points.num_wandering else "does not settle"
        return Inapplicable(
            f"Its state {why} under a constant gradient of {gradient:.3g}, so there is no "
            "fixed point to linearize it at."
        )
    linearization = linearize(held, state, gradient)
    try:
        return LinearResponse(linearization, momentum_modes(linearization))
    except ValueError as error:
        return Inapplicable(str(error))


def _adaptation(
    held: Dynamics,
    gradients: Float[ArrayLike, " gradients"] | None,
    start: Float[np.ndarray, " state"] | None,
) -> AdaptationCurve:
    """At the fixed points under constant gradients, or after some steps where there are none."""
    curve = adaptation_curve(held, gradients, start=start)
    if np.any(np.isfinite(curve.effective_learning_rate)):
        return curve
    return adaptation_curve(held, gradients, start=start, num_steps=PLAIN_STEPS)


def _state_space(
    dynamics: Dynamics,
    resting: Float[np.ndarray, " state"] | None,
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
    fixed_point = np.full(2, np.nan) if resting is None else components.project(resting)
    return StateSpace(
        components=components,
        trajectories=_in_plane(components.project(states[:, :_SHOWN_COORDINATES])),
        fixed_point=_in_plane(fixed_point),
        under_constant_gradients=_in_plane(components.project(adaptation.states)),
        gradients=adaptation.gradients,
    )


def _in_plane(projected: Float[np.ndarray, "*points components"]) -> Float[np.ndarray, "*points 2"]:
    """Two coordinates, also of a state that has only one."""
    missing = 2 - projected.shape[-1]
    return np.pad(projected, [(0, 0)] * (projected.ndim - 1) + [(0, missing)])
