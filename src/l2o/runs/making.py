"""Tasks and optimizers made of their names and keywords."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from l2o.composition import LEARNED_OPTIMIZER, TASK_FAMILY, Composed

if TYPE_CHECKING:
    from jaxtyping import PRNGKeyArray

    from l2o.optimizers import LearnedOptimizer
    from l2o.tasks import TaskFamily

JudgeOn = Literal["validation", "test"]
"""The split for held-out metrics: validation for all choices, test for the final word."""


def complete_task(task: Composed) -> Composed:
    """A family of tasks with all of its settings.

    A person's own, which only a file names, is left as it is there.

    **Raises:** `ValueError` for an unknown name, and for settings that are unknown or of the wrong
    type.
    """
    return task.completed(TASK_FAMILY) if task.confirmed else task


def make_family(task: Composed, judge_on: JudgeOn) -> "TaskFamily":
    """Makes a family of tasks.

    **Arguments:** `task`; `judge_on`, the split for held-out metrics, where there are some.

    **Raises:** `ValueError` for settings out of range, for data that are missing, and if a person's
    own code makes anything else.
    """
    from l2o.tasks import ReparameterizedFamily, SingleTask, Task, check_family

    family, shared = task.make(TASK_FAMILY, judge_on=judge_on)
    if isinstance(family, Task):
        family = SingleTask(family)
    check_family(family)
    scale = shared.get("max_log_scale")
    return ReparameterizedFamily(family, scale) if scale else family


def make_optimizer(optimizer: Composed, key: "PRNGKeyArray") -> "LearnedOptimizer":
    """Makes a learned optimizer, before meta-training.

    **Arguments:** `optimizer`; `key`, of the initial weights.

    **Raises:** `ValueError` for settings out of range, and if a person's own code makes anything
    else.
    """
    from l2o.optimizers import check_optimizer

    made, _ = optimizer.make(LEARNED_OPTIMIZER, key=key)
    check_optimizer(made, optimizer.name)
    return made


def load_optimizer(optimizer: Composed, path: Path) -> "LearnedOptimizer":
    """Reads an optimizer that a run saved.

    **Arguments:** `optimizer`, what the run's settings say of it; `path`, the folder.

    **Raises:** `ValueError` as `l2o.load` does.
    """
    import equinox as eqx
    import jax

    from l2o.deploy import load

    if not optimizer.is_own:
        return load(path)
    skeleton = eqx.filter_eval_shape(partial(make_optimizer, optimizer), jax.random.key(0))
    return load(path, architecture=type(skeleton))


def make_any_optimizer(reference: str, numbers: Mapping[str, float]) -> "LearnedOptimizer":
    """Makes an optimizer of a person's own, which may also be a transformation of Optax.

    **Arguments:** `reference`, names a `LearnedOptimizer`, an Optax transformation, or a function
    or class that makes one; `numbers`, settings for the latter.

    **Raises:** `ValueError` if it is none of these, and for settings that it does not take.
    """
    import jax

    from l2o.optimizers import LearnedOptimizer, from_optax

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
