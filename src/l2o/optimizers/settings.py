"""Ranges of optimizers' settings, which their constructors share with recipes and saved weights."""

import operator
from typing import Any

from l2o.support.checks import check_integer, check_number

LARGEST_SIZE = 2**14
LARGEST_DECAY = 1 - 1e-7
SMALLEST_FACTOR, LARGEST_FACTOR = 1e-30, 1e30
_LARGEST_STEEPNESS = 80.0


def size(name: str, value: Any, most: int = LARGEST_SIZE) -> int:
    """A number of units or the like: at least 1, and no larger than anything that could be run.

    **Raises:** `ValueError` that names the setting and its range, as all functions here do.
    """
    check_integer(name, value, least=1, most=most)
    return operator.index(value)


def decay(name: str, value: Any) -> float:
    """The decay rate of an average: at least 0 and, in single precision too, below 1."""
    check_number(name, value, least=0, most=LARGEST_DECAY)
    return float(value)


def factor(name: str, value: Any) -> float:
    """A factor above zero that single precision can hold with room for products."""
    check_number(name, value, least=SMALLEST_FACTOR, most=LARGEST_FACTOR)
    return float(value)


def steepness(name: str, value: Any) -> float:
    """How many powers of e a logarithm resolves: above 0, and its power of e a finite number."""
    check_number(name, value, above=0, most=_LARGEST_STEEPNESS)
    return float(value)


def switch(name: str, value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, got {value!r}.")
    return value
