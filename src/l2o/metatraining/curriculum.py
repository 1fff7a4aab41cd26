"""Meta-training on longer and longer horizons."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
from jaxtyping import PRNGKeyArray

from l2o.metatraining._metatrain import MetaTrainingResult, metatrain
from l2o.metatraining.files import stage_folder
from l2o.metatraining.part import Part
from l2o.optimizers import LearnedOptimizer
from l2o.support.checks import check_instance, check_integer, check_rising
from l2o.support.keys import check_key
from l2o.tasks import TaskFamily


@dataclass(frozen=True)
class Curriculum:
    """A schedule of horizons, and when to go on to the next.

    A stage is trained on one horizon and validated on the next one, before its first meta-step and
    then at intervals. It is over when a validation is no better than the best of the stage and
    there were at least `min_validations` after training began; its best optimizer then goes on to
    the next stage. If the stage made it no better, the curriculum is over. The rule is that of the
    code released with Chen et al. (2020), *Training Stronger Baselines for Learning to Optimize*.

    **Arguments:** `horizons`, inner steps, at least two, rising; the last is for validation alone;
    `min_validations`, at least 1.

    **Raises:** `ValueError` for numbers out of range.

    ```pycon
    >>> l2o.metatraining.Curriculum(horizons=(100, 200, 500)).min_validations
    3
    ```
    """

    horizons: tuple[int, ...]
    min_validations: int = 3

    def __post_init__(self) -> None:
        check_rising("horizons", self.horizons, shortest=2)
        check_integer("min_validations", self.min_validations, least=1)

    def stages(self) -> list[tuple[int, int]]:
        """The horizons to train on and to validate on, stage by stage."""
        return list(pairwise(self.horizons))

    def is_over(self, scores: Sequence[float]) -> bool:
        """Whether a stage is over.

        **Arguments:** `scores`, of its validations, that before training first.
        """
        if len(scores) <= self.min_validations:
            return False
        # A score that is not a number is no better than any.
        return not scores[-1] < min(scores[:-1])


RECURRENT_CURRICULUM = Curriculum((100, 200, 500, 1000, 1500, 2000, 2500, 3000))
"""The released schedule for DM and RNNProp."""

HIERARCHICAL_CURRICULUM = Curriculum((100, 200, *range(500, 5001, 500)))
"""The released schedule for L2O-Scale."""


@dataclass(frozen=True)
class CurriculumResult:
    """What a curriculum gives back."""

    optimizer: LearnedOptimizer
    """The best of the last stage that made it better; the one it began with if none did."""
    stages: list[MetaTrainingResult]
    """Of every stage that was run, in order; the last may have brought nothing."""


def metatrain_on_curriculum(
    optimizer: LearnedOptimizer,
    family: TaskFamily | Sequence[Part],
    curriculum: Curriculum,
    *,
    key: PRNGKeyArray,
    meta_steps: int,
    folder: Path | str | None = None,
    **settings: Any,
) -> CurriculumResult:
    """Runs `l2o.metatraining.metatrain` stage by stage.

    **Arguments:**

    - `optimizer`; `family`, as for `metatrain`.
    - `curriculum`: the horizons and when a stage is over. `truncation` must divide all of them but
      the last.
    - `key`: all randomness.
    - `meta_steps`: the most that a stage may take; one that reaches it is over.
    - `folder`: if given, each stage is a run of its own in `folder/stage-1` and so on; with
      `resume`, stages that are done are read and the last one goes on where it stopped.
    - `settings`: the other arguments of `metatrain`, but for `horizon`.

    **Returns:** the optimizer, and the results of the stages.

    **Raises:** `ValueError` as `metatrain` does.
    """
    check_instance("curriculum", curriculum, Curriculum)
    check_key(key)
    results: list[MetaTrainingResult] = []
    for number, (horizon, next_horizon) in enumerate(curriculum.stages(), start=1):
        result = metatrain(
            optimizer,
            family,
            key=jax.random.fold_in(key, number),
            meta_steps=meta_steps,
            horizon=horizon,
            validation_horizon=next_horizon,
            validate_first=True,
            stop_when=curriculum.is_over,
            folder=None if folder is None else stage_folder(Path(folder), number),
            **settings,
        )
        results.append(result)
        if result.best_step == 0:
            break
        optimizer = result.optimizer
    return CurriculumResult(optimizer, results)
