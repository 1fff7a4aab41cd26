"""Reading flags into dataclasses: none counts twice in silence."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import tyro

_Read = TypeVar("_Read")

# Comments in the source are for those who read the source.
_CONFIG = (
    tyro.conf.AvoidSubcommands,
    tyro.conf.FlagCreatePairsOff,
    tyro.conf.HelptextFromCommentsOff,
)


def read_flags(
    kind: type[_Read], arguments: Sequence[str], *, prog: str, default: _Read | None = None
) -> _Read:
    """Reads a dataclass from flags, one for each of its fields.

    A flag that takes any number of values may be given more than once: its values add up.

    **Arguments:** `kind`, the dataclass; `arguments`; `prog`, what usage and help call the command;
    `default`, an instance for what is not given.

    **Raises:** `ValueError` if any other flag is given more than once; `SystemExit` after showing
    help or what else is wrong with the arguments.
    """
    arguments = _join_repeated(arguments, set(_lists(kind if default is None else default)))
    if {"-h", "--help"} & set(arguments):
        # Of what stands before it, tyro's help says nothing.
        arguments = ["--help"]
    read = partial(tyro.cli, kind, args=arguments, prog=prog, config=_CONFIG)
    return read() if default is None else read(default=default)


def _join_repeated(arguments: Sequence[str], lists: set[str]) -> list[str]:
    """The arguments with every flag once, and after it the values of all of its occurrences.

    **Arguments:** `arguments`; `lists`, the names of fields that hold any number of values.

    **Raises:** `ValueError` for a repeated flag that is none of `lists`.
    """
    positional: list[str] = []
    values: dict[str, list[str]] = {}
    current = positional
    for argument in arguments:
        if not argument.startswith("--"):
            current.append(argument)
            continue
        flag, equals, value = argument.partition("=")
        # Hyphens and underscores are one to tyro.
        flag = "--" + flag[2:].replace("_", "-")
        if flag in values and _field(flag) not in lists:
            raise ValueError(f"{flag} is given more than once.")
        current = values.setdefault(flag, [])
        current += [value] if equals else []
    return positional + [word for flag, given in values.items() for word in (flag, *given)]


def _field(flag: str) -> str:
    """The name of a flag's field, without those of the settings that it lies in."""
    return flag.removeprefix("--").split(".")[-1].replace("-", "_")


def _lists(settings: Any) -> Iterator[str]:
    """The names of fields that hold any number of values, those of nested settings too."""
    kind = settings if isinstance(settings, type) else type(settings)
    hints = get_type_hints(kind)
    for field in fields(kind):
        value = getattr(settings, field.name, None)
        if is_dataclass(value):
            yield from _lists(value)
        elif any(
            get_origin(option) is tuple and Ellipsis in get_args(option)
            for option in (hints[field.name], *get_args(hints[field.name]))
        ):
            yield field.name
