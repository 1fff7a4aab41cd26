"""Where to start fitting a closed-form optimizer from."""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from l2o.mechanisms._update_function import update_function
from l2o.mechanisms.distillation.model import Model
from l2o.mechanisms.distillation.numbers import LARGEST_POWER, Form, Numbers
from l2o.mechanisms.dynamics import Dynamics, coordinate_dynamics
from l2o.mechanisms.linearization import linearize
from l2o.mechanisms.momentum import momentum_modes
from l2o.mechanisms.precision import in_double_precision
from l2o.optimizers import LearnedOptimizer

_FORMS = tuple(
    Form(after_momentum, corrected)
    for corrected in (False, True)
    for after_momentum in (False, True)
)
_BETAS = (0.9, 0.5, 0.0)
_LARGEST_BETA = 0.995
_DISTINCT = 0.03
_QUIET_STEPS = 500
# Times the gradients' root mean square: a threshold that changes nothing.
_OUT_OF_REACH = 1e8
# What `sigmoid` turns into one.
_ONE = 40.0


def starting_models(
    optimizer: LearnedOptimizer, gradients: Float[np.ndarray, "steps coordinates"], num_modes: int
) -> tuple[Model, ...]:
    """Models with all mechanisms, in every form, with little and with much adaptation.

    **Arguments:** `optimizer`, whose analyses give the first guess of momentum and saturation;
    `gradients`, which say what sizes matter; `num_modes`, of momentum.
    """
    sizes = np.abs(gradients[gradients != 0])
    unit, median = float(np.sqrt(np.mean(sizes**2))), float(np.median(sizes))
    betas, threshold = _guess(coordinate_dynamics(optimizer), num_modes)
    threshold = 3 * unit if threshold is None else threshold
    far = 10 * float(np.max(sizes))
    guesses = (
        _numbers(unit, betas, threshold=threshold, scale=median, power=0.1),
        _numbers(unit, betas, threshold=far, scale=median, power=0.7),
        _numbers(unit, betas, threshold=far, scale=1e-3 * median, power=0.9, decay=0.99),
    )
    idle = _numbers(unit, (0.0,) * num_modes, _OUT_OF_REACH * unit, unit, power=0.0, share=_ONE)
    return tuple(Model.of(guess, idle, form) for form in _FORMS for guess in guesses)


def _numbers(
    unit: float,
    betas: tuple[float, ...],
    threshold: float,
    scale: float,
    power: float,
    decay: float = 0.9,
    share: float = 1.5,
) -> Numbers:
    """Numbers to start from; learning rates are zero until they are fitted.

    **Arguments:** `share`, what `sigmoid` turns into the smallest factor of the schedule.
    """
    return Numbers(
        threshold=math.log(threshold),
        average_decay=math.log(decay / (1 - decay)),
        scale=math.log(scale),
        power=math.atanh(power / LARGEST_POWER),
        betas=tuple(math.atanh(beta) for beta in betas),
        alphas=(0.0,) * len(betas),
        warm_up_start=share,
        warm_up_time=math.log(10.0),
        decay_final=share,
        decay_time=math.log(50.0),
        decay_shape=0.0,
        offset=0.0,
        unit=unit,
    )


@in_double_precision
def _guess(dynamics: Dynamics, num_modes: int) -> tuple[tuple[float, ...], float | None]:
    """The betas of the strongest modes, filled up with customary ones; the threshold, if any."""
    at_rest = _at_rest(dynamics)
    saturation = update_function(dynamics, at_rest).saturation
    try:
        modes = momentum_modes(linearize(dynamics, at_rest))
    except ValueError:
        modes = ()
    betas: list[float] = []
    for beta in (*(mode.beta.real for mode in modes), *_BETAS, *np.linspace(0.8, -0.8, num_modes)):
        beta = min(float(beta), _LARGEST_BETA)
        if all(abs(beta - other) > _DISTINCT for other in betas):
            betas.append(beta)
    usable = saturation.saturates and 0 < saturation.threshold < math.inf
    return tuple(betas[:num_modes]), saturation.threshold if usable else None


@eqx.filter_jit
def _at_rest(dynamics: Dynamics) -> Float[Array, " state"]:
    """The state after many steps without a gradient."""
    return dynamics.run(jnp.zeros(_QUIET_STEPS))[1][-1]
