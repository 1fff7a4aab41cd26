"""Values of the kinds that annotations say."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from l2o.support.kinds import check_kind, held_to_kinds

RIGHT = [
    (int, (3, np.int32(3))),
    (float, (3, 0.5, np.float32(0.5))),
    (bool, (True,)),
    (Path | str | None, ("x", Path("x"), None)),
    (Sequence[str], (["a"], ("a",), ())),
    (tuple[int, ...] | None, ((1, 2), [1, 2], None)),
    (Mapping[str, float], ({"a": object()},)),
    (Callable[[Any], None] | None, (print, None)),
    (Literal["a", 1], ("a", 1)),
]
WRONG = [
    (int, True, "x must be a whole number, got True."),
    (int, 0.5, "x must be a whole number, got 0.5."),
    (float, "1", "x must be a number, got '1'."),
    (bool, 1, "x must be True or False, got 1."),
    (Path | str | None, 3, "x must be a path, a text or None, got 3."),
    (Path | str, "", "x must not be empty."),
    (Sequence[Path | str], "adam", "x must be a list, each item a path or a text, got 'adam'."),
    (tuple[int, ...], [1, "2"], "x must be a list, each item a whole number, got [1, '2']."),
    (Mapping[str, float], [1], "x must be of type Mapping, got [1]."),
    (Callable[[Any], None], 3, "x must be a function, got 3."),
    (Literal["a", 1], True, "x must be one of a, 1, got True."),
    (Path, Path, "x must be a path, got the class Path."),
]


@pytest.mark.parametrize(("kind", "values"), RIGHT)
def test_what_is_of_a_kind(kind, values):
    for value in values:
        check_kind("x", value, kind)


@pytest.mark.parametrize(("kind", "value", "sentence"), WRONG)
def test_what_is_not(kind, value, sentence):
    with pytest.raises(ValueError, match=r"^x must") as caught:
        check_kind("x", value, kind)
    assert str(caught.value) == sentence


def test_arguments_are_looked_at_before_anything_is_done():
    done = []

    @held_to_kinds
    def do(number: int, *, name: str = "a", **others: int):
        done.append((number, name, others))
        return number

    assert do(3, other="handed on") == 3
    for given, named in (((3,), {"name": 4}), (("3",), {}), ((), {"number": None})):
        with pytest.raises(ValueError, match="must be"):
            do(*given, **named)
    with pytest.raises(TypeError, match="number"):
        do()
    assert done == [(3, "a", {"other": "handed on"})]
