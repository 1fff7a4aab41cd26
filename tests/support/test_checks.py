import numpy as np
import pytest

from l2o.support.checks import (
    check_at_least,
    check_choice,
    check_integer,
    check_number,
    check_rising,
    check_size,
    check_unique,
    is_finite_number,
)


def test_a_valid_choice_passes():
    check_choice("activation", "relu", ["relu", "tanh"])


def test_an_invalid_choice_names_the_nearest():
    with pytest.raises(ValueError, match=r"activation must be one of relu, tanh.*mean 'relu'"):
        check_choice("activation", "rleu", ["relu", "tanh"])


def test_a_choice_far_from_all_gets_no_hint():
    with pytest.raises(ValueError, match=r"got 'zzz'\.$"):
        check_choice("activation", "zzz", ["relu", "tanh"])


def test_bounds_are_inclusive():
    check_at_least("size", 1, 1)
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        check_at_least("size", 0, 1)


def test_not_a_number_is_out_of_bounds():
    with pytest.raises(ValueError, match="nan"):
        check_at_least("size", float("nan"), 0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "0.9", None, [1], {}, True, 1j])
def test_only_finite_numbers_are_numbers(value):
    with pytest.raises(ValueError, match="rate must be a"):
        check_number("rate", value)


@pytest.mark.parametrize("value", [0, 0.5, 1.0, np.float32(0.25), np.int64(1)])
def test_numbers_within_bounds_pass(value):
    check_number("rate", value, least=0, most=1)


def test_bounds_are_inclusive_or_not_as_they_say():
    with pytest.raises(ValueError, match=r"decay must be a finite number above 0 and below 1"):
        check_number("decay", 0.0, above=0, below=1)
    with pytest.raises(ValueError, match="got 1"):
        check_number("decay", 1, above=0, below=1)
    with pytest.raises(ValueError, match="of at least 0 and of at most 1, got 2"):
        check_number("share", 2, least=0, most=1)


@pytest.mark.parametrize("value", [1.0, 1.5, "1", None, True, np.float32(1)])
def test_only_whole_numbers_are_whole(value):
    with pytest.raises(ValueError, match="size must be a whole number of at least 1"):
        check_integer("size", value, least=1)


def test_whole_numbers_have_bounds():
    check_integer("size", np.int64(3), least=3, most=3)
    with pytest.raises(ValueError, match="of at least 1 and of at most 9, got 10"):
        check_integer("size", 10, least=1, most=9)


@pytest.mark.parametrize("value", [1e39, -1e39, 1e300, 10**400, -(10**400), np.float64(1e300)])
def test_numbers_are_those_of_single_precision(value):
    with pytest.raises(ValueError, match="rate must be a finite number"):
        check_number("rate", value)


def test_open_bounds_hold_in_single_precision():
    """There 1e-50 is 0 and 1 - 1e-9 is 1, which divide by zero."""
    check_number("epsilon", 1e-30, above=0)
    check_number("decay", 1 - 1e-6, below=1)
    with pytest.raises(ValueError, match="above 0, got 1e-50"):
        check_number("epsilon", 1e-50, above=0)
    with pytest.raises(ValueError, match=r"below 1, got 0\.999999999"):
        check_number("decay", 1 - 1e-9, below=1)
    # What is allowed itself may round to anything.
    check_number("share", 0.1, least=0.1, most=0.1)


def test_sizes_are_what_jax_can_count_to():
    check_size("size", 1)
    check_size("size", np.int64(2**31 - 1))
    check_size("steps", 0, least=0)
    with pytest.raises(ValueError, match=r"^size must be at least 1, got 0\.$"):
        check_size("size", 0)
    with pytest.raises(ValueError, match=r"^size must be at most 2147483647, got 2147483648\.$"):
        check_size("size", 2**31)
    for value in (1.0, "1", None, True, float("nan")):
        with pytest.raises(ValueError, match="size must be a whole number"):
            check_size("size", value)


def test_nothing_is_there_twice():
    check_unique("names", [])
    check_unique("names", ("a", "b"))
    with pytest.raises(ValueError, match=r"^names must not have .* twice, got 'a' again\.$"):
        check_unique("names", ["a", "b", "a"])


def test_sizes_that_rise():
    check_rising("horizons", (1, 2, 2**31 - 1), shortest=2)
    for values, message in (
        ((), r"^the number of horizons must be at least 2, got 0\.$"),
        ((3,), "number of horizons must be at least 2, got 1"),
        ((0, 1), "Each of the horizons must be at least 1, got 0"),
        ((1, 2.0), "Each of the horizons must be a whole number"),
        ((1, 2**31), "Each of the horizons must be at most"),
        ((1, 3, 3), r"^horizons must rise, got \(1, 3, 3\)\.$"),
        ([1, 2], "horizons must be of type tuple"),
        (None, "horizons must be of type tuple"),
    ):
        with pytest.raises(ValueError, match=message):
            check_rising("horizons", values, shortest=2)


def test_numbers_that_double_precision_holds():
    largest = int(np.finfo(np.float64).max)
    for value in (0, -1.5, 1e308, largest, -largest):
        assert is_finite_number(value)
    for value in (largest * 2, -(10**400), np.inf, -np.inf, np.nan, True, None, "1", [1], 1j):
        assert not is_finite_number(value)
