import itertools
import json
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings, strategies as st

from l2o.evaluation import MeanDifference, Summary, paired_difference

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


def test_the_bootstrap_interval_is_that_of_all_resamples():
    values = np.array([0.0, 1.0, 2.5, 3.0, 4.5, 9.0])
    ratios = []
    for resample in itertools.product(values, repeat=values.size):
        error = np.std(resample, ddof=1) / math.sqrt(values.size)
        if error > 0:
            ratios.append((np.mean(resample) - values.mean()) / error)
    low, high = np.quantile(ratios, (0.025, 0.975))
    sem = scipy.stats.sem(values)
    expected = values.mean() - high * sem, values.mean() - low * sem
    found = MeanDifference.of(values).bootstrap_interval
    assert found == pytest.approx(expected, rel=0.1)
    # It is no t-interval: the mean may well be far above, hardly far below.
    assert found[1] - values.mean() > 1.5 * (values.mean() - found[0])


def test_skewed_differences_are_covered_better_by_the_bootstrap():
    generator = np.random.default_rng(0)
    covered = {"interval": 0, "bootstrap_interval": 0}
    for _ in range(400):
        found = MeanDifference.of(generator.lognormal(0, 1, 16))
        for name in covered:
            low, high = getattr(found, name)
            covered[name] += low < math.exp(0.5) < high
    assert covered["interval"] / 400 < 0.87
    assert covered["bootstrap_interval"] / 400 > 0.89


def test_many_differences_take_little_memory_and_give_the_same_as_few_at_once(monkeypatch):
    from l2o.evaluation import statistics

    values = np.random.default_rng(0).standard_normal(50)
    whole = MeanDifference.of(values)
    monkeypatch.setattr(statistics, "_MOST_RESAMPLED", 50 * 7)
    assert MeanDifference.of(values).bootstrap_interval == whole.bootstrap_interval


def test_skewness_is_that_of_scipy_and_said_above_one():
    values = np.array([1.0, 1.1, 0.9, 1.0, 5.0])
    found = MeanDifference.of(values)
    assert found.skewness == pytest.approx(scipy.stats.skew(values, bias=False))
    assert found.is_skewed
    assert MeanDifference.of(-values).is_skewed
    assert not MeanDifference.of(np.array([1.0, 2.0, 3.0, 4.5])).is_skewed
    assert MeanDifference.of(np.ones(5)).skewness == 0
    assert MeanDifference.of(np.ones(5)).bootstrap_interval == (1.0, 1.0)


@pytest.mark.parametrize("size", [0, 1, 2])
def test_few_differences_are_summed_up_without_a_word(size):
    found = MeanDifference.of(np.arange(float(size)))
    assert found.num_tasks == size
    assert not found.is_skewed
    json.dumps(found.as_dict(), allow_nan=False)


def verdicts(first, second):
    """What is said of either side, by numbers that are to be small, and to be large."""
    first, second = np.array(first, float), np.array(second, float)
    pairs = ((first, second), (second, first))
    small = [paired_difference(a, b).verdict for a, b in pairs]
    large = [paired_difference(a, b, larger_is_better=True).verdict for a, b in pairs]
    assert large == small[::-1] or not np.all(np.isfinite([first, second]))
    return small


NOISE = np.random.default_rng(0).standard_normal(40)


def test_a_clear_difference_is_told():
    assert verdicts(NOISE, NOISE + 1 + 0.1 * NOISE**2) == ["better", "worse"]
    assert verdicts(NOISE, NOISE[::-1]) == ["undecided", "undecided"]


def test_a_sign_test_can_contradict():
    # A little worse on most tasks, much better on a fifth: the means differ, surely.
    first = np.where(np.arange(60) < 12, -10.0, 0.5) + 0.01 * np.arange(60)
    difference = paired_difference(first, np.zeros(60))
    assert difference.interval[1] < 0
    assert difference.finished.bootstrap_interval[1] < 0
    assert difference.p_value < 0.05
    assert verdicts(first, np.zeros(60)) == ["undecided", "undecided"]
    # Without a significant majority there is nothing to contradict.
    first = np.where(np.arange(60) < 26, -10.0, 0.5) + 0.01 * np.arange(60)
    assert paired_difference(first, np.zeros(60)).wins < 30
    assert verdicts(first, np.zeros(60)) == ["better", "worse"]


def test_a_bootstrap_can_contradict():
    # Of positive skew, where t-intervals end too low.
    values = np.array([-2.6, -2.5, -2.1, -1.9, -1.8, -1.5, -0.8, 0.1, 1.8])
    difference = paired_difference(values, np.zeros(9))
    assert difference.interval[1] < 0 < difference.finished.bootstrap_interval[1]
    assert difference.verdict == "undecided"


def test_a_t_interval_can_contradict():
    # Shifted, so that zero lies below what the bootstrap takes for possible.
    values = np.array([-2.6, -2.5, -2.1, -1.9, -1.8, -1.5, -0.8, 0.1, 1.8]) + 2.2
    difference = paired_difference(values, np.zeros(9))
    assert difference.interval[0] < 0 < difference.finished.bootstrap_interval[0]
    assert difference.verdict == "undecided"


def test_ties_are_no_losses():
    first = np.where(np.arange(30) < 10, -1 - 0.01 * np.arange(30), 0.0)
    assert paired_difference(first, np.zeros(30)).ties == 20
    assert verdicts(first, np.zeros(30)) == ["better", "worse"]


def test_runs_that_are_not_finite_are_no_advantage():
    clear = NOISE + 1 + 0.1 * NOISE**2
    broken, half_broken = clear.copy(), NOISE.copy()
    broken[:2], half_broken[0] = np.inf, np.nan
    # Over what both finish, with the other side diverging more often.
    difference = paired_difference(NOISE, broken)
    assert not math.isfinite(difference.mean)
    assert difference.num_not_finite == (0, 2)
    assert difference.finished.num_tasks == 38
    assert difference.finished.mean == pytest.approx(np.mean((NOISE - clear)[2:]))
    assert verdicts(NOISE, broken) == ["better", "worse"]
    assert verdicts(half_broken, broken) == ["better", "worse"]
    # What diverges more often is not better for what is left.
    assert verdicts(half_broken, clear) == ["undecided", "undecided"]
    assert verdicts([np.inf] * 4, [np.nan] * 4) == ["undecided", "undecided"]


def test_where_one_of_them_never_finishes_the_order_decides():
    assert verdicts(np.ones(16), [np.inf] * 16) == ["better", "worse"]
    # Three tasks may be chance.
    assert verdicts(np.ones(3), [np.inf] * 3) == ["undecided", "undecided"]
