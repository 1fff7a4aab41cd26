"""A whole experiment as plain data, and its form in JSON."""

import json
import reprlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, Unpack, get_args, get_origin

from cattrs import BaseValidationError, ForbiddenExtraKeysError, transform_error
from cattrs.preconf.json import JsonConverter, make_converter

from l2o.composition import (
    LEARNED_OPTIMIZER,
    TASK_FAMILY,
    Composed,
    Kind,
    digest_of_code,
    may_be_same,
)
from l2o.runs.earlier_versions import in_this_version
from l2o.runs.evaluation_settings import EvaluationChanges, EvaluationSettings
from l2o.runs.regularization import Regularization
from l2o.runs.training_settings import TrainingSettings
from l2o.support.checks import check_choice, check_integer, nearest
from l2o.support.kinds import check_fields
from l2o.support.strict_json import read_json


@dataclass(frozen=True)
class Recipe:
    """Everything that a run depends on.

    **Raises:** `ValueError` for settings of meta-training or evaluation that are out of range.
    """

    name: str
    description: str
    task: Composed
    """The family of tasks; with `training.parts` the one that is compared on."""
    optimizer: Composed
    """The learned optimizer."""
    training: TrainingSettings = field(default_factory=TrainingSettings)
    regularization: Regularization = field(default_factory=Regularization)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    seed: int = 0
    """Seed of all randomness, from 0 to 4294967295."""

    def __post_init__(self) -> None:
        check_fields(self)
        # Of a larger number, JAX would take the last 32 bits.
        check_integer("seed", self.seed, least=0, most=2**32 - 1)
        self.training.check()
        self.regularization.check(self.training.shortest_truncation)
        self.evaluation.check()

    def completed(self) -> "Recipe":
        """The same with all settings of the task and the optimizer, those not given with defaults.

        A person's own, which only a file names, is left as it is there, and not imported.

        **Raises:** `ValueError` for unknown names, and for settings that are unknown or of the
        wrong type.
        """
        evaluation = self.evaluation
        return replace(
            self,
            task=_completed(self.task, TASK_FAMILY),
            optimizer=_completed(self.optimizer, LEARNED_OPTIMIZER),
            training=self.training.completed(),
            regularization=self.regularization.completed(),
            evaluation=replace(
                evaluation,
                other_tasks=tuple(_completed(task, TASK_FAMILY) for task in evaluation.other_tasks),
            ),
        )

    def with_evaluation(
        self, *, seed: int | None = None, **changes: Unpack[EvaluationChanges]
    ) -> "Recipe":
        """The same with other settings of the evaluation.

        **Arguments:** `seed`, if there is to be another one; `changes`, fields of
        `EvaluationSettings`.

        **Raises:** `ValueError` for settings out of range.
        """
        for name in changes:
            check_choice("A setting of the evaluation", name, vars(self.evaluation))
        evaluation = replace(self.evaluation, **changes)
        return replace(self, evaluation=evaluation, seed=self.seed if seed is None else seed)

    def confirm(
        self, *, task: str | None = None, optimizer: str | None = None, parts: Sequence[str] = ()
    ) -> "Recipe":
        """The same, where a command line names the code of a person's own that is in it.

        **Arguments:** `task` and `optimizer`, what is named, if anything; `parts`, the tasks of
        `training.parts`, of which all are named, or none: they are for meta-training alone.

        **Raises:** `ValueError` if it has others, and for code of a person's own that is not named.
        """
        confirmed = replace(
            self,
            task=_confirmed(self.task, TASK_FAMILY, task),
            optimizer=_confirmed(self.optimizer, LEARNED_OPTIMIZER, optimizer),
            training=self.training.with_parts_named(parts) if parts else self.training,
        )
        if len(confirmed.training.parts) != len(self.training.parts):
            raise ValueError(
                f"The recipe has {len(self.training.parts)} parts, not {len(parts)}: "
                f"{', '.join(parts)}."
            )
        made = {TASK_FAMILY.flag: confirmed.task, LEARNED_OPTIMIZER.flag: confirmed.optimizer}
        others = [each.name for each in self.evaluation.other_tasks if not each.confirmed]
        if others:
            raise ValueError(
                f"evaluation.other_tasks has code of your own, {', '.join(others)}, which no "
                "command can name: take it out."
            )
        missing = [f"{flag} {each.name}" for flag, each in made.items() if not each.confirmed]
        if missing:
            raise ValueError(
                "The run was made with code of your own, which is run only where you name it: add "
                f"{' '.join(missing)}."
            )
        return confirmed

    def naming_own_code(self) -> list[str]:
        """The words that name code of a person's own again, for a command line."""
        made = {TASK_FAMILY: self.task, LEARNED_OPTIMIZER: self.optimizer}
        return [
            word
            for kind, composed in made.items()
            if composed.is_own
            for word in (kind.flag, composed.name)
        ]

    def digests_of_code(self) -> dict[str, str | None]:
        """A digest of each file that code of a person's own is in, by the flag that names it."""
        made = {TASK_FAMILY.flag: self.task, LEARNED_OPTIMIZER.flag: self.optimizer}
        for number, part in enumerate(self.training.parts, start=1):
            made[f"part {number}"] = part.task
        return {
            name: digest_of_code(composed.name)
            for name, composed in made.items()
            if composed.is_own
        }

    @property
    def own_code(self) -> list[str]:
        """The names of a person's own tasks and optimizers in it."""
        tasks = [self.task, *(part.task for part in self.training.parts)]
        return [composed.name for composed in (*tasks, self.optimizer) if composed.is_own]

    def as_dict(self) -> dict[str, Any]:
        """The recipe in what JSON knows."""
        return _converter().unstructure(self)

    def flat(self) -> dict[str, Any]:
        """Every setting by its path, such as `training.meta_steps`."""
        return _flat(self.as_dict())

    def to_json(self) -> str:
        """The recipe as JSON."""
        return json.dumps(self.as_dict(), indent=2)

    @classmethod
    def from_json(cls, text: str | bytes, source: Path) -> "Recipe":
        """Reads what `to_json` wrote, in this version or an earlier one.

        A person's own code that it names is not imported before `confirm`.

        **Arguments:** `text`; `source`, where it comes from, for the message.

        **Raises:** `ValueError`, in one sentence, for text that is no JSON, and for fields that
        are missing, unknown or of the wrong type.
        """
        content = read_json(text, source)
        if not isinstance(content, dict):
            raise ValueError(
                f"{source} is no valid recipe: expected an object, got {reprlib.repr(content)}."
            )
        try:
            return _converter().structure(in_this_version(content), cls)
        except BaseValidationError as error:
            problem = transform_error(error, format_exception=_describe)[0]
            raise ValueError(f"{source} is no valid recipe: {problem}.") from error


@cache
def _converter() -> JsonConverter:
    """Between recipes and JSON."""
    converter = make_converter(forbid_extra_keys=True)
    # Left to itself, cattrs would take "7" for an integer, and 7.9 for 7.
    converter.register_structure_hook(int, lambda value, _: _of_type(value, int))
    converter.register_structure_hook(float, lambda value, _: float(_of_type(value, int, float)))
    converter.register_structure_hook(bool, lambda value, _: _of_type(value, bool))
    converter.register_structure_hook(str, lambda value, _: _of_type(value, str))
    # Nor a text, or an object, for the list of what is in it.
    converter.register_structure_hook_func(_is_list, partial(_structure_list, converter))
    converter.register_structure_hook_func(_is_choice, _structure_choice)
    converter.register_structure_hook(Composed, lambda value, _: _structure_composed(value))
    converter.register_unstructure_hook(Composed, Composed.as_dict)
    return converter


def _flat(tree: dict[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, with the path to each entry as its name."""
    flat = {}
    for name, value in tree.items():
        is_list = isinstance(value, list | tuple) and any(isinstance(item, dict) for item in value)
        nested = dict(enumerate(value)) if is_list else value
        if isinstance(nested, dict):
            flat |= _flat(nested, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _of_type(value: Any, *types: type) -> Any:
    """The value itself, if it is of one of the types. Booleans are no integers."""
    if type(value) not in types:
        expected = " or ".join(each.__name__ for each in types)
        raise ValueError(f"expected {expected}, got {reprlib.repr(value)}")
    return value


def _is_list(kind: Any) -> bool:
    """Whether a type is a tuple of any length."""
    return get_origin(kind) is tuple and Ellipsis in get_args(kind)


def _structure_list(converter: JsonConverter, value: Any, kind: Any) -> tuple[Any, ...]:
    """Reads a tuple from a list."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"expected a list, got {value!r}")
    return tuple(converter.structure(value, list[get_args(kind)[0]]))


def _is_choice(kind: Any) -> bool:
    """Whether a type is one of some words."""
    return get_origin(kind) is Literal


def _structure_choice(value: Any, kind: Any) -> Any:
    """Reads one of some words."""
    options = get_args(kind)
    if value not in options:
        hint = _nearest(value, options) if isinstance(value, str) else ""
        raise ValueError(f"expected one of {', '.join(options)}, got {reprlib.repr(value)}{hint}")
    return value


def _nearest(name: str, known: Iterable[str]) -> str:
    """What a wrong name may have been meant for, in brackets."""
    near = nearest(name, known)
    return "" if near is None else f" (did you mean {near!r}?)"


def _structure_composed(value: Any) -> Composed:
    """Reads a name and keywords."""
    expected = {each.name for each in fields(Composed)} - {"confirmed"}
    if not isinstance(value, dict) or set(value) != expected:
        unknown = sorted(set(value) - expected) if isinstance(value, dict) else []
        said = f"; unknown field {', '.join(unknown)}" if unknown else ""
        hint = _nearest(unknown[0], expected) if unknown else ""
        raise ValueError(f"expected a name and keywords, got {reprlib.repr(value)}{said}{hint}")
    name, keywords = _of_type(value["name"], str), value["keywords"]
    if not isinstance(keywords, dict):
        raise ValueError(f"expected keywords, got {reprlib.repr(keywords)}")
    return Composed(name, keywords, confirmed=":" not in name)


def _completed(composed: Composed, kind: Kind) -> Composed:
    """With all of its settings; a person's own, which only a file names, as it is there."""
    return composed.completed(kind) if composed.confirmed else composed


def _confirmed(composed: Composed, kind: Kind, name: str | None) -> Composed:
    """What a file names, once the command line names the same."""
    if name is None:
        return composed
    if not may_be_same(name, composed.name):
        raise ValueError(f"The {kind.title} here is {composed.name}, not {name}.")
    # From another folder the same file has another name.
    return replace(composed, name=name, confirmed=True)


def _describe(error: BaseException, _: type | None) -> str:
    """What is wrong with a field, without the path to it."""
    if isinstance(error, ForbiddenExtraKeysError):
        unknown = sorted(error.extra_fields)
        hint = _nearest(unknown[0], (each.name for each in fields(error.cl)))
        return f"unknown field {', '.join(unknown)}{hint}"
    if isinstance(error, KeyError):
        return f"missing field {error.args[0]}"
    return str(error).removesuffix(".")
