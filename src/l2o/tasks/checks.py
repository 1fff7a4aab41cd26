"""Checks of what a user asks for, each ending in one clear sentence."""

import difflib
from collections.abc import Iterable


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Makes sure that `value` is among `choices`.

    **Arguments:** `name`, what the argument is called; `value`; `choices`, the valid values.

    **Raises:** `ValueError` that lists the choices and points to the nearest one.
    """
    choices = list(choices)
    if value in choices:
        return
    near = difflib.get_close_matches(str(value), choices, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{name} must be one of {', '.join(choices)}; got {value!r}.{hint}")


def check_at_least(name: str, value: int | float, least: int | float) -> None:
    """Makes sure that `value` is a number no smaller than `least`.

    **Raises:** `ValueError` that names the argument and its bound.
    """
    if not value >= least:
        raise ValueError(f"{name} must be at least {least}, got {value}.")
