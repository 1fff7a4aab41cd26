"""Arguments and fields held to their annotations, in one sentence for what is of another kind."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cache, wraps
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from l2o.support.checks import in_a_line

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_WORDS = {
    NoneType: "None",
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
}


def held_to_kinds(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """A function that refuses arguments of another kind than annotated, before it does anything.

    What a user calls is decorated with it, so that its body has no checks but of ranges. Keywords
    that are collected, as `**changes`, are left to whom they are handed on.
    """
    signature = inspect.signature(function)

    @wraps(function)
    def held(*given: Arguments.args, **named: Arguments.kwargs) -> Result:
        hints = _hints(function)
        for name, value in signature.bind(*given, **named).arguments.items():
            if signature.parameters[name].kind is not inspect.Parameter.VAR_KEYWORD:
                check_kind(name, value, hints[name])
        return function(*given, **named)

    return held


def check_fields(settings: Any) -> None:
    """Makes sure that all fields of a dataclass are of the kinds that are annotated.

    **Raises:** `ValueError` that names the field.
    """
    hints = _hints(type(settings))
    for field in fields(settings):
        check_kind(field.name, getattr(settings, field.name), hints[field.name])


def check_kind(name: str, value: Any, kind: Any) -> None:
    """Makes sure that a value is of the kind that an annotation says; for tuples, lists do.

    **Arguments:** `name`, what the value is called; `value`; `kind`, a class, `Literal`, union,
    `Callable`, `Mapping` (whose items may be anything), or a sequence of these. A path may not be
    an empty text, which would be the present folder.

    **Raises:** `ValueError` that names the argument, what it must be and what it is.
    """
    if value == "" and isinstance(value, str) and Path in get_args(kind):
        raise ValueError(f"{name} must not be empty.")
    if not _is_of(value, kind):
        raise ValueError(f"{name} must be {_in_words(kind)}, got {in_a_line(value)}.")


_hints = cache(get_type_hints)


def _is_of(value: Any, kind: Any) -> bool:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(_is_of(value, each) for each in inner)
    if origin is Literal:
        return any(type(value) is type(each) and value == each for each in inner)
    if origin is Callable:
        return callable(value)
    if origin in (tuple, Sequence):
        is_list = isinstance(value, list | tuple if origin is tuple else Sequence)
        return is_list and not isinstance(value, str) and all(_is_of(x, inner[0]) for x in value)
    if kind in (int, float):
        number = Integral if kind is int else Real
        return isinstance(value, number) and not isinstance(value, bool)
    return isinstance(value, origin or kind)


def _in_words(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        *words, last = map(_in_words, inner)
        return f"{', '.join(words)} or {last}"
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if origin is Callable:
        return "a function"
    if origin in (tuple, Sequence):
        return f"a list, each item {_in_words(inner[0])}"
    return _WORDS.get(kind, f"of type {(origin or kind).__name__}")
