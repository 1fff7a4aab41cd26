"""How one meta-trained optimizer works: all analyses of the paper, as numbers."""

import math
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float, PRNGKeyArray

from l2o.mechanisms import (
    Dynamics,
    FixedPoints,
    GradientRecord,
    Linearization,
    Mode,
    PrincipalComponents,
    adaptation_curve,
    autonomous_schedule,
    coordinate_dynamics,
    find_fixed_points,
    linearize,
    momentum_modes,
    principal_components,
    record_gradients,
    update_function,
    visited_states,
)
from l2o.optimizers import LearnedOptimizer
from l2o.report.plain import plain
from l2o.studies.reverse_engineering.fitted_momentum import fit_momentum
from l2o.studies.reverse_engineering.profiles import Ranges, TaskStudy
from l2o.studies.reverse_engineering.rows import (
    Adaptation,
    Clipping,
    Mechanisms,
    Momentum,
    Schedule,
    StateSpace,
)

_NUM_TASKS = 32
_MAX_COORDINATES = 160
_POINTS = 101
_BINS = 60
_ARROWS = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""Where on the line of late states the update function is shown, as shares of how far they go."""

_PLOTTED_STATES = 300
_IMPULSE_STEPS = 200


@dataclass(frozen=True)
class _Subject:
    """An optimizer with what all analyses of it need."""

    dynamics: Dynamics
    record: GradientRecord
    states: Float[np.ndarray, "steps coordinates state"]
    components: PrincipalComponents


def analyse(
    optimizer: LearnedOptimizer, seed: int, study: TaskStudy, key: PRNGKeyArray
) -> Mechanisms:
    """Looks for every mechanism of the paper in an optimizer.

    **Arguments:** `optimizer`, meta-trained; `seed`, of its meta-training; `study`, for the tasks
    on which gradients and states are recorded and the gradients to look at; `key`, of those tasks.

    **Returns:** `state_space`, `momentum`, `clipping`, `schedule` and `adaptation`, in what JSON
    knows.
    """
    dynamics = coordinate_dynamics(optimizer)
    record = record_gradients(
        optimizer,
        study.family("test"),
        key=key,
        num_tasks=_NUM_TASKS,
        num_steps=study.recipe.evaluation.num_steps,
        max_coordinates=_MAX_COORDINATES,
    )
    states = visited_states(dynamics, record)
    subject = _Subject(dynamics, record, states, principal_components(states))
    fixed_points = find_fixed_points(dynamics)
    resting_state = _resting_state(subject, fixed_points)
    linearization = linearize(dynamics, resting_state)
    return {
        "seed": seed,
        "state_space": _state_space(subject),
        "momentum": _momentum(subject, fixed_points, linearization, study.ranges),
        "clipping": _clipping(subject, study.ranges),
        "schedule": _schedule(subject, study.recipe.evaluation.num_steps),
        "adaptation": _adaptation(subject, resting_state, study.ranges),
    }


def _resting_state(subject: _Subject, fixed_points: FixedPoints) -> Float[np.ndarray, " state"]:
    """The fixed point at zero gradient that attracts most starts.

    Where none attracts, the state that the optimizer gets to by itself.
    """
    attracting = fixed_points.states[fixed_points.attracting]
    if len(attracting):
        return attracting[0]
    return autonomous_schedule(subject.dynamics, 10_000).states[-1]


def _state_space(subject: _Subject) -> StateSpace:
    """How many dimensions the visited states fill, and how they contract along a run."""
    finite = subject.states[:, np.all(np.isfinite(subject.states), axis=(0, 2))]
    sample = finite[:: max(1, len(finite) // 50), : _PLOTTED_STATES // 50].reshape(
        -1, finite.shape[-1]
    )
    explained = np.cumsum(subject.components.variance_explained)
    return plain(
        {
            "variance_explained": subject.components.variance_explained[:6],
            "components_for_95_percent": int(np.searchsorted(explained, 0.95)) + 1,
            "variance_by_iteration": np.var(finite, axis=1).sum(axis=-1),
            "projected_states": subject.components.project(sample),
        }
    )


def _momentum(
    subject: _Subject,
    fixed_points: FixedPoints,
    linearization: Linearization,
    ranges: Ranges,
) -> Momentum:
    """The modes at the resting state, and the update function along a line through it."""
    modes = momentum_modes(linearization)
    remembering = [mode for mode in modes if mode.remembers]
    fitted = fit_momentum(linearization.impulse_response(_IMPULSE_STEPS))
    direction, extent = _line_of_late_states(subject, linearization.state)
    gradients = np.linspace(-ranges.near, ranges.near, _POINTS)
    arrows = []
    for share in _ARROWS:
        state = linearization.state + share * extent * direction
        function = update_function(subject.dynamics, state, gradients)
        arrows.append(
            {
                "projected_state": subject.components.project(state),
                "offset": function.offset,
                "effective_learning_rate": function.effective_learning_rate,
                "gradients": gradients,
                "updates": function.updates,
            }
        )
    return plain(
        {
            "num_fixed_points": len(fixed_points.states),
            "num_attracting": int(np.sum(fixed_points.attracting)),
            "fixed_point_residual": linearization.residual,
            "update_at_rest": linearization.update,
            "effective_learning_rate": linearization.effective_learning_rate,
            "eigenvalues": _complex(linearization.eigenvalues),
            "modes": [_mode(mode) for mode in modes],
            "largest_alpha": _mode(max(remembering, key=lambda mode: mode.alpha.real))
            if remembering
            else None,
            "slowest": _mode(max(remembering, key=lambda mode: mode.time_constant))
            if remembering
            else None,
            "fitted": asdict(fitted),
            "present": fitted.is_momentum,
            "arrows": arrows,
            "projected_resting_state": subject.components.project(linearization.state),
        }
    )


def _line_of_late_states(
    subject: _Subject, resting_state: Float[np.ndarray, " state"]
) -> tuple[Float[np.ndarray, " state"], float]:
    """The direction along which states lie around the resting state, and how far they go.

    Taken from the second half of all runs, when states are near convergence.
    """
    late = subject.states[len(subject.states) // 2 :].reshape(-1, resting_state.size)
    deviations = late[np.all(np.isfinite(late), axis=1)] - resting_state
    direction = np.linalg.eigh(deviations.T @ deviations)[1][:, -1]
    return direction, float(np.quantile(np.abs(deviations @ direction), 0.98))


def _mode(mode: Mode) -> dict[str, list[float] | float]:
    return {
        "beta": [mode.beta.real, mode.beta.imag],
        "alpha": [mode.alpha.real, mode.alpha.imag],
        "time_constant": mode.time_constant,
        "num_eigenvalues": mode.num_eigenvalues,
    }


def _complex(values: np.ndarray) -> list[list[float]]:
    return [[float(value.real), float(value.imag)] for value in values]


def _clipping(subject: _Subject, ranges: Ranges) -> Clipping:
    """The update function at the initial state, and the gradients that it is used on."""
    gradients = np.linspace(-ranges.far, ranges.far, 2 * _POINTS - 1)
    function = update_function(subject.dynamics, None, gradients)
    saturation = function.saturation
    met = subject.record.gradients[np.isfinite(subject.record.gradients)]
    density, edges = np.histogram(met, _BINS, (-ranges.far, ranges.far), density=True)
    beyond = float(np.mean(np.abs(met) > saturation.half_height)) if saturation.saturates else 0.0
    return plain(
        {
            "gradients": gradients,
            "updates": function.updates,
            "effective_learning_rate": function.effective_learning_rate,
            "saturates": saturation.saturates,
            "threshold": saturation.threshold,
            "half_height": saturation.half_height,
            "plateau": saturation.plateau,
            "density": {"edges": edges, "density": density},
            "share_of_gradients_beyond_half_height": beyond,
            "gradient_quantiles": {
                str(share): np.quantile(np.abs(met), share) for share in (0.5, 0.9, 0.99, 1.0)
            },
        }
    )


def _schedule(subject: _Subject, num_steps: int) -> Schedule:
    """The effective learning rate when no gradient is met, and how it rises and falls."""
    schedule = autonomous_schedule(subject.dynamics, num_steps + 1)
    rates = schedule.effective_learning_rate
    peak = int(np.argmax(rates))
    carrying = schedule.carrying_mode
    return plain(
        {
            "effective_learning_rate": rates,
            "present": schedule.present,
            "peak_step": peak,
            "rise": rates[peak] / rates[0],
            "fall": rates[-1] / rates[peak],
            "carrying_mode": None
            if carrying is None
            else {
                "beta": [carrying.beta.real, carrying.beta.imag],
                "time_constant": carrying.time_constant,
                "share": carrying.share,
            },
            "projected_states": subject.components.project(schedule.states),
        }
    )


def _adaptation(
    subject: _Subject, resting_state: Float[np.ndarray, " state"], ranges: Ranges
) -> Adaptation:
    """Fixed points under constant gradients, and the update functions there."""
    arm = np.logspace(*ranges.log10_constant, ranges.num_constant)
    curve = adaptation_curve(
        subject.dynamics, np.concatenate([-arm[::-1], arm]), start=resting_state
    )
    gradients = np.linspace(-ranges.far, ranges.far, _POINTS)
    arrows = []
    for index in (0, ranges.num_constant // 2, -1 - ranges.num_constant // 2, -1):
        function = update_function(subject.dynamics, curve.states[index], gradients)
        arrows.append(
            {
                "gradient": curve.gradients[index],
                "projected_state": subject.components.project(curve.states[index]),
                "gradients": gradients,
                "updates_without_offset": function.updates - function.offset,
            }
        )
    finite = curve.effective_learning_rate[np.isfinite(curve.effective_learning_rate)]
    ratio = float(np.max(finite) / np.min(finite)) if finite.size else math.nan
    return plain(
        {
            "gradients": curve.gradients,
            "effective_learning_rate": curve.effective_learning_rate,
            "residuals": curve.residuals,
            "present": curve.present,
            "largest_over_smallest": ratio,
            "projected_states": subject.components.project(curve.states),
            "arrows": arrows,
        }
    )
