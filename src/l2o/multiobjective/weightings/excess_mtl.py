"""ExcessMTL: weights by how far losses are from what they can reach."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from l2o.gradients import Gradients, Jacobian, as_jacobian, combine
from l2o.multiobjective.presence import keep_absent, present_gradients, share_of_present
from l2o.optimizers import OptState
from l2o.support.checks import check_integer, check_number


class ExcessMTLState(NamedTuple):
    """Roots of sums of squared gradients, logarithms of weights, means of the first excesses."""

    step: Int[Array, " m"]
    roots: Jacobian
    log_weights: Float[Array, " m"]
    first_excesses: Float[Array, " m"]


def excess_mtl(
    num_objectives: int, *, step_size: float = 1.0, num_first_steps: int = 1
) -> optax.GradientTransformationExtraArgs:
    """More and more weight for objectives that are far from their own minimum.

    The excess of loss i over its minimum is estimated as `E_i = sum_k g_ik^2 / sqrt(S_ik)`, S the
    sum of the squared gradients of all steps, and the weights, which sum to 1, are multiplied by
    `exp(step_size E_i / E_i0)` at every step. `E_i0` is the mean of E_i over the first steps, in
    which weights are `1 / m`. It keeps a number of every objective for every parameter. What has a
    gradient that is zero or not finite is left out of that step.

    Source: He et al. 2024, Robust Multi-Task Learning with Excess Risks, equations 6, 7 and 9. Its
    public code, and TorchJD's default, instead multiply by `exp(step_size E_i0)` in the first step.

    **Arguments:** `num_objectives`, m; `step_size`, of the weights; `num_first_steps`, at least 1;
    the paper takes those of three epochs.

    **Returns:** a transformation of stacked gradients, to be the first of a chain.

    **Raises:** `ValueError` for numbers out of their range; its `update` for gradients of another
    number of objectives.

    ```pycon
    >>> descent = l2o.multiobjective.excess_mtl(2)
    >>> jacobian = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    >>> descent.update(jacobian, descent.init(jnp.zeros(2)), value=jnp.ones(2))[0].shape
    (2,)
    ```
    """
    check_integer("num_objectives", num_objectives, least=1)
    check_number("step_size", step_size, least=0)
    check_integer("num_first_steps", num_first_steps, least=1)

    def init(params: PyTree) -> OptState:
        zeros = jnp.zeros(num_objectives)
        return ExcessMTLState(
            jnp.zeros(num_objectives, jnp.int32),
            jax.tree.map(lambda leaf: jnp.zeros((num_objectives, *leaf.shape), leaf.dtype), params),
            zeros - jnp.log(num_objectives),
            zeros,
        )

    def update(
        updates: Jacobian | Gradients, state: OptState, params: PyTree | None = None, **extra: Any
    ) -> tuple[PyTree, OptState]:
        del params, extra
        jacobian = as_jacobian(updates)
        present = present_gradients(jacobian, num_objectives)
        # Roots, since squares leave the range of numbers long before the gradients do.
        roots = jax.tree.map(jnp.hypot, state.roots, jacobian)

        def excess_of(g: Float[Array, "m ..."], root: Float[Array, "m ..."]) -> Float[Array, " m"]:
            ratios = jnp.where(root > 0.0, g * (g / jnp.where(root > 0.0, root, 1.0)), 0.0)
            return jnp.sum(ratios.reshape(num_objectives, -1), axis=1)

        excesses = sum(
            jax.tree.leaves(jax.tree.map(excess_of, jacobian, roots)),
            start=jnp.zeros(num_objectives),
        )
        is_first = state.step < num_first_steps
        first = state.first_excesses + jnp.where(is_first, excesses / num_first_steps, 0.0)
        ratios = excesses / jnp.where(first > 0.0, first, 1.0)
        moved = state.log_weights + jnp.where(is_first, 0.0, step_size * ratios)
        shares = share_of_present(moved, present)
        # Of the whole, those present keep what they have, in logarithms as it may be very little.
        before = jax.nn.logsumexp(jnp.where(present, state.log_weights, -jnp.inf))
        after = jax.nn.logsumexp(jnp.where(present, moved, -jnp.inf))
        log_weights = moved - after + before
        kept = ExcessMTLState(state.step + 1, roots, log_weights, first)
        return combine(jacobian, shares), keep_absent(kept, state, present)

    return optax.GradientTransformationExtraArgs(init, update)
