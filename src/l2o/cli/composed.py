"""Flags of what is made by name and keywords: of its own signature and docstring."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, make_dataclass, replace
from typing import Annotated, Any

import tyro

from l2o.composition import (
    ESTIMATOR,
    LEARNED_OPTIMIZER,
    REGULARIZER,
    REQUIRED,
    TASK_FAMILY,
    Composed,
    Kind,
    Setting,
    find_member,
    members,
    read_keywords,
    summary,
)
from l2o.runs import Recipe, Regularization, TrainingSettings
from l2o.runs.hand_designed import is_hand_designed

OWN_TASK_HELP = (
    "Your own family of tasks that the run was made with, module:attribute or file.py:attribute: "
    "its code is run only where it is named."
)
OWN_OPTIMIZER_HELP = (
    "Your own learned optimizer that the run was made with, module:attribute or "
    "file.py:attribute: its code is run only where it is named."
)


def word_after(
    flag: str,
    arguments: Sequence[str],
    takes: str = "a name, as `l2o list` shows, or one of your own",
) -> str | None:
    """What is given with a flag, which `takes` something, before all flags are known.

    **Raises:** `ValueError` if nothing is.
    """
    for index, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == flag:
            value = value if equals else "".join(arguments[index + 1 : index + 2])
            if not value or value.startswith("-"):
                raise ValueError(f"{flag} takes {takes}.")
            return value
    return None


def words_after(flag: str, arguments: Sequence[str]) -> list[str] | None:
    """What is given with a flag of any number of words, if it is, all of its occurrences."""
    words: list[str] = []
    name = ""
    for argument in arguments:
        if argument.startswith("-"):
            name, _, argument = argument.partition("=")
        words += [argument] if name == flag else []
    return [word for word in words if word] if words else None


def named_on(arguments: Sequence[str], recipe: Recipe) -> Recipe:
    """A recipe with the tasks, the optimizer and the estimator that arguments name, if they do.

    What is another than the recipe's has its own defaults, and the recipe another name.
    """
    task = _named(recipe.task, word_after(TASK_FAMILY.flag, arguments), TASK_FAMILY)
    optimizer = _named(
        recipe.optimizer, word_after(LEARNED_OPTIMIZER.flag, arguments), LEARNED_OPTIMIZER
    )
    estimator = _named(recipe.training.estimator, word_after(ESTIMATOR.flag, arguments), ESTIMATOR)
    training = replace(recipe.training, estimator=estimator)
    words = words_after("--parts", arguments)
    if words is not None:
        training = training.with_parts_named(words)
    before = (recipe.task.name, recipe.optimizer.name, _names(recipe.training))
    recipe = replace(recipe, task=task, optimizer=optimizer, training=training)
    if (task.name, optimizer.name, _names(training)) == before:
        return recipe
    first, *others = _names(training) or [task.name]
    more = f" and {len(others)} more" if others else ""
    return replace(
        recipe,
        name=f"{_word(optimizer.name)}-on-{_word(first)}{more.replace(' ', '-')}",
        description=f"{optimizer.name} on {first}{more}.",
    )


def flags_of(composed: Composed, kind: Kind, taken: Collection[str]) -> Any:
    """The settings of something composed as an instance of a dataclass, with its flags.

    **Arguments:** `composed`; `kind`; `taken`, names of flags that others have: the settings of
    these names have flags that begin with the kind, as in `--task.decay`.

    **Raises:** `ValueError` for unknown names and settings.
    """
    settings = composed.settings(kind)
    given = read_keywords(composed.name, settings, composed.keywords)
    room = kind.flag.removeprefix("--")
    annotations = {}
    for setting in settings.values():
        name = f"{room}.{setting.name}" if setting.name in taken else None
        flag = tyro.conf.arg(name=name, help=setting.description)
        annotations[setting.name] = Annotated[setting.type, flag]
    made = make_dataclass(composed.name, annotations.items(), frozen=True, kw_only=True)
    made.__doc__ = summary(composed.maker(kind)) or composed.name
    return made(**{name: _default(setting, given) for name, setting in settings.items()})


def regularizer_flags(regularization: Regularization) -> Any:
    """The weights and settings of all regularizers as an instance of a dataclass, with its flags.

    The flag of a regularizer is its weight, and its settings have flags that begin with its name,
    as in `--hessian-norm 0.1 --hessian-norm.num-iterations 5`.

    **Raises:** `ValueError` for unknown names and settings.
    """
    given = {regularizer.name: regularizer for regularizer in regularization.regularizers}
    annotations, defaults = {}, {}
    for name, member in members(REGULARIZER).items():
        regularizer = given.get(name, Composed(name, {"weight": 0.0}))
        settings = regularizer.settings(REGULARIZER)
        keywords = read_keywords(name, settings, regularizer.keywords)
        for setting in settings.values():
            is_weight = setting.name == "weight"
            flag = tyro.conf.arg(
                name=name if is_weight else f"{name}.{setting.name}",
                help=f"Weight of: {member.description}" if is_weight else setting.description,
            )
            field = _field(name, setting.name)
            annotations[field] = Annotated[setting.type, flag]
            defaults[field] = _default(setting, keywords)
    made = make_dataclass("Regularizers", annotations.items(), frozen=True, kw_only=True)
    made.__doc__ = "What is added to the meta-loss, so that networks do better on unseen data."
    return made(**defaults)


def with_regularizer_flags(regularization: Regularization, flags: Any) -> Regularization:
    """The same with the regularizers whose weights are not zero, as was read from their flags.

    **Raises:** `ValueError` for a setting of one that has no weight.
    """
    read = []
    # Those of the recipe keep their order, by which they get their random numbers.
    before = [regularizer.name for regularizer in regularization.regularizers]
    for name in dict.fromkeys((*before, *members(REGULARIZER))):
        settings = Composed(name).settings(REGULARIZER)
        keywords = {setting: getattr(flags, _field(name, setting)) for setting in settings}
        if keywords["weight"]:
            read.append(Composed(name, keywords))
            continue
        for setting in settings.values():
            if setting.default is not REQUIRED and keywords[setting.name] != setting.default:
                flag = f"--{name}.{setting.name}".replace("_", "-")
                if name not in before:
                    raise ValueError(f"{flag} is of no effect without a weight: add --{name} 0.1.")
    return replace(regularization, regularizers=tuple(read))


def with_flags(composed: Composed, kind: Kind, flags: Any) -> Composed:
    """The same with all that was read from its flags, in the order of its settings."""
    keywords = {each.name: getattr(flags, each.name) for each in fields(flags)}
    return replace(composed, keywords=keywords).completed(kind)


def names_of_flags(*settings: Any) -> set[str]:
    """The names of all fields of some dataclasses, and that of help."""
    return {"help", *(each.name for some in settings for each in fields(some))}


def names_of_regularizers() -> set[str]:
    """The names of regularizers as those of fields: the flags of their weights."""
    return {name.replace("-", "_") for name in members(REGULARIZER)}


def _names(training: TrainingSettings) -> list[str]:
    return [part.task.name for part in training.parts]


def _named(composed: Composed, name: str | None, kind: Kind) -> Composed:
    if name is None:
        return composed
    if name == composed.name:
        return replace(composed, confirmed=True)
    named = Composed(name)
    if named.is_own:
        return named
    if kind is LEARNED_OPTIMIZER and is_hand_designed(name):
        raise ValueError(
            f"{name} is hand-designed: there is nothing to meta-train. `l2o tune {name}` tunes it, "
            f"and --evaluation.baselines {name} compares with it."
        )
    shown = find_member(kind, name).name
    return composed if shown == composed.name else Composed(shown)


def _default(setting: Setting, given: Mapping[str, Any]) -> Any:
    """What a flag has for its default; without one, it has to be given."""
    otherwise = tyro.MISSING if setting.default is REQUIRED else setting.default
    return given.get(setting.name, otherwise)


def _field(name: str, setting: str) -> str:
    """The field of a regularizer's setting among those of all."""
    return f"{name}__{setting}".replace("-", "_")


def _word(name: str) -> str:
    """A name as a part of one of a folder: of a person's own, the attribute."""
    return re.sub(r"[^\w-]+", "-", name.rpartition(":")[2]).strip("-").lower()
