"""Families that an optimizer is meta-trained on at once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from l2o.metatraining.programs import initial_loss
from l2o.metatraining.validation import Validation
from l2o.objectives import Objective
from l2o.support.checks import check_instance, check_number, check_size
from l2o.tasks import TaskFamily, check_family


@dataclass(frozen=True)
class Part:
    """One of the task families that an optimizer is meta-trained on.

    Every meta-step follows the mean of all parts' meta-gradients. Losses of different families have
    different sizes, and the largest would have its way. `normalize` divides the part's meta-loss,
    regularizers included, by the mean size of the losses where trajectories begin (those of the
    validation tasks). That is a number of the family's own, so the meta-loss stays one function of
    the optimizer, the same at every meta-step and in validation. Dividing by the present size of
    the meta-gradient would instead raise those that are nothing but noise to the size of the
    others. An objective of ratios, such as `NormalizedMeanLoss`, does the same task by task.

    **Arguments:**

    - `family`: the tasks.
    - `weight`: the part's share of the meta-gradient, over the sum of all weights.
    - `name`: in metrics, after a slash; the part's number by default.
    - `num_tasks`, `horizon`, `truncation`: as for `metatrain`; what is given there by default. In a
      curriculum, a part with a horizon of its own keeps it.
    - `validation_family`: to select the best optimizer on; `family` by default.
    - `validation_horizon`: the part's own `horizon` by default, or else what `metatrain` is given.
    - `normalize`: whether to divide its meta-loss by the size of its losses.

    **Raises:** `ValueError` for a weight that is not above 0, and for arguments of another kind.

    ```pycon
    >>> quadratics = [l2o.tasks.QuadraticFamily(dimension=size) for size in (2, 3)]
    >>> small, large = (l2o.metatraining.Part(family, num_tasks=2) for family in quadratics)
    >>> result = l2o.metatrain(
    ...     l2o.optimizers.RNNProp(hidden_size=2, key=jax.random.key(0)),
    ...     [small, large],
    ...     key=jax.random.key(1),
    ...     meta_steps=2,
    ...     horizon=4,
    ...     truncation=2,
    ... )
    >>> sorted(name for name in result.history[0] if name.startswith("meta_loss/"))
    ['meta_loss/1', 'meta_loss/2']
    ```
    """

    family: TaskFamily
    weight: float = 1.0
    name: str | None = None
    num_tasks: int | None = None
    horizon: int | None = None
    truncation: int | None = None
    validation_family: TaskFamily | None = None
    validation_horizon: int | None = None
    normalize: bool = False

    def __post_init__(self) -> None:
        check_family(self.family)
        check_number("weight", self.weight, above=0)
        if self.name is not None:
            check_instance("name", self.name, str)
        for name in ("num_tasks", "horizon", "truncation", "validation_horizon"):
            if getattr(self, name) is not None:
                check_size(name, getattr(self, name))
        if self.validation_family is not None:
            check_family(self.validation_family, "validation_family")
        check_instance("normalize", self.normalize, bool)


@dataclass(frozen=True)
class Settled:
    """A part with all that was left open."""

    family: TaskFamily
    share: float
    name: str
    num_tasks: int
    horizon: int
    truncation: int
    validation_family: TaskFamily
    validation_horizon: int
    normalize: bool

    def factor(self, validation: Validation) -> float:
        """What the part's meta-loss is multiplied by: its share, by the size of its losses.

        **Raises:** `ValueError` for losses that begin at zero, or at what is not finite, and for a
        factor that single precision does not have.
        """
        if not self.normalize:
            return self.share
        size = float(initial_loss(validation))
        if not (math.isfinite(size) and size > 0 and _is_single(self.share / size)):
            raise ValueError(
                f"Part {self.name} cannot be normalised by its losses, whose mean size is {size} "
                "where trajectories begin."
            )
        return self.share / size


def _is_single(factor: float) -> bool:
    """Whether single precision has a number, with all of its digits."""
    limits = np.finfo(np.float32)
    return float(limits.tiny) <= factor <= float(limits.max)


def settled(
    family: TaskFamily | Sequence[Part],
    *,
    num_tasks: int,
    horizon: int,
    truncation: int,
    validation_family: TaskFamily | None,
    validation_horizon: int | None,
    objective: Objective,
) -> tuple[Settled, ...]:
    """The parts that a meta-training has, with the settings of all where a part has none.

    **Arguments:** those of `metatrain`.

    **Raises:** `ValueError` for parts that are none, of the same name, or that do not fit.
    """
    # A text is a sequence, too.
    if isinstance(family, list | tuple):
        if not family:
            raise ValueError("Meta-training needs at least one part.")
        for part in family:
            check_instance("Each part in family", part, Part, "Write metatraining.Part(family).")
        if validation_family is not None:
            raise ValueError("validation_family is for a single family; each part has its own.")
        parts = tuple(family)
    else:
        check_family(family)
        parts = (Part(cast(TaskFamily, family), validation_family=validation_family),)
    # Of NumPy, weights may be in single precision, and their sum beyond it.
    total = sum(float(part.weight) for part in parts)
    done = tuple(
        Settled(
            family=part.family,
            share=float(part.weight) / total,
            name=str(number) if part.name is None else part.name,
            num_tasks=part.num_tasks or num_tasks,
            horizon=part.horizon or horizon,
            truncation=part.truncation or truncation,
            validation_family=part.validation_family or part.family,
            validation_horizon=part.validation_horizon
            or part.horizon
            or validation_horizon
            or horizon,
            normalize=part.normalize,
        )
        for number, part in enumerate(parts, start=1)
    )
    names = [part.name for part in done]
    for part in done:
        of_part = f"part {part.name}: " if len(done) > 1 else ""
        if names.count(part.name) > 1:
            raise ValueError(f"Two parts are called {part.name}.")
        if not _is_single(part.share):
            raise ValueError(
                f"{of_part}weight must not be nothing beside those of the others, got a share of "
                f"{part.share:.1e}."
            )
        if part.horizon % part.truncation:
            raise ValueError(
                f"{of_part}truncation must divide horizon, got {part.truncation} and "
                f"{part.horizon}."
            )
        if part.normalize and objective.relative:
            raise ValueError(
                f"{of_part}normalize is for objectives of losses as they are; "
                f"{type(objective).__name__} takes them relative to the initial one already."
            )
    return done
