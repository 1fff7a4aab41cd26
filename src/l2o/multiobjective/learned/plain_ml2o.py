"""ML2O as plainly as it can be told from the paper's abstract."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from l2o.gradients import as_jacobian
from l2o.multiobjective.learned.ml2o import LARGEST_NUM_OBJECTIVES, check_num_objectives
from l2o.optimizers import LearnedOptimizer, OptState, Updates, flatten, settings, unflatten
from l2o.optimizers.cells import LSTM
from l2o.optimizers.features import log_and_sign
from l2o.optimizers.layers import Linear, State
from l2o.optimizers.parameters import (
    check_count,
    check_gradients,
    check_parameters,
    dtype_of,
    with_dtype,
    with_dtypes_of,
    working_dtype,
)
from l2o.support.keys import check_key


class PlainML2OState(eqx.Module):
    """What the modules remember."""

    specific: tuple[State, ...]
    shared: State


class PlainML2O(LearnedOptimizer):
    """ML2O as the paper's abstract has it: an LSTM for each objective, and one over them.

    Coordinate by coordinate, `z_ij = LSTM_i(P(g_ij))`, `c_j = LSTM(z_1j, ..., z_mj)`,
    `d_j = output_scale (w c_j + b)`, with the logarithm and sign P of Andrychowicz et al. 2016.
    Modules have weights of their own, so the number of objectives and their order are fixed.

    Source: *Learning to optimize by multi-gradient for multi-objective optimization*, Yang, Yang
    and Tang. The abstract and a summary name shared and specific modules, LSTMs and the output, a
    direction; sizes, features and the way the modules are joined are our reading.

    **Arguments:**

    - `num_objectives`: Losses of the tasks.
    - `hidden_size`: Units of every module.
    - `steepness`: Orders of magnitude, base e, that the logarithm of the gradient resolves.
    - `output_scale`: Factor on the update.
    - `key`: Of the initial weights.

    **Raises:** `ValueError` for settings out of range.

    ```pycon
    >>> optimizer = l2o.multiobjective.PlainML2O(hidden_size=4, key=jax.random.key(0))
    >>> params, jacobian = jnp.zeros(3), jnp.ones((2, 3))
    >>> updates, state = optimizer.update(jacobian, optimizer.init(params), params)
    >>> updates.shape
    (3,)
    ```
    """

    specific: tuple[LSTM, ...]
    shared: LSTM
    readout: Linear
    hidden_size: int = eqx.field(static=True)
    steepness: float = eqx.field(static=True)
    output_scale: float = eqx.field(static=True)

    def __init__(
        self,
        num_objectives: int = 2,
        hidden_size: int = 20,
        steepness: float = 10.0,
        output_scale: float = 0.01,
        *,
        key: PRNGKeyArray,
    ) -> None:
        num_objectives = settings.size("num_objectives", num_objectives, LARGEST_NUM_OBJECTIVES)
        self.hidden_size = hidden_size = settings.size("hidden_size", hidden_size)
        self.steepness = settings.steepness("steepness", steepness)
        self.output_scale = settings.factor("output_scale", output_scale)
        check_key(key)
        shared_key, readout_key, *keys = jax.random.split(key, 2 + num_objectives)
        self.specific = tuple(LSTM(2, hidden_size, key=key) for key in keys)
        self.shared = LSTM(num_objectives * hidden_size, hidden_size, key=shared_key)
        self.readout = Linear(hidden_size, 1, key=readout_key)

    @property
    def num_objectives(self) -> int:
        """The number of specific modules."""
        return len(self.specific)

    @property
    def title(self) -> str:
        """The optimizer's name."""
        return "plain ML2O"

    def config(self) -> dict[str, Any]:
        """The constructor's keywords, without the key."""
        return {
            "num_objectives": self.num_objectives,
            "hidden_size": self.hidden_size,
            "steepness": self.steepness,
            "output_scale": self.output_scale,
        }

    def init(self, params: PyTree) -> PlainML2OState:
        """The state before the first step, in the wider precision of optimizer and parameters.

        **Raises:** `ValueError` for parameters that are no real floating-point numbers.
        """
        check_parameters(params)
        dtype = working_dtype(self, params)
        count = sum(jnp.size(leaf) for leaf in jax.tree.leaves(params))
        state = PlainML2OState(
            tuple(module.init_state(count) for module in self.specific),
            self.shared.init_state(count),
        )
        return with_dtype(state, dtype)

    def update(
        self,
        grads: PyTree,
        state: OptState,
        params: PyTree | None = None,
        *,
        value: Float[Array, "..."] | None = None,
        **extra: Any,
    ) -> tuple[Updates, PlainML2OState]:
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
        gradients = jax.vmap(flatten)(grads)
        check_count(jax.tree.leaves(state)[0].shape[1], gradients.shape[1])
        gradients = gradients.astype(dtype_of(state, gradients))
        ran = [
            module(log_and_sign(gradient, self.steepness), module_state)
            for module, gradient, module_state in zip(
                self.specific, gradients, state.specific, strict=True
            )
        ]
        joined = jnp.concatenate([outputs for outputs, _ in ran])
        shared, shared_state = self.shared(joined, state.shared)
        (direction,), _ = self.readout(shared, ())
        like = jax.tree.map(lambda leaf: leaf[0], grads)
        update = unflatten(self.output_scale * direction, like)
        new_state = PlainML2OState(tuple(specific for _, specific in ran), shared_state)
        return update, with_dtypes_of(new_state, state)
