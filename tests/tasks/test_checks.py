import pytest

from l2o.tasks.checks import check_at_least, check_choice


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
