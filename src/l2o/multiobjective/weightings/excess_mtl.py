"""ExcessMTL: weights by how far losses are from what they can reach."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from l2o.multiobjective.jacobian import Jacobian, combine
from l2o.optimizers import OptState

_OFFSET = 1e-7


class ExcessMTLState(NamedTuple):
    """Sums of squared gradients, logarithms of the weights, and the first excess risks' mean."""

    step: Int[Array, ""]
    squares: Jacobian
    log_weights: Float[Array, " m"]
    first_excesses: Float[Array, " m"]


def excess_mtl(
    num_objectives: int, *, step_size: float = 1.0, num_first_steps: int = 1
) -> optax.GradientTransformationExtraArgs:
    """More and more weight for objectives that are far from their own minimum.

    The excess of loss i over its minimum is estimated as `E_i = sum_k g_ik^2 / sqrt(S_ik)`, S the
    sum of the squared gradients of all steps, and the weights, which sum to 1, are multiplied by
    `exp(step_size E_i / E_i0)` at every step. `E_i0` is the mean of E_i over the first steps, in
    which weights are `1 / m`. It keeps squares of a gradient of every objective.

    Source: He et al. 2024, Robust Multi-Task Learning with Excess Risks, equations 6, 7 and 9. Its
    public code, and TorchJD's default, instead multiply by `exp(step_size E_i0)` in the first step.

    **Arguments:** `num_objectives`, m; `step_size`, of the weights; `num_first_steps`, at least 1;
    the paper takes those of three epochs.

    **Returns:** a transformation of stacked gradients, to be the first of a chain.

    **Raises:** `ValueError` if there is no first step.
    """
    if num_first_steps < 1:
        raise ValueError(f"There must be at least 1 first step, got {num_first_steps}.")

    def init(params: PyTree) -> OptState:
        zeros = jnp.zeros(num_objectives)
        return ExcessMTLState(
            jnp.zeros((), jnp.int32),
            jax.tree.map(lambda leaf: jnp.zeros((num_objectives, *leaf.shape), leaf.dtype), params),
            zeros - jnp.log(num_objectives),
            zeros,
        )

    def update(
        updates: Jacobian, state: OptState, params: PyTree | None = None, **extra: Any
    ) -> tuple[PyTree, OptState]:
        del params, extra
        squares = jax.tree.map(lambda s, g: s + g**2, state.squares, updates)

        def excess_of(g: Float[Array, "m ..."], s: Float[Array, "m ..."]) -> Float[Array, " m"]:
            ratios = jnp.where(s > 0.0, g**2 / jnp.sqrt(jnp.where(s > 0.0, s, 1.0)), 0.0)
            return jnp.sum(ratios.reshape(num_objectives, -1), axis=1)

        excesses = sum(
            jax.tree.leaves(jax.tree.map(excess_of, updates, squares)),
            start=jnp.zeros(num_objectives),
        )
        is_first = state.step < num_first_steps
        first = state.first_excesses + jnp.where(is_first, excesses / num_first_steps, 0.0)
        change = jnp.where(is_first, 0.0, step_size * excesses / (first + _OFFSET))
        log_weights = jax.nn.log_softmax(state.log_weights + change)
        kept = ExcessMTLState(state.step + 1, squares, log_weights, first)
        return combine(updates, jnp.exp(log_weights)), kept

    return optax.GradientTransformationExtraArgs(init, update)
