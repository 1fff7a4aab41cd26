"""DB-MTL: dual balancing of losses and gradients."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from l2o.multiobjective.jacobian import Jacobian, combine, squared_norm
from l2o.optimizers import OptState

_OFFSET = 1e-8


class DBMTLState(NamedTuple):
    """Averages of the gradients of the losses' logarithms."""

    step: Int[Array, ""]
    averages: Jacobian


def db_mtl(
    num_objectives: int, *, decay: float = 0.9, decay_exponent: float = 0.5
) -> optax.GradientTransformationExtraArgs:
    """Averaged gradients of the losses' logarithms, all made as long as the longest and summed.

    At step k, counted from 1, averages move by `1 - decay / k^decay_exponent`. It keeps a gradient
    of every objective, and needs positive losses as Optax's extra argument `value`.

    Source: Lin et al. 2023, Dual-Balancing for Multi-Task Learning, algorithm 1.

    **Arguments:** `num_objectives`, m; `decay`, `decay_exponent`, of the averages.

    **Returns:** a transformation of stacked gradients, to be the first of a chain. Its `update`
    raises `ValueError` without `value`.
    """

    def init(params: PyTree) -> OptState:
        averages = jax.tree.map(
            lambda leaf: jnp.zeros((num_objectives, *leaf.shape), leaf.dtype), params
        )
        return DBMTLState(jnp.zeros((), jnp.int32), averages)

    def update(
        updates: Jacobian,
        state: OptState,
        params: PyTree | None = None,
        *,
        value: Float[Array, " m"] | None = None,
        **extra: Any,
    ) -> tuple[PyTree, OptState]:
        del params, extra
        if value is None:
            raise ValueError("DB-MTL needs the losses: pass value= to the optimizer's update.")
        kept = decay * (state.step + 1.0) ** -decay_exponent
        divisors = value + _OFFSET

        def average(old: Float[Array, "m ..."], new: Float[Array, "m ..."]) -> Array:
            logarithmic = new / divisors.reshape(-1, *[1] * (new.ndim - 1))
            return kept * old + (1 - kept) * logarithmic

        averages = jax.tree.map(average, state.averages, updates)
        norms = jnp.sqrt(jax.vmap(squared_norm)(averages))
        weights = jnp.max(norms) / (norms + _OFFSET)
        return combine(averages, weights), DBMTLState(state.step + 1, averages)

    return optax.GradientTransformationExtraArgs(init, update)
