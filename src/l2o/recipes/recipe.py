"""A whole experiment as plain data, and its form in JSON."""

import difflib
import json
import reprlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

import tyro

from l2o.recipes.evaluation_settings import EvaluationSettings
from l2o.recipes.optimizer_settings import AnyOptimizer
from l2o.recipes.regularization_settings import RegularizationSettings
from l2o.recipes.task_settings import AnyTask
from l2o.recipes.training_settings import TrainingSettings

if TYPE_CHECKING:
    from cattrs.preconf.json import JsonConverter
    from jaxtyping import PRNGKeyArray


# On the command line, fields of all but the evaluation are flags without a prefix.
@dataclass(frozen=True)
class Recipe:
    """Everything that a run depends on.

    **Raises:** `ValueError` for settings of meta-training or evaluation that are out of range.
    """

    name: tyro.conf.Suppress[str]
    description: tyro.conf.Suppress[str]
    task: tyro.conf.OmitArgPrefixes[AnyTask]
    optimizer: tyro.conf.OmitArgPrefixes[AnyOptimizer]
    training: tyro.conf.OmitArgPrefixes[TrainingSettings] = field(default_factory=TrainingSettings)
    regularization: tyro.conf.OmitArgPrefixes[RegularizationSettings] = field(
        default_factory=RegularizationSettings
    )
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    seed: int = 0
    """Seed of all randomness, from 0 to 4294967295."""

    def __post_init__(self) -> None:
        from l2o.support.checks import check_integer

        # Of a larger number, JAX would take the last 32 bits.
        check_integer("seed", self.seed, least=0, most=2**32 - 1)
        self.training.check()
        self.regularization.check(self.training.truncation)
        self.evaluation.check()

    def keys(self) -> "tuple[PRNGKeyArray, PRNGKeyArray, PRNGKeyArray]":
        """Randomness for initial weights, for meta-training, and for tuning and comparing."""
        import jax

        weights, training, evaluation = jax.random.split(jax.random.key(self.seed), 3)
        return weights, training, evaluation

    def as_dict(self) -> dict[str, Any]:
        """The recipe, complete, in what JSON knows."""
        return _converter().unstructure(self)

    def flat(self) -> dict[str, Any]:
        """Every setting by its path, such as `training.meta_steps`."""
        return _flat(self.as_dict())

    def to_json(self) -> str:
        """The recipe, complete, as JSON."""
        return json.dumps(self.as_dict(), indent=2)

    @classmethod
    def from_json(cls, text: str | bytes, source: Path) -> "Recipe":
        """Reads what `to_json` wrote.

        **Arguments:** `text`; `source`, where it comes from, for the message.

        **Raises:** `ValueError`, in one sentence, for text that is no JSON, and for fields that
        are missing, unknown or of the wrong type.
        """
        from cattrs import BaseValidationError, transform_error

        from l2o.support.strict_json import read_json

        content = read_json(text, source)
        if not isinstance(content, dict):
            raise ValueError(
                f"{source} is no valid recipe: expected an object, got {reprlib.repr(content)}."
            )
        try:
            return _converter().structure(content, cls)
        except BaseValidationError as error:
            problem = transform_error(error, format_exception=_describe)[0]
            raise ValueError(f"{source} is no valid recipe: {problem}.") from error


@cache
def _converter() -> "JsonConverter":
    """Between recipes and JSON; a field `kind` tells which of several classes settings are of."""
    from cattrs.preconf.json import make_converter
    from cattrs.strategies import configure_tagged_union

    converter = make_converter(forbid_extra_keys=True)
    # Left to itself, cattrs would take "7" for an integer, and 7.9 for 7.
    converter.register_structure_hook(int, lambda value, _: _of_type(value, int))
    converter.register_structure_hook(float, lambda value, _: float(_of_type(value, int, float)))
    converter.register_structure_hook(bool, lambda value, _: _of_type(value, bool))
    converter.register_structure_hook(str, lambda value, _: _of_type(value, str))
    # Nor a text, or an object, for the list of what is in it.
    converter.register_structure_hook_func(_is_list, partial(_structure_list, converter))
    for union in (AnyTask, AnyOptimizer):
        configure_tagged_union(union, converter, tag_name="kind")
        structure = converter.get_structure_hook(union)
        converter.register_structure_hook(union, partial(_structure_kind, structure))
    return converter


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, with the path to each entry as its name."""
    flat = {}
    for name, value in tree.items():
        is_nested = isinstance(value, dict)
        flat |= _flat(value, f"{prefix}{name}.") if is_nested else {f"{prefix}{name}": value}
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


def _structure_list(converter: "JsonConverter", value: Any, kind: Any) -> tuple[Any, ...]:
    """Reads a tuple from a list."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"expected a list, got {value!r}")
    return tuple(converter.structure(value, list[get_args(kind)[0]]))


def _structure_kind(structure: Callable[[Any, Any], Any], value: Any, union: Any) -> Any:
    """Reads settings of one of several classes, having made sure that there is such a class."""
    kinds = [settings.__name__ for settings in get_args(union)]
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind not in kinds:
        near = difflib.get_close_matches(str(kind), kinds, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(f"kind must be one of {', '.join(kinds)}, got {reprlib.repr(kind)}{hint}")
    return structure(value, union)


def _describe(error: BaseException, _: type | None) -> str:
    """What is wrong with a field, without the path to it."""
    from cattrs import ForbiddenExtraKeysError

    if isinstance(error, ForbiddenExtraKeysError):
        return f"unknown field {', '.join(sorted(error.extra_fields))}"
    if isinstance(error, KeyError):
        return f"missing field {error.args[0]}"
    return str(error).removesuffix(".")
