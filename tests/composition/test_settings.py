"""Settings out of signatures."""

import enum
import reprlib
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest

from l2o.composition import REQUIRED, settings_of
from l2o.composition.settings import complete


def maker(
    size: int,
    rate: float = 1,
    mode: Literal["a", "b"] = "a",
    hidden: tuple[int, ...] = (2,),
    span: tuple[float, float] = (0.0, 1.0),
    most: float | None = None,
    data: np.ndarray | Literal["digits"] = "digits",
    scale: Callable[..., Any] = abs,
    plain=3,
    unsaid=None,
    *,
    key,
):
    """Makes.

    **Arguments:** `size`, of it.
    """
    del size, rate, mode, hidden, span, most, data, scale, plain, unsaid, key


SETTINGS = settings_of(maker, {"key"})


def test_settings_are_the_keywords_that_json_knows():
    assert list(SETTINGS) == ["size", "rate", "mode", "hidden", "span", "most", "data", "plain"]
    assert SETTINGS["size"].default is REQUIRED
    assert SETTINGS["size"].description == "Of it."
    assert SETTINGS["data"].type == Literal["digits"]
    assert (SETTINGS["plain"].type, SETTINGS["plain"].default) == (int, 3)
    assert type(SETTINGS["rate"].default) is float


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("size", 3, 3),
        ("rate", 3, 3.0),
        ("hidden", [1, 2], (1, 2)),
        ("hidden", [], ()),
        ("span", [0, 1], (0.0, 1.0)),
        ("most", None, None),
        ("most", 2, 2.0),
        ("mode", "b", "b"),
    ],
)
def test_values_are_read_as_the_callable_takes_them(name, value, read):
    given = SETTINGS[name].read(value)
    assert given == read
    assert type(given) is type(read)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("size", 3.0, "size must be integer, got 3.0."),
        ("size", True, "size must be integer, got True."),
        ("rate", "3", "rate must be finite number, got '3'."),
        ("rate", True, "rate must be finite number, got True."),
        ("rate", float("nan"), "rate must be finite number, got nan."),
        ("rate", 10**400, f"rate must be finite number, got {reprlib.repr(10**400)}."),
        ("mode", "c", "mode must be one of a, b, got 'c'."),
        ("hidden", "12", "hidden must be a list of integers, got '12'."),
        ("hidden", [1, 2.5], "hidden must be a list of integers, got [1, 2.5]."),
        ("span", [1.0], "span must be a list of 2 finite numbers, got [1.0]."),
        ("most", "x", "most must be finite number or none, got 'x'."),
    ],
)
def test_values_of_other_types_are_refused(name, value, sentence):
    with pytest.raises(ValueError, match="must be") as caught:
        SETTINGS[name].read(value)
    assert str(caught.value) == sentence


def test_what_is_not_given_has_its_default():
    keywords = complete("maker", SETTINGS, {"size": 1, "hidden": [3]})
    assert keywords["hidden"] == (3,)
    assert list(keywords) == list(SETTINGS)
    with pytest.raises(ValueError, match="maker needs size"):
        complete("maker", SETTINGS, {})
    with pytest.raises(ValueError, match="hidden"):
        complete("maker", SETTINGS, {"size": 1, "hiden": [3]})


def test_an_argument_that_no_flag_can_give_needs_a_default():
    def of_a_function(function: Callable[..., Any]) -> None:
        del function

    with pytest.raises(ValueError, match="of_a_function needs function, whose type"):
        settings_of(of_a_function)


def test_what_has_neither_type_nor_default_is_a_number():
    def plain(rate):
        del rate

    assert settings_of(plain)["rate"].type is float


def test_names_that_only_type_checkers_know_do_not_matter():
    def unresolved(rate: "float" = 0.1, other: "Nowhere" = None) -> None:  # noqa: F821
        del rate, other

    assert list(settings_of(unresolved)) == ["rate"]


class Mood(enum.Enum):
    CALM = "calm"


def test_types_that_flags_do_not_know_are_no_settings():
    def odd(
        bad: "no such" = 1,
        missing: "np.nothing" = 2,
        empty: tuple[()] = (),
        mood: Literal[Mood.CALM] = Mood.CALM,
        undefined: float = float("nan"),
    ) -> None:
        del bad, missing, empty, mood, undefined

    assert not {"empty", "mood", "undefined"} & set(settings_of(odd))
    with pytest.raises(ValueError, match="does not tell its arguments"):
        settings_of(dict)
