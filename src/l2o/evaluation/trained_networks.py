"""How flat the minima are that an optimizer finds, and how well they generalize."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from l2o.evaluation.draw import Draw, draw_tasks, evaluation_key
from l2o.evaluation.matched import where_first_below
from l2o.flatness import (
    LossSurface,
    entropy_gap,
    filter_norms,
    loss_surface,
    rescaled,
    spectral_norm,
    trace,
)
from l2o.inner_loop import InnerState, Step, unroll
from l2o.optimizers import evaluation_params, per_task
from l2o.tasks import TaskBatch, ValueFunction

if TYPE_CHECKING:
    from l2o.optimizers import LearnedOptimizer
    from l2o.tasks import Params, Task, TaskFamily

GAMMA = 100.0
"""Of the local entropy: perturbations of 0.1 in every parameter."""

_RECORDS = 50
"""How often metrics are taken during training."""

_SLICE_RADIUS = 1.0
_SLICE_POINTS = 21


def measure(
    optimizer: "LearnedOptimizer",
    family: "TaskFamily",
    key: PRNGKeyArray,
    *,
    num_tasks: int,
    num_steps: int,
    trained_on: "TaskFamily | None" = None,
    levels: Sequence[float] = (),
) -> dict[str, Float[np.ndarray, " tasks"]]:
    """Trains fresh networks and measures them where they end, on all of their training data.

    **Arguments:** `optimizer`; `family`, whose tasks have a `whole_batch`; `key`, of tasks,
    initialisations and minibatches, the same for all optimizers to be compared; `num_tasks`;
    `num_steps`, of training; `trained_on`, the family whose loss the optimizer minimises, if it is
    another one of the same tasks, such as with weight decay; `levels`, training losses where
    held-out metrics are compared.

    **Returns:** for every task `train_loss`, what its `evaluate` gives, `spectral_norm` and
    `trace` of the Hessian, `relative_trace` in units of filter norms, and `entropy_gap`. For each
    level, by names ending in `_at_0.1` and the like, what `evaluate` gives where the training loss
    first falls below it, and the `steps` until then; not a number where it never does.
    """
    draw = draw_tasks(family, evaluation_key(key), num_tasks)
    trained = draw
    if trained_on is not None:
        trained = draw_tasks(trained_on, evaluation_key(key), num_tasks)
    if not levels:
        params, records = _train(optimizer, trained, num_steps), None
    else:
        every = max(1, num_steps // _RECORDS)
        params, records = _train_and_record(optimizer, trained, draw.tasks, num_steps, every)
    found = jax.tree.map(np.asarray, _measure(draw, params, jax.random.fold_in(key, 1)))
    for level in levels:
        at_level = where_first_below(level, "train_loss", jax.tree.map(np.asarray, records))
        found |= {f"{metric}_at_{level:g}": values for metric, values in at_level.items()}
    return found


def surfaces(
    optimizer: "LearnedOptimizer",
    family: "TaskFamily",
    key: PRNGKeyArray,
    *,
    num_tasks: int,
    num_steps: int,
    dimensions: int,
) -> LossSurface:
    """Slices of the training loss through the ends of runs, along random filter-normalised lines.

    **Arguments:** as for `measure`, and `dimensions`, 1 or 2.

    **Returns:** slices with a leading task axis.
    """
    draw = draw_tasks(family, evaluation_key(key), num_tasks)
    params = _train(optimizer, draw, num_steps)
    return _slice(draw, params, jax.random.fold_in(key, 2), dimensions)


@eqx.filter_jit
def _train(optimizer: "LearnedOptimizer", draw: Draw, num_steps: int) -> "Params":
    return draw.run(optimizer, num_steps)[1]


@eqx.filter_jit
def _train_and_record(
    optimizer: "LearnedOptimizer", draw: Draw, judges: TaskBatch, num_steps: int, every: int
) -> tuple["Params", dict[str, Float[Array, "records tasks"]]]:
    """The parameters at the end, and metrics on the way there."""

    def record(step: Int[Array, ""] | int, params: "Params") -> dict[str, Array]:
        def of_one(task: "Task", params: "Params") -> dict[str, Array]:
            loss = task.loss(params, task.whole_batch())
            return {"steps": jnp.asarray(step, loss.dtype), "train_loss": loss} | task.evaluate(
                params
            )

        return judges.over_tasks(of_one, params)

    def seen(step: Step) -> dict[str, Array]:
        params = evaluation_params(step.opt_state, step.params)
        nothing = jax.tree.map(
            lambda leaf: jnp.zeros(leaf.shape, leaf.dtype),
            jax.eval_shape(record, step.index, params),
        )
        return jax.lax.cond(
            step.index % every == 0,
            lambda: record(step.index, params),
            lambda: nothing,
        )

    batched = per_task(optimizer)
    start = InnerState(draw.params, batched.init(draw.params))
    trajectory = unroll(batched, draw.tasks, draw.key, num_steps, state=start, probe=seen)
    params = trajectory.params
    records = jax.tree.map(
        lambda stacked, last: jnp.concatenate([stacked[::every], last[None]]),
        trajectory.probes,
        record(num_steps, params),
    )
    return params, records


# Apart from training, so that it is compiled once for all optimizers.
@eqx.filter_jit
def _measure(draw: Draw, params: "Params", key: PRNGKeyArray) -> dict[str, Array]:
    def of_one(task: "Task", params: "Params", key: PRNGKeyArray) -> dict[str, Array]:
        loss = ValueFunction(task, task.whole_batch())
        norm_key, trace_key, relative_key, gap_key = jax.random.split(key, 4)
        relative = rescaled(loss, params, filter_norms(params))
        return {
            "train_loss": loss(params),
            **task.evaluate(params),
            "spectral_norm": spectral_norm(loss, params, norm_key, num_products=20),
            "trace": trace(loss, params, trace_key).value,
            "relative_trace": trace(*relative, relative_key).value,
            "entropy_gap": entropy_gap(loss, params, GAMMA, gap_key).value,
        }

    keys = jax.random.split(key, draw.tasks.num_tasks)
    return draw.tasks.over_tasks(of_one, params, keys)


@eqx.filter_jit
def _slice(draw: Draw, params: "Params", key: PRNGKeyArray, dimensions: int) -> LossSurface:
    def of_one(task: "Task", params: "Params", key: PRNGKeyArray) -> LossSurface:
        loss = ValueFunction(task, task.whole_batch())
        return loss_surface(
            loss,
            params,
            key,
            dimensions=dimensions,
            radius=jnp.asarray(_SLICE_RADIUS),
            num_points=_SLICE_POINTS,
        )

    keys = jax.random.split(key, draw.tasks.num_tasks)
    return draw.tasks.over_tasks(of_one, params, keys)
