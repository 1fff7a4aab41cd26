"""Methods on networks with several tasks."""

import time
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array

from l2o.evaluation import Runs, evaluate, tune
from l2o.evaluation.draw import Draw, draw_tasks, evaluation_key
from l2o.objectives import NormalizedMeanLoss
from l2o.recipes.multi_objective.methods import adam_behind
from l2o.recipes.multi_objective.profiles import NetworkFamily, NetworkStudy
from l2o.report.plain import plain
from l2o.tasks.datasets import only_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from l2o.evaluation import Tuned
    from l2o.optimizers import LearnedOptimizer
    from l2o.tasks import Params


def key_of(family: NetworkFamily) -> jax.Array:
    """Randomness of tuning and judging, the same for all methods; meta-training has its own."""
    return jax.random.key(sum(family.name.encode()))


def tuned(
    study: NetworkStudy,
    family: NetworkFamily,
    name: str,
    *,
    refined: bool,
    on_progress: "Callable[[int, int], None]",
) -> "Tuned":
    """Tunes Adam behind an aggregator on networks of a family, judged by nothing but training.

    **Arguments:** `study`; `family`; `name`, of the aggregator; `refined`, as for `adam_behind`;
    `on_progress`, as for `tune`.
    """
    number = study.refined_configurations if refined else study.num_configurations
    return tune(
        adam_behind(name, family.num_targets, refined=refined),
        family.task.family(judge_on="validation"),
        key=key_of(family),
        num_steps=study.num_steps,
        objective=NormalizedMeanLoss(),
        num_configurations=number,
        num_tasks=study.tuning_tasks,
        on_progress=on_progress,
    )


def judged(
    study: NetworkStudy, family: NetworkFamily, optimizer: "LearnedOptimizer"
) -> dict[str, Any]:
    """Lets an optimizer train fresh networks.

        **Returns:** for every network the `objective`, the mean over steps and targets of the loss
    XX
    """
    tasks = family.task.family(judge_on="test")
    draw = draw_tasks(tasks, evaluation_key(key_of(family)), study.num_seeds)
    losses, params = jax.block_until_ready(_train(optimizer, draw, study.num_steps))
    # Compiled by now.
    began = time.perf_counter()
    jax.block_until_ready(_train(optimizer, draw, study.num_steps))
    seconds = time.perf_counter() - began
    objective = NormalizedMeanLoss()(losses, losses[0]).mean(axis=1)
    held_out = jax.tree.map(np.asarray, _evaluate(draw, params))
    runs = Runs(np.moveaxis(np.asarray(losses), 0, 1), np.asarray(objective), held_out)
    with np.errstate(invalid="ignore", over="ignore"):
        relative = (runs.losses / runs.losses[:, :1]).mean(axis=2)
    return plain(
        {
            "objective": runs.objective,
            **runs.metrics,
            "num_diverged": int(runs.diverged.sum()),
            "curve": relative.mean(axis=0),
            "seconds_per_step": seconds / study.num_steps / study.num_seeds,
        }
    )


def trained_alone(
    study: NetworkStudy, family: NetworkFamily, on_progress: "Callable[[int, int], None]"
) -> dict[str, Any]:
    """Test losses of networks for one target each, trained by Adam that is tuned for it.

    **Returns:** the mean test loss and, of classes, accuracy of every target.
    """
    data = family.task.data()
    found = {}
    for target in data.targets:
        alone = only_target(data, target.name)
        baseline = tune(
            adam_behind("mean", 1, refined=False),
            family.task.family_of(alone, "validation"),
            key=key_of(family),
            num_steps=study.num_steps,
            objective=NormalizedMeanLoss(),
            num_configurations=study.num_configurations,
            num_tasks=study.tuning_tasks,
            on_progress=on_progress,
        )
        evaluation = evaluate(
            {"it": baseline.optimizer},
            family.task.family_of(alone, "test"),
            key=key_of(family),
            num_tasks=study.num_seeds,
            num_steps=study.num_steps,
        )
        for name, values in evaluation.runs["it"].held_out.items():
            found[name] = float(np.mean(values))
    return plain(found)


@eqx.filter_jit
def _train(optimizer: "LearnedOptimizer", draw: Draw, num_steps: int) -> Any:
    return draw.run(optimizer, num_steps)


@eqx.filter_jit
def _evaluate(draw: Draw, params: "Params") -> dict[str, Array]:
    return draw.tasks.evaluate(params)
