"""The settings of a callable: its keywords, with their types, defaults and descriptions."""

import inspect
import reprlib
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from l2o.composition.docstrings import argument_texts
from l2o.support.checks import check_choice

REQUIRED = inspect.Parameter.empty
"""Stands where a setting has no default."""

_SIMPLE = (bool, int, float, str, NoneType)


@dataclass(frozen=True)
class Setting:
    """A keyword of a callable whose values are numbers, texts, or lists of them.

    ```pycon
    >>> setting = l2o.composition.settings_of(l2o.tasks.QuadraticFamily)["dimension"]
    >>> setting.default, setting.read(7)
    (5, 7)
    ```
    """

    name: str
    type: Any
    """As an annotation."""
    default: Any
    """`REQUIRED` where there is none."""
    description: str

    def read(self, value: Any) -> Any:
        """A value as the callable takes it: lists as tuples, whole numbers as floats.

        **Raises:** `ValueError` for a value of another type.
        """
        try:
            return _read(value, self.type)
        except _MisfitError:
            raise ValueError(
                f"{self.name} must be {_in_words(self.type)}, got {reprlib.repr(value)}."
            ) from None


def settings_of(maker: Callable[..., Any], given: Collection[str] = ()) -> dict[str, Setting]:
    """The settings of a function or class by name.

    A type that is a union counts with those of its members that JSON knows. Arguments of which
    nothing is left are no settings, if they have a default. One without a type is of the type of
    its default, or else a number.

    **Arguments:** `maker`; `given`, arguments that are no settings.

    **Raises:** `ValueError` for an argument that has neither a default nor a type for a flag.

    ```pycon
    >>> list(l2o.composition.settings_of(l2o.optimizers.RNNProp, given=["key"]))
    ['hidden_size', 'decay', 'max_step']
    ```
    """
    texts = argument_texts(maker)
    try:
        parameters = inspect.signature(maker).parameters
    except ValueError:
        raise ValueError(f"{maker!r} does not tell its arguments.") from None
    hints = _hints(maker)
    settings: dict[str, Setting] = {}
    for name, parameter in parameters.items():
        if name in given or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        default = parameter.default
        # A number is the most that can be meant where nothing is said.
        unsaid = float if default is REQUIRED else type(default)
        type_ = _plain_type(hints.get(name, unsaid))
        setting = Setting(name, type_, default, texts.get(name, ""))
        if type_ not in (None, NoneType) and _fits(setting):
            read = default if default is REQUIRED else setting.read(default)
            settings[name] = Setting(name, type_, read, setting.description)
        elif default is REQUIRED:
            raise ValueError(
                f"{getattr(maker, '__name__', maker)} needs {name}, whose type says of no number "
                "or text: annotate it, or give it a default."
            )
    return settings


def complete(
    owner: str, settings: Mapping[str, Setting], keywords: Mapping[str, Any]
) -> dict[str, Any]:
    """All keywords, those not given with their defaults, in the order of the settings.

    **Arguments:** `owner`, the name of the callable, for messages; `settings`; `keywords`.

    **Raises:** `ValueError` for unknown keywords, wrong types, and those without a default.
    """
    given = read_keywords(owner, settings, keywords)
    missing = [
        name
        for name, setting in settings.items()
        if setting.default is REQUIRED and name not in given
    ]
    if missing:
        raise ValueError(f"{owner} needs {', '.join(missing)}.")
    return {name: given.get(name, setting.default) for name, setting in settings.items()}


def read_keywords(
    owner: str, settings: Mapping[str, Setting], keywords: Mapping[str, Any]
) -> dict[str, Any]:
    """Keywords as the callable takes them, without those that are not given.

    **Raises:** `ValueError` for unknown keywords and for wrong types.

    ```pycon
    >>> settings = l2o.composition.settings_of(l2o.tasks.QuadraticFamily)
    >>> l2o.composition.read_keywords("QuadraticFamily", settings, {"dimension": 3})
    {'dimension': 3}
    ```
    """
    if keywords and not settings:
        raise ValueError(f"{owner} takes no settings.")
    for name in keywords:
        check_choice(f"A setting of {owner}", name, settings)
    try:
        return {name: settings[name].read(value) for name, value in keywords.items()}
    except ValueError as error:
        raise ValueError(f"{owner}: {error}") from None


class _MisfitError(Exception):
    """A value is of another type."""


def _fits(setting: Setting) -> bool:
    """Whether the default is of the type: there may be others that JSON does not know."""
    if setting.default is REQUIRED:
        return True
    try:
        setting.read(setting.default)
    except ValueError:
        return False
    return True


def _hints(maker: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a callable's arguments, as far as their names can be looked up."""
    function = maker.__init__ if inspect.isclass(maker) else maker
    if not hasattr(function, "__annotations__"):
        function = type(maker).__call__
    try:
        return get_type_hints(function)
    # Whatever a person's annotations are made of, names for type checkers alone among it.
    except Exception:
        parameters = inspect.signature(maker).parameters
        simple = {kind.__name__: kind for kind in _SIMPLE}
        return {
            name: simple.get(str(parameter.annotation), parameter.annotation)
            for name, parameter in parameters.items()
            if parameter.annotation is not REQUIRED
        }


def _plain_type(annotation: Any) -> Any:
    """What JSON knows of a type; `None` if that is nothing."""
    if isinstance(annotation, TypeVar):
        return None
    if annotation in _SIMPLE:
        return annotation
    if get_origin(annotation) is Literal:
        return (
            annotation if all(type(option) in _SIMPLE for option in get_args(annotation)) else None
        )
    if get_origin(annotation) in (Union, UnionType):
        options = [_plain_type(option) for option in get_args(annotation)]
        plain = tuple(option for option in options if option is not None)
        return Union[plain] if set(plain) - {NoneType} else None  # noqa: UP007
    if get_origin(annotation) is tuple:
        inner = [option for option in get_args(annotation) if option is not Ellipsis]
        return (
            annotation
            if inner and all(_plain_type(option) is not None for option in inner)
            else None
        )
    return None


def _read(value: Any, type_: Any) -> Any:
    origin, options = get_origin(type_), get_args(type_)
    if origin in (Union, UnionType):
        for option in options:
            try:
                return _read(value, option)
            except _MisfitError:
                continue
    elif origin is Literal:
        if any(value == option and type(value) is type(option) for option in options):
            return value
    elif origin is tuple:
        if isinstance(value, list | tuple):
            if options[-1] is Ellipsis:
                return tuple(_read(item, options[0]) for item in value)
            if len(value) == len(options):
                return tuple(map(_read, value, options))
    elif type_ is float:
        # JSON has no others.
        if type(value) in (int, float) and abs(value) <= sys.float_info.max:
            return float(value)
    elif type(value) is type_:
        return value
    raise _MisfitError


def _in_words(type_: Any) -> str:
    origin, options = get_origin(type_), get_args(type_)
    if origin in (Union, UnionType):
        return " or ".join(map(_in_words, options))
    if origin is Literal:
        return f"one of {', '.join(map(str, options))}"
    if origin is tuple:
        if options[-1] is Ellipsis:
            return f"a list of {_in_words(options[0])}s"
        return f"a list of {len(options)} {_in_words(options[0])}s"
    return {
        NoneType: "none",
        int: "integer",
        float: "finite number",
        bool: "truth value",
        str: "text",
    }[type_]
