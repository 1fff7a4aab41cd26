import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings, strategies as st

from l2o.evaluation import Summary, paired_difference

numbers = st.lists(st.floats(-100, 100), min_size=2, max_size=30)


@settings(deadline=None)
@given(values=numbers)
def test_summary_is_that_of_scipy(values):
    summary = Summary.of(np.array(values))
    assert summary.mean == pytest.approx(np.mean(values))
    assert summary.sem == pytest.approx(scipy.stats.sem(values))
    assert summary.median == np.median(values)


def test_summary_by_hand():
    summary = Summary.of(np.array([1.0, 2.0, 3.0, 10.0]))
    assert (summary.mean, summary.median) == (4.0, 2.5)
    assert summary.sem == pytest.approx(math.sqrt((9 + 4 + 1 + 36) / 3) / 2)


def test_a_single_task_has_no_standard_error():
    summary = Summary.of(np.array([3.0]))
    assert summary.mean == summary.median == 3.0
    assert math.isnan(summary.sem)


def test_nothing_cannot_be_summed_up():
    with pytest.raises(ValueError, match="at least one task"):
        Summary.of(np.zeros(0))


def test_sums_are_in_double_precision():
    values = np.full(1000, 3e38, np.float32)
    assert Summary.of(values).mean == pytest.approx(3e38)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_diverged_tasks_are_kept(bad):
    summary = Summary.of(np.array([1.0, 2.0, 3.0, bad, 4.0]))
    assert not math.isfinite(summary.mean)
    assert not math.isfinite(summary.sem)
    assert summary.median == 3.0


@settings(deadline=None)
@given(
    pairs=st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), min_size=2, max_size=30)
)
def test_paired_difference_is_that_of_scipy(pairs):
    first, second = np.array(pairs).T
    difference = paired_difference(first, second)
    expected = scipy.stats.ttest_rel(first, second) if np.ptp(first - second) > 1e-6 else None
    assert difference.mean == pytest.approx(np.mean(first - second))
    if expected is not None:
        interval = expected.confidence_interval(0.95)
        assert difference.interval == pytest.approx(
            (interval.low, interval.high), rel=1e-6, abs=1e-6
        )


def test_paired_difference_by_hand():
    difference = paired_difference(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 3.0]))
    assert difference.mean == -1.0
    assert difference.sem == pytest.approx(1 / math.sqrt(3))
    # 4.3027 is the 97.5 % quantile of Student's t with two degrees of freedom.
    half_width = 4.302652729911275 / math.sqrt(3)
    assert difference.interval == pytest.approx((-1 - half_width, -1 + half_width))
    assert (difference.wins, difference.ties, difference.num_tasks) == (2, 1, 3)
    assert difference.win_share == pytest.approx(2 / 3)
    assert difference.p_value == pytest.approx(0.5)


def test_larger_can_be_better():
    first, second = np.array([0.9, 0.8, 0.7]), np.array([0.5, 0.9, 0.6])
    assert paired_difference(first, second).wins == 1
    assert paired_difference(first, second, larger_is_better=True).wins == 2


def test_equal_differences_have_an_interval_of_no_width():
    difference = paired_difference(np.arange(4.0), np.arange(4.0) + 1)
    assert difference.interval == (-1.0, -1.0)
    assert difference.p_value == pytest.approx(2 / 2**4)


@pytest.mark.parametrize("larger_is_better", [False, True])
def test_diverged_pairs_count_as_lost_but_leave_no_interval(larger_is_better):
    good, bad = np.array([1.0, 1.0, np.nan, 1.0]), np.array([np.nan, np.inf, np.inf, 1.0])
    difference = paired_difference(good, bad, larger_is_better=larger_is_better)
    assert (difference.wins, difference.ties, difference.num_tasks) == (2, 2, 4)
    assert all(math.isnan(end) for end in difference.interval)
    assert not math.isfinite(difference.mean)
    assert difference.p_value == pytest.approx(0.5)


def test_only_ties_decide_nothing():
    assert paired_difference(np.ones(3), np.ones(3)).p_value == 1.0


def test_a_single_pair_has_no_interval():
    difference = paired_difference(np.ones(1), np.zeros(1))
    assert difference.mean == 1.0
    assert all(math.isnan(end) for end in difference.interval)


@pytest.mark.parametrize("shapes", [((3,), (4,)), ((0,), (0,)), ((2, 2), (2, 2))])
def test_pairs_must_match(shapes):
    with pytest.raises((ValueError, TypeError)):
        paired_difference(np.zeros(shapes[0]), np.zeros(shapes[1]))
