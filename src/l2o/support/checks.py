"""Checks of what a user asks for, each ending in one clear sentence."""

import difflib
import sys
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

_LARGEST = float(np.finfo(np.float32).max)

LARGEST_SIZE = 2**31 - 1
"""What JAX can count to."""

LARGEST_LOG_SCALE = 40.0
"""Logarithm of a factor whose square is still a number in single precision."""

Bound = int | float | None

_LONGEST_SHOWN = 80

# The share of letters that a wrong name has in common with the one that was meant.
_NEAR = 0.7


def is_finite_number(value: Any) -> bool:
    """Whether this is a number of Python that double precision can hold; booleans are none."""
    largest = sys.float_info.max
    # Of a larger whole number, `math.isfinite` does not answer the question.
    return type(value) in (int, float) and -largest <= value <= largest


def check_choice(name: str, value: str, choices: Iterable[str], shown: str = "") -> None:
    """Makes sure that `value` is among `choices`.

    **Arguments:** `name`, what the argument is called; `value`; `choices`, the valid values;
    `shown`, how to list them where there are very many.

    **Raises:** `ValueError` that lists the choices and points to the nearest one.
    """
    choices = list(choices)
    if value in choices:
        return
    shown = shown or ", ".join(choices)
    raise ValueError(f"{name} must be one of {shown}; got {value!r}.{did_you_mean(value, choices)}")


def nearest(name: Any, choices: Iterable[str]) -> str | None:
    """Which of some names a wrong one may have been meant for, if any is near."""
    # Whether letters are large is the least that a name can be mistaken in.
    by_letters = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(str(name).lower(), by_letters, n=1, cutoff=_NEAR)
    return by_letters[near[0]] if near else None


def did_you_mean(name: Any, choices: Iterable[str]) -> str:
    """The same as a sentence with a space before it; nothing if none is near."""
    near = nearest(name, choices)
    return "" if near is None else f" Did you mean {near!r}?"


def check_instance(name: str, value: Any, kind: type, hint: str = "") -> None:
    """Makes sure that `value` is an instance of `kind`.

    **Arguments:** `name`, what the argument is called; `value`; `kind`; `hint`, a sentence that
    says where to take an instance from.

    **Raises:** `ValueError` that names the argument, what it must be and what it is.
    """
    if isinstance(value, kind):
        return
    if isinstance(value, type) and issubclass(value, kind):
        hint = f"Call it: {value.__name__}(...)."
    demand = f"{name} must be of type {kind.__name__}, got {in_a_line(value)}."
    raise ValueError(f"{demand} {hint}".rstrip())


def in_a_line(value: Any) -> str:
    """What a user gave, short enough for a sentence."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    shown = " ".join(repr(value).split())
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]} ..."


def check_unique(name: str, values: Iterable[Any]) -> None:
    """Makes sure that no value is there twice.

    **Arguments:** `name`, what the argument is called; `values`, that can be hashed.

    **Raises:** `ValueError` that names the argument and the first value that is there again.
    """
    met: set[Any] = set()
    for value in values:
        if value in met:
            raise ValueError(f"{name} must not have the same value twice, got {value!r} again.")
        met.add(value)


def check_rising(name: str, values: Any, *, shortest: int) -> None:
    """Makes sure that `values` is a tuple of sizes, each above the one before.

    **Arguments:** `name`, what the argument is called; `values`; `shortest`, how many there must be
    at least.

    **Raises:** `ValueError` that names the argument.
    """
    check_instance(name, values, tuple)
    check_at_least(f"the number of {name}", len(values), shortest)
    for value in values:
        check_size(f"Each of the {name}", value)
    if any(later <= earlier for earlier, later in pairwise(values)):
        raise ValueError(f"{name} must rise, got {values}.")


def check_number(
    name: str,
    value: Any,
    *,
    least: Bound = None,
    above: Bound = None,
    most: Bound = None,
    below: Bound = None,
) -> None:
    """Makes sure that `value` is a number of single precision within bounds.

    Numbers of Python and NumPy count; booleans, text and arrays do not.

    **Arguments:** `name`, what the argument is called; `value`; `least` and `most`, bounds that
    are allowed themselves; `above` and `below`, bounds that are not, when rounded to single
    precision either.

    **Raises:** `ValueError` that names the argument and its bounds.
    """
    bounds = _bounds_text(least, above, most, below)
    if isinstance(value, bool) or not isinstance(value, float | int | np.floating | np.integer):
        raise ValueError(f"{name} must be a number{bounds}, got {value!r}.")
    with np.errstate(over="ignore", under="ignore"):
        # Computations are in single precision: there 1e-50 is 0, 0.99999999 is 1, 1e39 is infinite.
        rounded = np.float32(float(value) if -_LARGEST < value < _LARGEST else np.nan)
    is_within = (
        (least is None or value >= least)
        and (above is None or rounded > above)
        and (most is None or value <= most)
        and (below is None or rounded < below)
    )
    if not (np.isfinite(rounded) and is_within):
        raise ValueError(f"{name} must be a finite number{bounds}, got {value}.")


def check_integer(
    name: str, value: Any, *, least: int | None = None, most: int | None = None
) -> None:
    """Makes sure that `value` is a whole number within bounds, which are allowed themselves.

    **Raises:** `ValueError` that names the argument and its bounds.
    """
    bounds = _bounds_text(least, None, most, None)
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ValueError(f"{name} must be a whole number{bounds}, got {value!r}.")
    if not ((least is None or value >= least) and (most is None or value <= most)):
        raise ValueError(f"{name} must be a whole number{bounds}, got {value}.")


def check_size(name: str, value: Any, *, least: int = 1) -> None:
    """Makes sure that `value` is a whole number from `least` on that JAX can count to.

    **Raises:** `ValueError` that names the argument and the bound that it is beyond.
    """
    check_integer(name, value)
    check_at_least(name, int(value), least)
    if value > LARGEST_SIZE:
        raise ValueError(f"{name} must be at most {LARGEST_SIZE}, got {value}.")


def _bounds_text(least: Bound, above: Bound, most: Bound, below: Bound) -> str:
    """The bounds in words, beginning with a space."""
    texts = [
        f"{words} {bound}"
        for words, bound in (
            ("of at least", least),
            ("above", above),
            ("of at most", most),
            ("below", below),
        )
        if bound is not None
    ]
    return f" {' and '.join(texts)}" if texts else ""


def check_at_least(name: str, value: int | float, least: int | float) -> None:
    """Makes sure that `value` is a number no smaller than `least`.

    **Raises:** `ValueError` that names the argument and its bound.
    """
    if not value >= least:
        raise ValueError(f"{name} must be at least {least}, got {value}.")
