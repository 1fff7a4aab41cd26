"""Methods on networks with several tasks."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.composition import Composed
from l2o.evaluation import Runs, evaluate, tune
from l2o.evaluation.draw import Draw, draw_tasks, evaluation_key
from l2o.inner_loop import InnerState, unroll
from l2o.multiobjective import ML2O, guard, guard_at_intervals
from l2o.objectives import NormalizedMeanLoss
from l2o.optimizers import LearnedOptimizer
from l2o.report import tuned_as_dict
from l2o.report.plain import plain
from l2o.runs import Recipe
from l2o.runs.making import JudgeOn, make_family
from l2o.studies.multi_objective.methods import adam_behind
from l2o.studies.multi_objective.profiles import NetworkFamily, NetworkStudy
from l2o.studies.multi_objective.rows import Judged, MetaTrained, Metrics
from l2o.studies.parts import TunedBaseline, meta_train, optimizer_of
from l2o.studies.work import Report
from l2o.tasks import (
    MultiTaskFamily,
    MultiTaskNetwork,
    Params,
    ValueFunction,
)

_METHODS = {"ML2O": ("ML2O", "GML2O", "GML2O at intervals"), "PlainML2O": ("plain ML2O",)}


def key_of(family: NetworkFamily) -> jax.Array:
    """Randomness of tuning, the same for all methods; meta-training has its own."""
    return jax.random.key(sum(family.name.encode()))


def judging_key_of(study: NetworkStudy, family: NetworkFamily) -> jax.Array:
    """Randomness of judging, the same for all methods."""
    return jax.random.fold_in(key_of(family), study.evaluation_seed)


def train(report: Report, recipe: Recipe, folder: Path) -> MetaTrained:
    """Meta-trains one optimizer."""
    result = meta_train(report, recipe, folder).result
    return plain({"score": result.best_score, "num_skipped": result.num_skipped})


def tune_behind(
    report: Report, study: NetworkStudy, family: NetworkFamily, name: str, num_configurations: int
) -> TunedBaseline:
    """Tunes Adam behind an aggregator on networks of a family, judged by nothing but training.

    **Arguments:** `study`; `family`; `name`, of the aggregator; `num_configurations`, to try.
    """
    found = tune(
        adam_behind(name, family.num_targets),
        make_family(family.task, "validation"),
        key=key_of(family),
        num_steps=study.num_steps,
        objective=NormalizedMeanLoss(),
        num_configurations=num_configurations,
        num_tasks=study.tuning_tasks,
        on_progress=report,
    )
    return cast(TunedBaseline, tuned_as_dict(found))


def judge_tuned(
    _: Report, study: NetworkStudy, family: NetworkFamily, name: str, tuned: TunedBaseline
) -> Judged:
    """Lets Adam behind an aggregator, as it was tuned, train fresh networks."""
    method = adam_behind(name, family.num_targets)
    return judged(study, family, method.with_hyperparameters(**tuned["hyperparameters"]))


def methods_of(optimizer: Composed) -> tuple[str, ...]:
    """The methods that a learned optimizer is judged as: with guards and without."""
    return _METHODS[optimizer.name]


def judge_learned(
    _: Report, study: NetworkStudy, family: NetworkFamily, method: str, folder: Path
) -> Judged:
    """Lets a learned optimizer train fresh networks as one of its methods."""
    learned = optimizer_of(folder)
    if isinstance(learned, ML2O):
        learned = learned.for_objectives(family.num_targets)
    if method == "GML2O":
        learned = guard(learned)
    judge = judged_at_intervals if method == "GML2O at intervals" else judged
    return judge(study, family, learned)


def judged(study: NetworkStudy, family: NetworkFamily, optimizer: LearnedOptimizer) -> Judged:
    """Lets an optimizer train fresh networks, all at once.

    **Returns:** for every network the `objective`, the mean over steps and targets of the loss
    over its first value, the last training losses, and losses and accuracies on the test split;
    how many diverged; the mean over networks and targets of the relative loss before every step
    and at the end; and the seconds that a step takes for each network.
    """

    def train(draw: Draw) -> tuple[Array, Params]:
        return _train(optimizer, draw, study.num_steps)

    return _judged(study, family, train)


def judged_at_intervals(
    study: NetworkStudy, family: NetworkFamily, optimizer: LearnedOptimizer
) -> Judged:
    """Lets an optimizer train fresh networks, guarded at intervals on all training data.

    One network is trained after another, so that all data are looked at in tests alone. Networks
    start where they do for `judged`, and meet other minibatches.

    **Returns:** as for `judged`.
    """

    def train(draw: Draw) -> tuple[Array, Params]:
        return train_guarded(optimizer, draw, study.num_steps, study.guard_every)

    return _judged(study, family, train)


def _judged(
    study: NetworkStudy,
    family: NetworkFamily,
    train: Callable[[Draw], tuple[Array, Params]],
) -> Judged:
    tasks = make_family(family.task, "test")
    draw = draw_tasks(tasks, evaluation_key(judging_key_of(study, family)), study.num_seeds)
    losses, params = jax.block_until_ready(train(draw))
    # Compiled by now.
    began = time.perf_counter()
    jax.block_until_ready(train(draw))
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


def train_alone(report: Report, study: NetworkStudy, family: NetworkFamily) -> Metrics:
    """Test losses of networks for one target each, trained by Adam that is tuned for it.

    **Returns:** the mean test loss and, of classes, accuracy of every target.
    """
    tuned_on, judged_on = multi_task(family, "validation"), multi_task(family, "test")
    found = {}
    for target in tuned_on.data.targets:
        baseline = tune(
            adam_behind("mean", 1),
            tuned_on.only_target(target.name),
            key=key_of(family),
            num_steps=study.num_steps,
            objective=NormalizedMeanLoss(),
            num_configurations=study.num_configurations,
            num_tasks=study.tuning_tasks,
            on_progress=report,
        )
        evaluation = evaluate(
            {"it": baseline.optimizer},
            judged_on.only_target(target.name),
            key=judging_key_of(study, family),
            num_tasks=study.num_seeds,
            num_steps=study.num_steps,
        )
        for name, values in evaluation.runs["it"].held_out.items():
            found[name] = float(np.mean(values))
    return plain(found)


def multi_task(family: NetworkFamily, judge_on: JudgeOn) -> MultiTaskFamily:
    """A family of networks."""
    made = make_family(family.task, judge_on)
    assert isinstance(made, MultiTaskFamily)
    return made


def steps_per_epoch(family: NetworkFamily) -> float:
    """How many minibatches the training data are."""
    networks = multi_task(family, "validation")
    return len(networks.data.inputs["train"]) / networks.batch_size


@eqx.filter_jit
def _train(
    optimizer: LearnedOptimizer, draw: Draw, num_steps: int
) -> tuple[Float[Array, "losses tasks objectives"], Params]:
    return draw.run(optimizer, num_steps)


@eqx.filter_jit
def train_guarded(
    optimizer: LearnedOptimizer, draw: Draw, num_steps: int, every: int
) -> tuple[Float[Array, "losses tasks objectives"], Params]:
    """Trains one network after another, guarded on all training data every so many steps.

    **Returns:** losses on minibatches before every step and at the end, and the last parameters.
    """

    def run(task: MultiTaskNetwork, params: Params, key: PRNGKeyArray) -> tuple[Array, Params]:
        losses = ValueFunction(task, task.whole_batch())
        guarded = guard_at_intervals(optimizer, losses, every=every)
        start = InnerState(params, guarded.init(params))
        trajectory = unroll(guarded, task, key, num_steps, state=start)
        return trajectory.losses, trajectory.params

    keys = jax.random.split(draw.key, draw.tasks.num_tasks)
    losses, params = draw.tasks.one_by_one(run, draw.params, keys)
    return jnp.moveaxis(losses, 0, 1), params


@eqx.filter_jit
def _evaluate(draw: Draw, params: Params) -> dict[str, Array]:
    return draw.tasks.evaluate(params)
