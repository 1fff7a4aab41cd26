"""DB-MTL: dual balancing of losses and gradients."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from l2o.gradients import Gradients, Jacobian, as_jacobian, combine, gradient_norms
from l2o.multiobjective.presence import keep_absent, present_gradients
from l2o.optimizers import OptState
from l2o.support.checks import check_integer, check_number


class DBMTLState(NamedTuple):
    """Averages of the gradients of the losses' logarithms."""

    step: Int[Array, ""]
    averages: Jacobian


def db_mtl(
    num_objectives: int, *, decay: float = 0.9, decay_exponent: float = 0.5
) -> optax.GradientTransformationExtraArgs:
    """Averaged gradients of the losses' logarithms, all made as long as the longest and summed.

    At step k, counted from 1, averages move by `1 - decay / k^decay_exponent`. It keeps a gradient
    of every objective, and needs the losses as Optax's extra argument `value`. An objective whose
    loss is not positive, or whose gradient is zero or not finite, is left out of that step.

    Source: Lin et al. 2023, Dual-Balancing for Multi-Task Learning, algorithm 1.

    **Arguments:** `num_objectives`, m; `decay`, `decay_exponent`, of the averages.

    **Returns:** a transformation of stacked gradients, to be the first of a chain.

    **Raises:** `ValueError` for numbers out of their range; its `update` without `value`, or for
    another number of objectives.

    ```pycon
    >>> descent = l2o.multiobjective.db_mtl(2)
    >>> jacobian = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    >>> descent.update(jacobian, descent.init(jnp.zeros(2)), value=jnp.array([1.0, 1.0]))[0].shape
    (2,)
    ```
    """
    check_integer("num_objectives", num_objectives, least=1)
    check_number("decay", decay, least=0, most=1)
    check_number("decay_exponent", decay_exponent, least=0)

    def init(params: PyTree) -> OptState:
        averages = jax.tree.map(
            lambda leaf: jnp.zeros((num_objectives, *leaf.shape), leaf.dtype), params
        )
        return DBMTLState(jnp.zeros((), jnp.int32), averages)

    def update(
        updates: Jacobian | Gradients,
        state: OptState,
        params: PyTree | None = None,
        *,
        value: Float[Array, " m"] | None = None,
        **extra: Any,
    ) -> tuple[PyTree, OptState]:
        del params, extra
        if value is None:
            raise ValueError("DB-MTL needs the losses: pass value= to the optimizer's update.")
        value = jnp.asarray(value)
        if value.shape != (num_objectives,):
            raise ValueError(f"DB-MTL needs {num_objectives} losses, got shape {value.shape}.")
        jacobian = as_jacobian(updates)
        present = present_gradients(jacobian, num_objectives)
        present &= jnp.isfinite(value) & (value > 0.0)
        kept = decay * (state.step + 1.0) ** -decay_exponent
        divisors = jnp.where(present, value, 1.0)

        def average(old: Float[Array, "m ..."], new: Float[Array, "m ..."]) -> Array:
            logarithmic = new / divisors.reshape(-1, *[1] * (new.ndim - 1))
            return kept * old + (1 - kept) * logarithmic

        averages = jax.tree.map(average, state.averages, jacobian)
        averages = keep_absent(averages, state.averages, present)
        norms = jnp.where(present, gradient_norms(averages), 0.0)
        weights = jnp.where(norms > 0.0, jnp.max(norms) / jnp.where(norms > 0.0, norms, 1.0), 0.0)
        kept_state = keep_absent(DBMTLState(state.step + 1, averages), state, present)
        return combine(averages, weights), kept_state

    return optax.GradientTransformationExtraArgs(init, update)
