"""How tight the bounds between the Hessian and local entropy are along real trainings."""

from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.evaluation.draw import Draw, draw_tasks, evaluation_key
from l2o.evaluation.trained_networks import GAMMA
from l2o.flatness import entropy_gap, entropy_gap_bounds, top_eigenvalue, trace
from l2o.inner_loop import InnerState, unroll
from l2o.optimizers import per_task
from l2o.tasks import ValueFunction

if TYPE_CHECKING:
    from l2o.optimizers import LearnedOptimizer
    from l2o.tasks import Params, Task, TaskFamily

_PROBES = 64
_PAIRS = 128


def bounds_along_training(
    optimizer: "LearnedOptimizer",
    family: "TaskFamily",
    key: PRNGKeyArray,
    *,
    num_tasks: int,
    num_steps: int,
    num_points: int,
) -> dict[str, Float[np.ndarray, " points *tasks"]]:
    """The three sides of ln(1 + lambda_max / gamma) <= 2 Delta <= tr(H) / gamma along trainings.

    For convex quadratics, and with |g|^2 / gamma taken off the first side where the gradient g is
    not zero, this is a theorem (`l2o.flatness.entropy_gap_bounds`). For networks it is none.

    **Arguments:** as for `measure`, and `num_points`, at equal distances along the training, from
    the initialisation to the end; `num_steps` is made a multiple of their distance.

    **Returns:** `steps`; and for every network and point `train_loss`, `logarithm` for
    ln(1 + lambda_max / gamma), `lower`, the same less |g|^2 / gamma, `twice_gap` and `upper`.
    """
    draw = draw_tasks(family, evaluation_key(key), num_tasks)
    distance = max(1, num_steps // (num_points - 1))
    params = draw.params
    state = InnerState(params, eqx.filter_jit(_init)(optimizer, params))
    points = []
    for point in range(num_points):
        if point:
            state = _advance(optimizer, draw, state, jax.random.fold_in(draw.key, point), distance)
        found = _sides(draw, state.params, jax.random.fold_in(key, 3))
        points.append({name: np.asarray(values) for name, values in found.items()})
    stacked = {name: np.stack([point[name] for point in points]) for name in points[0]}
    return {"steps": distance * np.arange(num_points), **stacked}


def _init(optimizer: "LearnedOptimizer", params: "Params") -> Array:
    return per_task(optimizer).init(params)


@eqx.filter_jit
def _advance(
    optimizer: "LearnedOptimizer", draw: Draw, state: InnerState, key: PRNGKeyArray, num_steps: int
) -> InnerState:
    return unroll(per_task(optimizer), draw.tasks, key, num_steps, state=state).state


@eqx.filter_jit
def _sides(draw: Draw, params: "Params", key: PRNGKeyArray) -> dict[str, Float[Array, " tasks"]]:
    def of_one(task: "Task", params: "Params", key: PRNGKeyArray) -> dict[str, Array]:
        loss = ValueFunction(task, task.whole_batch())
        top_key, trace_key, gap_key = jax.random.split(key, 3)
        value, gradient = jax.value_and_grad(loss)(params)
        top = top_eigenvalue(loss, params, top_key)
        spread = trace(loss, params, trace_key, num_probes=_PROBES).value
        norm = optax.global_norm(gradient)
        lower, upper = entropy_gap_bounds(top, spread, GAMMA, norm)
        gap = entropy_gap(loss, params, GAMMA, gap_key, num_samples=_PAIRS).value
        return {
            "train_loss": value,
            "logarithm": jnp.log1p(top / GAMMA),
            "lower": 2 * lower,
            "twice_gap": 2 * gap,
            "upper": 2 * upper,
        }

    keys = jax.random.split(key, draw.tasks.num_tasks)
    return draw.tasks.over_tasks(of_one, params, keys)
