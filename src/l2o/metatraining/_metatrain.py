"""Meta-training: the outer loop."""

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from operator import mul
from pathlib import Path

import optax
from jaxtyping import PRNGKeyArray

from l2o.metatraining.devices import on_one_device, replicate
from l2o.metatraining.imitation import Imitation
from l2o.metatraining.meta_gradient import MetaGradientEstimator
from l2o.metatraining.meta_step import MetaState, MetaStep
from l2o.metatraining.metrics import Row
from l2o.metatraining.part import Part
from l2o.metatraining.plan import make_plan
from l2o.metatraining.programs import advance, home, init, judge, keep_best
from l2o.metatraining.progress import Progress, ProgressReports
from l2o.metatraining.regularizers.regularizer import Regularizer
from l2o.metatraining.run_record import RunRecord
from l2o.objectives import Objective
from l2o.optimizers import LearnedOptimizer
from l2o.support.canonical import canonical
from l2o.support.programs import forget_programs_if_many
from l2o.tasks import TaskFamily


@dataclass(frozen=True)
class MetaTrainingResult:
    """What meta-training gives back."""

    optimizer: LearnedOptimizer
    """The best on validation."""
    last_optimizer: LearnedOptimizer
    best_score: float
    best_step: int
    num_skipped: int
    history: list[Row]
    """One row a meta-step: `meta_step`, `meta_loss`, `gradient_norm`, `num_skipped`; with
    regularizers, the part of the meta-loss that is `regularization`; with imitation, whether it was
    one of `imitation`; what an estimator tells of itself; and, where it was validated,
    `validation_score` and the tasks' held-out metrics of other names."""


def metatrain(
    optimizer: LearnedOptimizer,
    family: TaskFamily | Sequence[Part],
    *,
    key: PRNGKeyArray,
    meta_steps: int,
    num_tasks: int = 8,
    horizon: int = 100,
    truncation: int = 20,
    objective: Objective | None = None,
    objective_weight: float = 1.0,
    regularizers: Sequence[Regularizer] = (),
    estimator: MetaGradientEstimator | None = None,
    meta_optimizer: optax.GradientTransformation | None = None,
    imitation: Imitation | None = None,
    validation_family: TaskFamily | None = None,
    validation_horizon: int | None = None,
    validate_first: bool = False,
    stop_when: Callable[[Sequence[float]], bool] | None = None,
    validation_every: int = 100,
    validation_tasks: int = 16,
    folder: Path | str | None = None,
    checkpoint_every: int = 100,
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> MetaTrainingResult:
    """Trains the meta-parameters of `optimizer` on tasks drawn from a family, or from several.

    Each meta-step runs one window of `truncation` inner steps on `num_tasks` tasks of each family
    at once, differentiates the objective over it, and updates the meta-parameters. After `horizon`
    inner steps new tasks are drawn. With `truncation` equal to `horizon` this is full
    back-propagation through time; below it, truncated, with states carried over. Tasks are divided
    among all devices that JAX has, and so are the coordinates of fewer tasks than devices where the
    estimator can.

    **Arguments:**

    - `optimizer`: where to start from.
    - `family`: the tasks to train on, or several `Part`s, families with weights; their
      meta-gradients are averaged. What is measured of each part has its name after a slash.
    - `key`: all randomness.
    - `meta_steps`: updates of the meta-parameters.
    - `num_tasks`: at once; `horizon`: inner steps of a task; `truncation`: inner steps a window,
      a divisor of `horizon`.
    - `objective`: of the meta-loss; the mean loss by default.
    - `objective_weight`: its factor in the meta-loss; 0 leaves that to the regularizers.
    - `regularizers`: what else is added to the meta-loss (`l2o.metatraining.regularizers`).
    - `estimator`: of the meta-gradient; `FirstOrder()` by default.
    - `meta_optimizer`: any Optax transformation, with its schedule and clipping; Adam with
      learning rate 1e-3 by default.
    - `imitation`: if given, some meta-steps imitate a teacher instead. In their rows `imitation`
      is 1, and `meta_loss` the imitation loss.
    - `validation_family`: the tasks to select the best optimizer on; `family` by default, on
      draws of its own. Every `validation_every` meta-steps and after the last one, the meta-loss
      over the whole horizon, with the regularizers' final weights, is taken on `validation_tasks`
      tasks, always the same.
    - `validation_horizon`: inner steps of validation; `horizon` by default.
    - `validate_first`: whether to validate before the first meta-step too, in a row of its own.
    - `stop_when`: called with the scores of all validations so far; meta-training ends when it
      says so, even before `meta_steps`.
    - `folder`: where to write `metrics.jsonl`, `tensorboard/` and, every `checkpoint_every`
      meta-steps, `checkpoints/`. Nothing is written by default.
    - `resume`: go on from the last checkpoint in `folder`, if there is one. The result is, bit
      for bit, that of a run that was never stopped (on the CPU, with as many devices).
    - `on_progress`: called after every meta-step.

    **Returns:** the best optimizer on validation, the last one, and the history.

    **Raises:** `ValueError` for settings out of range or of a wrong kind, among them a truncation
    that does not divide the horizon and an optimizer without meta-parameters; for more memory
    than there is; for a folder that holds another run or a damaged one, or a checkpoint that does
    not fit the settings. `OSError` if the folder cannot be written to; the last checkpoint stays.

    ```pycon
    >>> result = l2o.metatrain(
    ...     l2o.optimizers.RNNProp(hidden_size=2, key=jax.random.key(0)),
    ...     l2o.tasks.QuadraticFamily(dimension=2),
    ...     key=jax.random.key(1),
    ...     meta_steps=2,
    ...     num_tasks=2,
    ...     horizon=4,
    ...     truncation=2,
    ... )
    >>> len(result.history), result.optimizer.title
    (2, 'RNNProp')
    ```
    """
    forget_programs_if_many()
    plan = make_plan(
        optimizer,
        family,
        key=key,
        meta_steps=meta_steps,
        num_tasks=num_tasks,
        horizon=horizon,
        truncation=truncation,
        objective=objective,
        objective_weight=objective_weight,
        regularizers=regularizers,
        estimator=estimator,
        meta_optimizer=meta_optimizer,
        imitation=imitation,
        validation_family=validation_family,
        validation_horizon=validation_horizon,
        validation_every=validation_every,
        validation_tasks=validation_tasks,
        checkpoint_every=checkpoint_every,
    )
    plan.check(optimizer)
    mesh = home(plan.meta_step, optimizer)
    validations = [replicate(each, each.mesh) for each in plan.validations]
    weights = plan.weights()
    meta_step = MetaStep(
        tuple(replicate(part, part.mesh(optimizer)) for part in plan.meta_step.parts),
        replicate(plan.meta_step.update.with_weights(weights), mesh),
    )
    names = [""] if len(plan.parts) == 1 else [f"/{part.name}" for part in plan.parts]
    state = init(meta_step, canonical(optimizer), plan.key)
    with closing(RunRecord(None if folder is None else Path(folder))) as record:
        state, done = record.begin(state, resume=resume)
        score: float | None = None

        def validated(state: MetaState, row: Row) -> tuple[MetaState, float]:
            judged = [judge(each, replicate(state.optimizer, each.mesh)) for each in validations]
            scores = [float(each.score) for each in judged]
            score = sum(map(mul, weights, scores))
            record.scores.append(score)
            state = keep_best(state, score)
            row["validation_score"] = score
            held_out: Row = {}
            for name, part, part_score in zip(names, judged, scores, strict=True):
                row[f"validation_score{name}"] = part_score if name else score
                held_out |= {f"{key}{name}": float(x) for key, x in part.held_out.items()}
            # The row's own numbers stay, whatever the task calls its metrics.
            row |= held_out | row
            return state, score

        if validate_first and done == 0:
            row: Row = {"meta_step": 0}
            state, score = validated(state, row)
            if not record.history:
                record.add(row)
        progress = ProgressReports(meta_steps, on_progress)
        for number in range(done + 1, meta_steps + 1):
            if stop_when is not None and stop_when(_comparable(record.scores)):
                break
            is_last = number == meta_steps
            state, metrics = advance(meta_step, state)
            row = {
                "meta_step": number,
                "meta_loss": float(metrics.meta_loss),
                "gradient_norm": float(metrics.gradient_norm),
                "num_skipped": int(metrics.num_skipped),
            }
            if regularizers:
                row["regularization"] = float(metrics.regularization)
            for name, part in zip(names, metrics.parts, strict=True):
                row |= {f"{key}{name}": x.item() for key, x in part.items()} | row
            if is_last or number % validation_every == 0:
                state, score = validated(state, row)
            record.add(row)
            stops = stop_when is not None and stop_when(_comparable(record.scores))
            if is_last or stops or number % checkpoint_every == 0:
                record.checkpoint(number, state)
            progress.report(row, score)
    return MetaTrainingResult(
        optimizer=on_one_device(state.best_optimizer),
        last_optimizer=on_one_device(state.optimizer),
        best_score=float(state.best_score),
        best_step=int(state.best_step),
        num_skipped=int(state.num_skipped),
        history=record.history,
    )


def _comparable(scores: Sequence[float]) -> list[float]:
    """The scores; those that are not finite count as infinite."""
    return [score if math.isfinite(score) else math.inf for score in scores]
