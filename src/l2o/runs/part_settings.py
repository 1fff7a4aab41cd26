"""Settings of one of the task families that are meta-trained on at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Self

import tyro

from l2o.composition import TASK_FAMILY, Composed, find_member, may_be_same
from l2o.support.checks import check_instance, check_number, check_size


@dataclass(frozen=True)
class PartSettings:
    """A family of tasks, and how it takes part: what `l2o.metatraining.Part` is made of.

    ```pycon
    >>> part = l2o.runs.PartSettings(l2o.composition.Composed("quadratic"), weight=2.0)
    >>> l2o.runs.TrainingSettings(parts=(part,)).parts[0].normalize
    False
    ```
    """

    task: Composed
    """The family of tasks."""
    weight: float = 1.0
    """The part's share of the meta-gradient, over the sum of all weights."""
    name: str | None = None
    """In metrics, after a slash; the part's number by default."""
    num_tasks: int | None = None
    """Tasks trained side by side; by default those of all parts, as for the next ones."""
    horizon: int | None = None
    """Inner steps after which tasks start afresh; with a curriculum too, if given."""
    truncation: int | None = None
    """Inner steps that one meta-gradient looks back over."""
    validation_horizon: int | None = None
    """Inner steps of validation; by default the part's own horizon, or else that of all."""
    normalize: bool = False
    """Whether to divide the meta-loss by the size of the losses where trajectories begin."""

    def check(self, number: int) -> None:
        """Makes sure that the settings are in range; JAX is left alone.

        **Arguments:** `number`, of the part, for messages.

        **Raises:** `ValueError` that names the part and the setting.
        """
        beginning = f"part {number}: "
        check_number(f"{beginning}weight", self.weight, above=0)
        if self.name is not None:
            check_instance(f"{beginning}name", self.name, str)
        for name in ("num_tasks", "horizon", "truncation", "validation_horizon"):
            if getattr(self, name) is not None:
                check_size(f"{beginning}{name}", getattr(self, name))
        check_instance(f"{beginning}normalize", self.normalize, bool)

    @classmethod
    def from_word(cls, word: str) -> Self:
        """A family with the default settings, as `--parts` names it: NAME or NAME=WEIGHT.

        **Raises:** `ValueError` for a weight that is no number above 0.
        """
        name, equals, weight = word.partition("=")
        if not equals:
            return cls(Composed(name))
        try:
            part = cls(Composed(name), float(weight))
            part.check(1)
        except ValueError:
            raise ValueError(
                f"--parts takes NAME or NAME=WEIGHT, with a number above 0, got {word}."
            ) from None
        return part

    @property
    def word(self) -> str:
        """What `--parts` names it by."""
        return self.task.name if self.weight == 1 else f"{self.task.name}={self.weight:g}"


def named_parts(parts: tuple[PartSettings, ...], words: Sequence[str]) -> tuple[PartSettings, ...]:
    """The parts that a command line names.

    Of those that a recipe has, the settings stay, but for a weight that is given; the others have
    the default settings.

    **Arguments:** `parts`, the recipe's; `words`, of the command line, NAME or NAME=WEIGHT each.

    **Raises:** `ValueError` for an unknown name, and for a weight that is no number above 0.
    """
    left = list(parts)
    found = []
    for word in words:
        named = PartSettings.from_word(word)
        task = named.task
        if not task.is_own:
            task = Composed(find_member(TASK_FAMILY, task.name).name)
        known = next((each for each in left if may_be_same(task.name, each.task.name)), None)
        if known is None:
            found.append(replace(named, task=task))
            continue
        left.remove(known)
        # From another folder the same file has another name.
        task = replace(known.task, name=task.name, confirmed=True)
        weight = named.weight if "=" in word else known.weight
        found.append(replace(known, task=task, weight=weight))
    return tuple(found)


PartByName = Annotated[
    PartSettings,
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="NAME[=WEIGHT]",
        instance_from_str=lambda words: PartSettings.from_word(words[0]),
        is_instance=lambda value: isinstance(value, PartSettings),
        str_from_instance=lambda part: [part.word],
    ),
]
