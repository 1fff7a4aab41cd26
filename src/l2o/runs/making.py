"""Tasks and optimizers made of their names and keywords."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Literal

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from l2o.composition import (
    LEARNED_OPTIMIZER,
    TASK_FAMILY,
    WEIGHTING,
    Composed,
    names_behind_weightings,
    read_keywords,
    settings_of,
)
from l2o.deploy import load
from l2o.metatraining import Part
from l2o.multiobjective import (
    ML2O,
    BehindWeighting,
    PlainML2O,
    aggregated,
    configured,
    find_weighting,
)
from l2o.optimizers import (
    ALL_HAND_DESIGNED,
    HandDesigned,
    LearnedOptimizer,
    check_optimizer,
    from_optax,
)
from l2o.runs.evaluation_settings import (
    CUSTOMARY_BASELINES,
    CUSTOMARY_FOR_SEVERAL_LOSSES,
    EvaluationSettings,
)
from l2o.runs.hand_designed import BEHIND_NO_WEIGHTING, split_name, split_schedule
from l2o.runs.recipe import Recipe
from l2o.runs.run_folder import RunFolder
from l2o.support.checks import check_choice
from l2o.support.kinds import check_kind, held_to_kinds
from l2o.tasks import (
    ReparameterizedFamily,
    SingleTask,
    Task,
    TaskFamily,
    check_family,
    count_objectives,
)

JudgeOn = Literal["validation", "test"]
"""The split for held-out metrics: validation for all choices, test for the final word."""


@held_to_kinds
def make_family(task: Composed, judge_on: JudgeOn) -> TaskFamily:
    """Makes a family of tasks.

    ```pycon
    >>> task = l2o.composition.Composed("quadratic", {"dimension": 3})
    >>> l2o.runs.make_family(task, "test").title
    '3-dimensional quadratics'
    ```

    **Arguments:** `task`; `judge_on`, the split for held-out metrics, where there are some.

    **Raises:** `ValueError` for settings out of range, for data that are missing, and if a person's
    own code makes anything else.
    """
    family, shared = task.make(TASK_FAMILY, judge_on=judge_on)
    if isinstance(family, Task):
        family = SingleTask(family)
    check_family(family)
    scale = shared.get("max_log_scale")
    return ReparameterizedFamily(family, scale) if scale else family


def make_trained_on(recipe: Recipe) -> TaskFamily | list[Part]:
    """Makes what is meta-trained on: the recipe's family of tasks, or its parts.

    Held-out metrics are of the validation split.

    **Raises:** `ValueError` as `make_family` does, and for parts that are code of a person's own
    and were not named.
    """
    parts = recipe.training.parts
    if not parts:
        return make_family(recipe.task, "validation")
    if not all(part.task.confirmed for part in parts):
        named = " ".join(recipe.training.naming_own_parts())
        raise ValueError(
            "Among the parts is code of your own, which is run only where you name it: add "
            f"{named}."
        )
    return [
        Part(
            make_family(part.task, "validation"),
            **{each.name: getattr(part, each.name) for each in fields(part) if each.name != "task"},
        )
        for part in parts
    ]


def families_of(trained_on: TaskFamily | Sequence[Part]) -> list[TaskFamily]:
    """The family, or those of all parts."""
    if isinstance(trained_on, TaskFamily):
        return [trained_on]
    return [part.family for part in trained_on]


def make_optimizer(
    optimizer: Composed, key: PRNGKeyArray, family: TaskFamily | None = None
) -> LearnedOptimizer:
    """Makes a learned optimizer, before meta-training.

    ```pycon
    >>> optimizer = l2o.composition.Composed("GRU", {"hidden_size": 3})
    >>> l2o.runs.make_optimizer(optimizer, jax.random.key(0)).title
    'GRU(3)'
    ```

    **Arguments:** `optimizer`; `key`, of the initial weights; `family`, of the tasks, whose losses
    are counted.

    **Raises:** `ValueError` for settings out of range, if a person's own code makes anything else,
    for a weighting of tasks with one loss, and for one gradient's optimizer without a weighting on
    tasks with several.
    """
    check_kind("optimizer", optimizer, Composed)
    if family is not None:
        optimizer = _for_losses(optimizer, family)
    made, _ = optimizer.make(LEARNED_OPTIMIZER, key=key)
    check_optimizer(made, optimizer.name)
    return made


def _for_losses(optimizer: Composed, family: TaskFamily) -> Composed:
    """An optimizer that is told of how many losses the tasks have, if they are several."""
    weighed = names_behind_weightings(LEARNED_OPTIMIZER)
    count = count_objectives(family)
    if optimizer.name in weighed:
        if count is None:
            raise ValueError(
                f"{optimizer.name} is for tasks with several losses, and these ({family.title}) "
                f"have one: take {weighed[optimizer.name][1]}."
            )
        if optimizer.keywords.get("num_objectives") is None:
            return optimizer.but(num_objectives=count)
    elif count is not None and f"upgrad-{optimizer.name}" in weighed:
        raise ValueError(
            f"{optimizer.name} is for tasks with one loss, and these ({family.title}) have "
            f"{count}: put a weighting first, as in upgrad-{optimizer.name} (see `l2o list`)."
        )
    return optimizer


def load_optimizer(recipe: Recipe, folder: RunFolder) -> LearnedOptimizer:
    """Reads the optimizer that a run saved.

    **Arguments:** `recipe`, which may be another one than the run's, but for code of a person's
    own that makes the optimizer, which it names; `folder`, of the run.

    **Raises:** `ValueError` as `l2o.load` does, and for an optimizer that is not that of the run's
    settings.
    """
    path, of_run = folder.optimizer, folder.read_recipe().optimizer
    if of_run.is_own:
        make = partial(make_optimizer, recipe.optimizer)
        skeleton = eqx.filter_eval_shape(make, jax.random.key(0))
        loaded = load(path, architecture=type(skeleton))
        if recipe.optimizer.keywords == of_run.keywords and _shapes(loaded) != _shapes(skeleton):
            raise ValueError(
                f"{path} does not hold the optimizer of this run: its arrays are not those that "
                f"{recipe.optimizer.name} makes of the settings in {folder.config}."
            )
        return loaded
    loaded = load(path)
    saved = name_and_keywords(loaded)
    # Of losses, the settings may leave the number open.
    settings = {"name": of_run.name} | {
        name: value
        for name, value in of_run.keywords.items()
        if name in saved.keywords and value is not None
    }
    for name, value in settings.items():
        found = saved.name if name == "name" else saved.keywords[name]
        if found != value:
            raise ValueError(
                f"{path} does not hold the optimizer of this run: its {name} is {found}, and in "
                f"{folder.config} it is {value}."
            )
    return loaded


def _shapes(optimizer: LearnedOptimizer) -> list[tuple[int, ...]]:
    return [leaf.shape for leaf in jax.tree.leaves(optimizer) if hasattr(leaf, "shape")]


def name_and_keywords(optimizer: LearnedOptimizer) -> Composed:
    """What a recipe has of an optimizer of ours."""
    maker = getattr(optimizer, "maker", type(optimizer))
    return Composed(maker.__name__, getattr(optimizer, "config", dict)())


def check_goes_with(optimizer: LearnedOptimizer, family: TaskFamily) -> None:
    """Makes sure that an optimizer is for as many losses as the tasks have, as far as is known.

    **Raises:** `ValueError` if not.
    """
    _for_losses(name_and_keywords(optimizer), family)


def of_one_gradient(optimizer: LearnedOptimizer, path: Path) -> LearnedOptimizer:
    """The optimizer that was saved in a folder, or the one behind its weighting.

    **Raises:** `ValueError` if it takes several gradients by itself.
    """
    if isinstance(optimizer, BehindWeighting):
        return optimizer.optimizer
    if isinstance(optimizer, ML2O | PlainML2O):
        raise ValueError(
            f"{path} holds an optimizer that takes the gradients of several objectives; only "
            "optimizers of one gradient can be explained."
        )
    return optimizer


def check_can_be_distilled(optimizer: LearnedOptimizer, path: Path) -> None:
    """Makes sure that an optimizer can be run on its tasks in the place of a closed form.

    **Raises:** `ValueError` if it is behind a weighting, or takes several gradients by itself.
    """
    if of_one_gradient(optimizer, path) is not optimizer:
        raise ValueError(
            f"{path} holds {optimizer.title}, which meets what its weighting makes of several "
            "gradients, and only optimizers without a weighting can be distilled; without "
            "--distill, the one behind it is explained."
        )


def make_any_optimizer(reference: str, numbers: Mapping[str, float]) -> LearnedOptimizer:
    """Makes an optimizer of a person's own, which may also be a transformation of Optax.

    **Arguments:** `reference`, names a `LearnedOptimizer`, an Optax transformation, or a function
    or class that makes one; `numbers`, settings for the latter.

    **Raises:** `ValueError` if it is none of these, and for settings that it does not take.
    """
    # A whole number does for both types.
    keywords = {name: int(n) if n.is_integer() else n for name, n in numbers.items()}
    made, _ = Composed(reference, keywords).make(LEARNED_OPTIMIZER, key=jax.random.key(0))
    if isinstance(made, LearnedOptimizer):
        return made
    if hasattr(made, "init") and hasattr(made, "update"):
        return from_optax(made)
    raise ValueError(
        f"{reference} must be an optimizer of l2o or an Optax transformation, or make one, "
        f"got {type(made).__name__}."
    )


@held_to_kinds
def find_hand_designed(name: str, num_objectives: int | None = None) -> HandDesigned:
    """The hand-designed optimizer of this name, with its search space.

    ```pycon
    >>> list(l2o.runs.find_hand_designed("momentum").space)
    ['learning_rate', 'momentum']
    ```

    **Arguments:** `name`; `num_objectives`, for a weighting that remembers something of every
    objective.

    **Raises:** `ValueError` for an unknown name, and for such a weighting without
    `num_objectives`.
    """
    weighting, settings, optimizer = split_name(name)
    plain, shape = split_schedule(optimizer)
    (alone,) = [each for each in ALL_HAND_DESIGNED if each.name == plain]
    if shape is not None:
        alone = alone.scheduled(shape)
    if weighting is None:
        return alone
    made = find_weighting(weighting)
    read = read_keywords(weighting, settings_of(made, WEIGHTING.given), settings)
    return aggregated(name, configured(made, read), alone, num_objectives=num_objectives)


def hand_designed_for(names: Sequence[str], family: TaskFamily) -> dict[str, HandDesigned]:
    """Hand-designed optimizers by name for the tasks of a family, whose losses are counted.

    **Raises:** `ValueError` for an unknown name, a weighting for tasks with one loss, and tasks
    with several losses without one.
    """
    num_objectives = count_objectives(family)
    for name in names:
        weighting, _, optimizer = split_name(name)
        if weighting is not None and num_objectives is None:
            raise ValueError(
                f"{name} is for tasks with several losses, and these ({family.title}) have one: "
                f"take {optimizer}."
            )
        if num_objectives is not None and weighting is None:
            optimizer = name.replace(BEHIND_NO_WEIGHTING, "adam")
            raise ValueError(
                f"{name} is for tasks with one loss, and these ({family.title}) have "
                f"{num_objectives}: put a weighting first, as in upgrad-{optimizer} (see "
                "`l2o list`)."
            )
    return {name: find_hand_designed(name, num_objectives) for name in names}


def baselines_for(family: TaskFamily, settings: EvaluationSettings) -> tuple[str, ...]:
    """The names of the baselines; if nobody has chosen others, those customary for the losses."""
    if settings.baselines == CUSTOMARY_BASELINES and count_objectives(family) is not None:
        return CUSTOMARY_FOR_SEVERAL_LOSSES
    return settings.baselines


def build_hand_designed(
    name: str,
    hyperparameters: Mapping[str, float],
    num_objectives: int | None = None,
    *,
    num_steps: int,
) -> LearnedOptimizer:
    """The hand-designed optimizer of this name.

    **Arguments:** `name` and `num_objectives`, as for `find_hand_designed`; `hyperparameters`,
    whose names may be anything: they are not ours; `num_steps`, over which a schedule goes.

    **Raises:** `ValueError` as `find_hand_designed` does, for an unknown name of a hyperparameter,
    and for a value out of range.
    """
    hand_designed = find_hand_designed(name, num_objectives)
    for each in hyperparameters:
        check_choice(f"A hyperparameter of {name}", each, hand_designed.space)
    return hand_designed.over(num_steps).with_hyperparameters(**hyperparameters)
