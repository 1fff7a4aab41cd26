"""Fitting a closed-form optimizer to the updates that another one made."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from l2o.mechanisms.distillation.model import Model
from l2o.mechanisms.distillation.numbers import Form, Numbers, linear
from l2o.mechanisms.distillation.optimizer import DistilledOptimizer
from l2o.mechanisms.precision import in_double_precision, to_double

# Errors are in units of the updates; larger ones only say that numbers are out of range.
_LARGEST_ERROR = 1e6
# Alphas that bring about updates of their usual size cost this much of the updates' mean square;
# pairs of huge ones, which cancel and which nobody could read, cost more than they explain.
_PENALTY = 1e-7


class Data(NamedTuple):
    """Gradients that were met and updates that were made, all finite."""

    gradients: Float[np.ndarray, "steps coordinates"]
    updates: Float[np.ndarray, "steps coordinates"]


def replay(
    optimizer: DistilledOptimizer, gradients: Float[Array, "steps coordinates"]
) -> Float[Array, "steps coordinates"]:
    """The updates that an optimizer makes when it meets these gradients, from its first step on."""

    def step(state: Any, inputs: Any) -> Any:
        index, gradient = inputs
        update, state = optimizer.step(gradient, state, index)
        return state, update

    num_steps, count = gradients.shape
    start = optimizer.init_coordinates(count)
    return jax.lax.scan(step, start, (jnp.arange(num_steps), gradients))[1]


@in_double_precision
def fit(model: Model, data: Data, max_evaluations: int) -> tuple[Model, float]:
    """Moves the free numbers of a model to where the squared errors of its updates are least.

    The Levenberg-Marquardt method, teacher-forced: the model meets the recorded gradients,
    whatever its own updates would have led to. Alphas and the offset, in which updates are linear,
    first go to their best values for the rest. Large alphas are penalized, a little.

    **Arguments:** `model`; `data`, to fit; `max_evaluations`, of the model's updates.

    **Returns:** the model, and the mean squared error over the mean square of the updates.
    """
    vector, unravel = ravel_pytree(to_double(model.numbers))
    start = np.array(vector)
    free = np.flatnonzero(ravel_pytree(model.free)[0])
    constants = _constants(model, data)

    def numbers(values: Float[np.ndarray, " free"]) -> Numbers:
        whole = start.copy()
        whole[free] = values
        return unravel(jnp.asarray(whole))

    def errors(values: Float[np.ndarray, " free"]) -> Float[np.ndarray, " errors"]:
        return np.asarray(_penalized_errors(numbers(values), *constants))

    def slopes(values: Float[np.ndarray, " free"]) -> Float[np.ndarray, "errors free"]:
        return np.asarray(_slopes(numbers(values), *constants))[free].T

    first = start[free]
    is_linear = np.isin(free, np.flatnonzero(ravel_pytree(linear(model.numbers))[0]))
    move, *_ = np.linalg.lstsq(slopes(first)[:, is_linear], errors(first), rcond=1e-10)
    first[is_linear] -= move
    solution = scipy.optimize.least_squares(
        errors,
        first,
        slopes,  # pyright: ignore[reportArgumentType] (its annotation forgets functions)
        method="lm",
        x_scale="jac",
        max_nfev=max_evaluations,
    )
    fitted = Model(numbers(solution.x), model.idle, model.free, model.form)
    return fitted, float(np.mean(solution.fun[: data.updates.size] ** 2))


@in_double_precision
def variance_explained(model: Model, data: Data) -> float:
    """The share of the variance of updates that those of a model explain: R^2."""
    errors = np.asarray(_errors(to_double(model.numbers), *_constants(model, data)))
    scaled = data.updates / _scale(data)
    return float(1 - np.sum(errors**2) / np.sum((scaled - np.mean(scaled)) ** 2))


@in_double_precision
def updates_of(model: Model, data: Data) -> Float[np.ndarray, "steps coordinates"]:
    """The updates that a model makes when it meets the gradients."""
    errors = np.asarray(_errors(to_double(model.numbers), *_constants(model, data)))
    return data.updates + _scale(data) * errors.reshape(data.updates.shape)


def _scale(data: Data) -> float:
    return float(np.sqrt(np.mean(data.updates**2)))


def _constants(model: Model, data: Data) -> tuple[Form, Array, Array, Array]:
    """What errors depend on besides the numbers."""
    form = Form(*map(jnp.asarray, model.form))
    return form, jnp.asarray(data.gradients), jnp.asarray(data.updates), jnp.asarray(_scale(data))


def _raw_errors(
    numbers: Numbers, form: Form, gradients: Array, updates: Array, scale: Array
) -> Float[Array, " errors"]:
    return jnp.ravel(replay(numbers.build(form), gradients) - updates) / scale


@eqx.filter_jit
def _errors(numbers: Numbers, *constants: Any) -> Float[Array, " errors"]:
    return _bounded(_raw_errors(numbers, *constants))


def _penalized(
    numbers: Numbers, form: Form, gradients: Array, updates: Array, scale: Array
) -> Float[Array, " errors_and_alphas"]:
    sizes = jnp.stack(numbers.alphas) * numbers.unit / scale
    penalty = jnp.sqrt(_PENALTY * updates.size) * sizes
    return jnp.concatenate([_raw_errors(numbers, form, gradients, updates, scale), penalty])


@eqx.filter_jit
def _penalized_errors(numbers: Numbers, *constants: Any) -> Float[Array, " errors_and_alphas"]:
    return _bounded(_penalized(numbers, *constants))


@eqx.filter_jit
def _slopes(numbers: Numbers, *constants: Any) -> Float[Array, "numbers errors"]:
    """The derivatives of the penalized errors, with the numbers along the first axis."""
    vector, unravel = ravel_pytree(numbers)

    def along(direction: Float[Array, " numbers"]) -> Float[Array, " errors"]:
        def function(vector: Float[Array, " numbers"]) -> Float[Array, " errors"]:
            return _penalized(unravel(vector), *constants)

        return jax.jvp(function, (vector,), (direction,))[1]

    return _bounded(jax.vmap(along)(jnp.eye(vector.size)))


def _bounded(values: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    return jnp.clip(jnp.nan_to_num(values, nan=_LARGEST_ERROR), -_LARGEST_ERROR, _LARGEST_ERROR)
