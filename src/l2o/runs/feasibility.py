"""Whether what a recipe asks for can be done at all, found out before anything is."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import equinox as eqx
import jax

from l2o.composition import error_in_a_line
from l2o.deploy._save import check_can_be_saved
from l2o.metatraining import Part, check_metatraining
from l2o.metatraining.memory import available_memory, bytes_in_words, bytes_of
from l2o.optimizers import LearnedOptimizer, per_task
from l2o.runs.building import build_curriculum
from l2o.runs.making import (
    baselines_for,
    check_goes_with,
    families_of,
    hand_designed_for,
    make_family,
    make_optimizer,
)
from l2o.runs.recipe import Recipe
from l2o.support.bad_input import explains_itself
from l2o.support.checks import LARGEST_SIZE
from l2o.tasks import TaskBatch, TaskFamily, count_objectives

# Bytes.
_LOSS = 4

# What JAX says of shapes and numbers that do not fit, on top of `ValueError`.
_MISFITS = (ValueError, TypeError, ZeroDivisionError, OverflowError)


def check_training(
    recipe: Recipe, trained_on: TaskFamily | Sequence[Part], settings: dict[str, Any]
) -> None:
    """Makes sure that meta-training can be run, and that this machine has the memory.

    All is traced with descriptions in place of arrays: nothing is compiled or run.

    **Arguments:** `recipe`; `trained_on`, its tasks, or its parts; `settings`, what `l2o.metatrain`
    is to be called with.

    **Raises:** `ValueError` for settings that do not go together, and for what takes more memory
    than there is.
    """
    check_sizes(recipe)
    families = families_of(trained_on)
    for family in families:
        with _one_sentence(_cannot_be_run(recipe, family), recipe):
            count_objectives(family)
    # Those that it is to be compared with, and their settings.
    compared_on = make_family(recipe.task, "test") if recipe.training.parts else families[0]
    hand_designed_for(baselines_for(compared_on, recipe.evaluation), compared_on)
    with _one_sentence(f"{recipe.optimizer.name} cannot be built with these settings", recipe):
        # Any of the families may refuse it; it is made for the first.
        optimizer, *_ = [
            eqx.filter_eval_shape(
                partial(make_optimizer, recipe.optimizer, family=family), jax.random.key(0)
            )
            for family in families
        ]
    # Or else the work of meta-training would be lost.
    check_can_be_saved(optimizer)
    with _one_sentence(_cannot_be_run(recipe, *families), recipe):
        curriculum = build_curriculum(recipe.training)
        check_metatraining(optimizer, trained_on, curriculum=curriculum, **settings)


def check_runs(
    recipe: Recipe, families: Sequence[TaskFamily], optimizer: LearnedOptimizer | None = None
) -> None:
    """Makes sure that there is the memory for tuning and for running on many tasks at once.

    **Arguments:** `recipe`, whose settings are each in range; `families`, all that is to be run
    on; `optimizer`, that is compared, if there is one.

    **Raises:** `ValueError` if that takes more memory than there is, and for an optimizer that
    does not go with the tasks.
    """
    check_sizes(recipe)
    settings, key = recipe.evaluation, jax.random.key(0)

    def one_step(optimizer: LearnedOptimizer | None, family: TaskFamily) -> Any:
        task = TaskBatch.draw(family, key, 1)
        params = task.init(key)
        batch = task.sample(key)
        value, gradient = task.value_and_grad(params, batch)
        if optimizer is None:
            return task, params, batch, None
        each = per_task(optimizer)
        _, state = each.update(gradient, each.init(params), params, value=value, grad=gradient)
        return task, params, batch, state

    available = available_memory()
    most_steps = max(settings.num_steps, settings.longer_steps or 0)
    for family in families:
        with _one_sentence(_cannot_be_run(recipe, family), recipe):
            if optimizer is not None:
                check_goes_with(optimizer, family)
            traced = eqx.filter_eval_shape(one_step, optimizer, family)
        data = bytes_of(family)
        a_task = max(0, bytes_of(traced) - data)
        for activity, tasks, steps in (
            ("Comparing on", settings.num_tasks, most_steps),
            ("Tuning on", settings.tuning_tasks, settings.num_steps),
        ):
            needed = data + tasks * (a_task + _LOSS * steps)
            if needed > available:
                raise ValueError(
                    f"{activity} {tasks} tasks over {steps} steps needs {bytes_in_words(needed)} "
                    f"of memory at the least, of which there are {bytes_in_words(available)}: "
                    "take fewer tasks or steps."
                )


def check_sizes(recipe: Recipe) -> None:
    """Makes sure that all whole numbers are such as an array may have for its size.

    **Raises:** `ValueError` that names the setting.
    """
    for name, value in recipe.flat().items():
        numbers = value if isinstance(value, list | tuple) else [value]
        for number in numbers:
            if type(number) is int and abs(number) > LARGEST_SIZE and name != "seed":
                raise ValueError(f"{name} must be at most {LARGEST_SIZE}, got {number}.")


def _cannot_be_run(recipe: Recipe, *families: TaskFamily) -> str:
    titles = ", ".join(family.title for family in families)
    return f"{recipe.optimizer.name} cannot be run on {titles} with these settings"


@contextmanager
def _one_sentence(beginning: str, recipe: Recipe) -> Iterator[None]:
    """Turns whatever is said of shapes and numbers into one sentence; ours is left as it is.

    Of a recipe with code of a person's own, whatever that raises.
    """
    own = recipe.own_code
    try:
        yield
    except (Exception, SystemExit) as error:
        if not (own or isinstance(error, _MISFITS)):
            raise
        if isinstance(error, Exception) and explains_itself(error):
            raise
        told = (
            error_in_a_line(error, own[0]) if own else str(error).partition(chr(10))[0].rstrip(".")
        )
        raise ValueError(f"{beginning}: {told}.") from error
