"""ML2O: a learned optimizer that takes the gradients of any number of objectives."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from l2o.gradients import Gramian, as_jacobian, combine, gramian, num_objectives
from l2o.multiobjective.programs.min_norm import min_norm_weights
from l2o.multiobjective.programs.turns import in_turn
from l2o.multiobjective.weightings.upgrad import upgrad
from l2o.optimizers import LearnedOptimizer, OptState, Updates, flatten, settings, unflatten
from l2o.optimizers.cells import LSTM
from l2o.optimizers.features import Moments, adam_features, log_and_sign
from l2o.optimizers.layers import Linear
from l2o.optimizers.parameters import (
    bounded,
    check_count,
    check_gradients,
    check_parameters,
    with_dtype,
    with_dtypes_of,
    working_dtype,
)
from l2o.support.keys import check_key

LARGEST_NUM_OBJECTIVES = 1024
"""Each is a row of every Gramian, and in `PlainML2O` a module of its own."""

_STEEPNESS = 10.0
"""Powers of e that logarithms of gradients resolve, for numbers near one."""


class ML2OState(eqx.Module):
    """What ML2O keeps from step to step."""

    step: Int[Array, ""]
    mean_squares: Float[Array, " m"]
    """Of every objective's gradient, over coordinates and steps."""
    first_mean_squares: Float[Array, " m"]
    """The same at the first step."""
    objective_moments: Moments
    """Of the gradients of all objectives, (m d)."""
    moments: Moments
    """Of the aggregated gradient, (d)."""
    specific: PyTree[Float[Array, "hidden objectives_and_coordinates"]]
    shared: PyTree[Float[Array, "hidden d"]]


class ML2O(LearnedOptimizer):
    """ML2O: modules for each objective and one that they share, for tasks with several losses.

    With the gradients `g_i` in units of their root mean square so far, UPGrad's combination A of
    them and its Adam direction `a`, the update of coordinate j is

        -step (exp(gamma_j) a_j + r_j + mean_i rho_ij a_ij)

    where `a_ij` is Adam's direction for objective i alone. The specific module, an LSTM with the
    same weights for all objectives, sees at (i, j) Adam's direction, the scaled gradient, its
    logarithm and sign, and of objective i the cosine with A, the weight in MGDA, and how its
    gradient has grown or shrunk; `rho_ij` is a read-out of it. The shared module, another LSTM,
    sees the mean of the specific ones over objectives, and A; `gamma_j` and `r_j` are read out of
    it. All read-outs begin at zero, where ML2O is Adam after UPGrad. The step is learned too.

    It takes any number of objectives and parameters, does not depend on the objectives' order,
    and is not changed by positive factors on any of them, as long as gradients stay between 1e-15
    and 1e15 in magnitude; larger numbers count as 1e15, so that their squares stay finite.

    Source: the shared module and the specific modules, LSTMs from multi-gradients to a direction,
    are those of *Learning to optimize by multi-gradient for multi-objective optimization*, Yang,
    Yang and Tang, of which the abstract alone was at hand. All else is ours; `PlainML2O` keeps
    closer to what is known.

    **Arguments:**

    - `num_objectives`: Losses of the tasks; meta-parameters do not depend on it (`for_objectives`).
    - `hidden_size`: Units of both modules.
    - `decay`: Decay rate of all moment averages.
    - `initial_step`: Size of the first updates before meta-training.
    - `key`: Of the initial weights.

    **Raises:** `ValueError` for settings out of range.

    ```pycon
    >>> optimizer = l2o.multiobjective.ML2O(hidden_size=4, key=jax.random.key(0))
    >>> params, jacobian, losses = jnp.zeros(3), jnp.ones((2, 3)), jnp.ones(2)
    >>> state = optimizer.init(params)
    >>> updates, state = optimizer.update(jacobian, state, params, value=losses)
    >>> updates.shape
    (3,)
    ```
    """

    specific: LSTM
    specific_readout: Linear
    shared: LSTM
    shared_readout: Linear
    log_step: Float[Array, ""]
    num_objectives: int = eqx.field(static=True)
    hidden_size: int = eqx.field(static=True)
    decay: float = eqx.field(static=True)
    initial_step: float = eqx.field(static=True)

    def __init__(
        self,
        num_objectives: int = 2,
        hidden_size: int = 16,
        decay: float = 0.95,
        initial_step: float = 0.01,
        *,
        key: PRNGKeyArray,
    ) -> None:
        self.num_objectives = settings.size(
            "num_objectives", num_objectives, LARGEST_NUM_OBJECTIVES
        )
        self.hidden_size = hidden_size = settings.size("hidden_size", hidden_size)
        self.decay = settings.decay("decay", decay)
        self.initial_step = initial_step = settings.factor("initial_step", initial_step)
        check_key(key)
        specific_key, shared_key, readout_key = jax.random.split(key, 3)
        self.specific = LSTM(8, hidden_size, key=specific_key)
        self.specific_readout = _zeros(Linear(hidden_size, 1, key=readout_key))
        self.shared = LSTM(hidden_size + 4, hidden_size, key=shared_key)
        self.shared_readout = _zeros(Linear(hidden_size, 2, key=readout_key))
        self.log_step = jnp.log(jnp.asarray(initial_step, float))

    def config(self) -> dict[str, Any]:
        """The constructor's keywords, without the key."""
        return {
            "num_objectives": self.num_objectives,
            "hidden_size": self.hidden_size,
            "decay": self.decay,
            "initial_step": self.initial_step,
        }

    def for_objectives(self, num_objectives: int) -> "ML2O":
        """The same optimizer for another number of objectives.

        **Raises:** `ValueError` for a number below 1.
        """
        arguments = self.config() | {"num_objectives": num_objectives}
        skeleton = eqx.filter_eval_shape(ML2O, **arguments, key=jax.random.key(0))
        return jax.tree.unflatten(jax.tree.structure(skeleton), jax.tree.leaves(self))

    def init(self, params: PyTree) -> ML2OState:
        """The state before the first step, in the wider precision of optimizer and parameters.

        **Raises:** `ValueError` for parameters that are no real floating-point numbers.
        """
        check_parameters(params)
        dtype = working_dtype(self, params)
        m = self.num_objectives
        d = sum(jnp.size(leaf) for leaf in jax.tree.leaves(params))

        def moments(count: int) -> Moments:
            return Moments(jnp.zeros(count, dtype), jnp.zeros(count, dtype))

        return ML2OState(
            step=jnp.zeros((), jnp.int32),
            mean_squares=jnp.zeros(m, dtype),
            first_mean_squares=jnp.zeros(m, dtype),
            objective_moments=moments(m * d),
            moments=moments(d),
            specific=with_dtype(self.specific.init_state(m * d), dtype),
            shared=with_dtype(self.shared.init_state(d), dtype),
        )

    def update(
        self,
        grads: PyTree,
        state: OptState,
        params: PyTree | None = None,
        *,
        value: Float[Array, "..."] | None = None,
        **extra: Any,
    ) -> tuple[Updates, ML2OState]:
        """One step; only gradients are looked at.

        **Arguments:** `grads`, of all objectives, stacked along the leading axis of every leaf, or
        `Gradients`.

        **Raises:** `ValueError` for gradients of another number of objectives, that are no real
        floating-point numbers, or of other shapes than the parameters.
        """
        del value, extra
        grads = as_jacobian(grads)
        check_num_objectives(grads, self.num_objectives)
        check_gradients(grads, params, self.num_objectives)
        gradients = bounded(jax.vmap(flatten)(grads).astype(state.mean_squares.dtype))
        m, d = gradients.shape
        check_count(state.moments.first.size, d)
        squares = jnp.mean(gradients**2, axis=1)
        mean_squares = state.mean_squares + (squares - state.mean_squares) / (state.step + 1)
        first = jnp.where(state.step == 0, squares, state.first_mean_squares)
        gradients = gradients * _inverse_root(mean_squares)[:, None]
        products = gramian(gradients)
        aggregated = combine(gradients, upgrad(products))

        def adam(
            gradient: Float[Array, " coordinates"], moments: Moments
        ) -> tuple[Float[Array, "2 coordinates"], Moments]:
            return adam_features(gradient, moments, state.step, self.decay)

        own, objective_moments = adam(gradients.reshape(-1), state.objective_moments)
        together, moments = adam(aggregated, state.moments)
        of_objective = _gramian_features(
            products, gradients, aggregated, squares, mean_squares, first
        )
        specific_inputs = jnp.concatenate(
            [
                own,
                log_and_sign(gradients.reshape(-1), _STEEPNESS),
                jnp.repeat(of_objective, d, axis=1),
            ]
        )
        specific, specific_state = self.specific(specific_inputs, state.specific)
        pooled = jnp.mean(specific.reshape(-1, m, d), axis=1)
        direction = aggregated * _inverse_root(jnp.mean(aggregated**2))
        shared_inputs = jnp.concatenate([pooled, together, log_and_sign(direction, _STEEPNESS)])
        shared, shared_state = self.shared(shared_inputs, state.shared)
        (coefficients,), _ = self.specific_readout(specific, ())
        (growth, residual), _ = self.shared_readout(shared, ())
        each = jnp.mean((coefficients * own[0]).reshape(m, d), axis=0)
        update = -jnp.exp(self.log_step) * (jnp.exp(growth) * together[0] + residual + each)
        like = jax.tree.map(lambda leaf: leaf[0], grads)
        new_state = ML2OState(
            state.step + 1,
            mean_squares,
            first,
            objective_moments,
            moments,
            specific_state,
            shared_state,
        )
        return unflatten(update, like), with_dtypes_of(new_state, state)


def check_num_objectives(grads: PyTree, expected: int) -> None:
    """Makes sure of the number of objectives.

    **Raises:** `ValueError` for stacked gradients of another number.
    """
    check_gradients(grads, None)
    found = num_objectives(grads)
    if found != expected:
        raise ValueError(
            f"The optimizer was made for {expected} objectives, got gradients of {found}."
        )


def _gramian_features(
    products: Gramian,
    gradients: Float[Array, "m d"],
    aggregated: Float[Array, " d"],
    squares: Float[Array, " m"],
    mean_squares: Float[Array, " m"],
    first: Float[Array, " m"],
) -> Float[Array, "4 m"]:
    """What there is to say of each objective, whatever its scale."""
    lengths = _inverse_root(products.norms**2) * _inverse_root(jnp.sum(aggregated**2))
    cosines = (gradients @ aggregated) * lengths
    # After the aggregation, on which the features depend anyway.
    products = in_turn(products, ~jnp.all(jnp.isfinite(aggregated)))
    weights = len(products) * min_norm_weights(products) - 1.0
    return jnp.stack(
        [cosines, weights, _log_ratio(squares, mean_squares), _log_ratio(squares, first)]
    )


def _log_ratio(square: Float[Array, " m"], reference: Float[Array, " m"]) -> Float[Array, " m"]:
    """The logarithm of a ratio of norms, in units of the steepness; 0 where either is zero."""
    positive = (square > 0.0) & (reference > 0.0)
    ratio = jnp.where(positive, square, 1.0) / jnp.where(positive, reference, 1.0)
    return jnp.clip(jnp.log(ratio) / (2 * _STEEPNESS), -1.0, 1.0)


def _inverse_root(square: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`1 / sqrt(square)`, and 0 where that is infinite."""
    positive = square > 0.0
    return jnp.where(positive, jax.lax.rsqrt(jnp.where(positive, square, 1.0)), 0.0)


def _zeros(layer: Linear) -> Linear:
    return jax.tree.map(jnp.zeros_like, layer)
