"""MoCo: multi-objective gradient correction."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from l2o.gradients import Gradients, Jacobian, as_jacobian, combine, gramian
from l2o.multiobjective.presence import keep_absent, present_gradients
from l2o.multiobjective.programs.simplex import project_present, shared_among
from l2o.optimizers import OptState
from l2o.support.checks import check_integer, check_number


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
    `Y'w`. It keeps a gradient of every objective. One whose gradient is zero or not finite is left
    out of that step.

    Source: Fernando et al. 2023, Mitigating Gradient Bias in Multi-objective Learning, algorithm
    1. The rates are those of LibMTL, which also divides gradients by their norms, times the
    losses, and takes a softmax for the projection; here it is as in the paper.

    **Arguments:** `num_objectives`, m; `tracking_rate`, `weights_rate`; `regularization`, r;
    `decay`, the exponent of both rates.

    **Returns:** a transformation of stacked gradients, to be the first of a chain.

    **Raises:** `ValueError` for numbers out of their range; its `update` for gradients of another
    number of objectives.

    ```pycon
    >>> descent = l2o.multiobjective.moco(2)
    >>> jacobian = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    >>> descent.update(jacobian, descent.init(jnp.zeros(2)), value=jnp.ones(2))[0].shape
    (2,)
    ```
    """
    check_integer("num_objectives", num_objectives, least=1)
    check_number("tracking_rate", tracking_rate, above=0)
    check_number("weights_rate", weights_rate, least=0)
    check_number("regularization", regularization, least=0)
    check_number("decay", decay, least=0)

    def init(params: PyTree) -> OptState:
        return MoCoState(
            jnp.zeros((), jnp.int32),
            jax.tree.map(lambda leaf: jnp.zeros((num_objectives, *leaf.shape), leaf.dtype), params),
            jnp.full(num_objectives, 1 / num_objectives),
        )

    def update(
        updates: Jacobian | Gradients, state: OptState, params: PyTree | None = None, **extra: Any
    ) -> tuple[PyTree, OptState]:
        del params, extra
        jacobian = as_jacobian(updates)
        present = present_gradients(jacobian, num_objectives)
        damping = (state.step + 1.0) ** -decay
        rate = tracking_rate * damping
        tracked = jax.tree.map(lambda y, g: y - rate * (y - g), state.tracked, jacobian)
        tracked = keep_absent(tracked, state.tracked, present)
        weights, total = shared_among(state.weights, present)
        slope = gramian(tracked).times(weights) + regularization * weights
        weights = project_present(weights - weights_rate * damping * slope, present)
        kept = keep_absent(MoCoState(state.step + 1, tracked, total * weights), state, present)
        return combine(tracked, weights), kept

    return optax.GradientTransformationExtraArgs(init, update)
