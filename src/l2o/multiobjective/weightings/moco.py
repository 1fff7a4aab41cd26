"""MoCo: multi-objective gradient correction."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from l2o.multiobjective.jacobian import Jacobian, combine, gramian
from l2o.multiobjective.simplex import project_onto_simplex
from l2o.optimizers import OptState


class MoCoState(NamedTuple):
    """Tracked gradients of all objectives, and their weights."""

    step: Int[Array, ""]
    tracked: Jacobian
    weights: Float[Array, " m"]


def moco(
    num_objectives: int,
    *,
    tracking_rate: float = 0.5,
    weights_rate: float = 0.1,
    regularization: float = 0.0,
    decay: float = 0.5,
) -> optax.GradientTransformationExtraArgs:
    """MGDA on tracked gradients, its weights moved by one projected step at a time.

    At step k, counted from 1, `Y <- Y - b (Y - J)` and `w <- P(w - c (YY' + r) w)`, P onto the
    simplex, with `b = tracking_rate / k^decay` and `c = weights_rate / k^decay`; the update is
    `Y'w`. It keeps a gradient of every objective.

    Source: Fernando et al. 2023, Mitigating Gradient Bias in Multi-objective Learning, algorithm
    1. The rates are those of LibMTL, which also divides gradients by their norms, times the
    losses, and takes a softmax for the projection; here it is as in the paper.

    **Arguments:** `num_objectives`, m; `tracking_rate`, `weights_rate`; `regularization`, r;
    `decay`, the exponent of both rates.

    **Returns:** a transformation of stacked gradients, to be the first of a chain.
    """

    def init(params: PyTree) -> OptState:
        return MoCoState(
            jnp.zeros((), jnp.int32),
            jax.tree.map(lambda leaf: jnp.zeros((num_objectives, *leaf.shape), leaf.dtype), params),
            jnp.full(num_objectives, 1 / num_objectives),
        )

    def update(
        updates: Jacobian, state: OptState, params: PyTree | None = None, **extra: Any
    ) -> tuple[PyTree, OptState]:
        del params, extra
        damping = (state.step + 1.0) ** -decay
        rate = tracking_rate * damping
        tracked = jax.tree.map(lambda y, g: y - rate * (y - g), state.tracked, updates)
        slope = gramian(tracked) @ state.weights + regularization * state.weights
        weights = project_onto_simplex(state.weights - weights_rate * damping * slope)
        return combine(tracked, weights), MoCoState(state.step + 1, tracked, weights)

    return optax.GradientTransformationExtraArgs(init, update)
