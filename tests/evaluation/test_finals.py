from itertools import chain

import jax.numpy as jnp
import numpy as np
import pytest

from l2o.evaluation import diverged
from l2o.evaluation.finals import Outcomes, final_rounds, hold_finals


def test_rounds_by_hand():
    # As many runs side by side as in the search: 32 configurations on 8 tasks, 4 on 64.
    assert final_rounds(32, 8, 32) == [(32, 3, 8, 32), (4, 3, 64, 4)]
    assert final_rounds(313, 4, 8) == [(313, 3, 4, 8), (40, 3, 32, 1), (5, 24, 32, 1)]
    assert final_rounds(6, 2, 5) == [(6, 3, 2, 5)]
    # Programs of the search are used again, and others are no larger than they have to be.
    assert final_rounds(12, 4, 24) == [(12, 3, 4, 24), (2, 3, 32, 2)]
    assert [each.num_finalists for each in final_rounds(7, 2, 5)] == [7, 2]


@pytest.mark.parametrize("finalists", [1, 7, 40, 100, 313])
@pytest.mark.parametrize("at_once", [1, 3, 32])
def test_every_round_has_eight_times_the_tasks(finalists, at_once):
    rounds = final_rounds(finalists, 4, at_once)
    assert rounds[-1].num_finalists <= 6
    for index, each in enumerate(rounds):
        tasks = each.num_draws * each.tasks_per_draw
        assert 3 * 4 * 8**index <= tasks < 3 * 4 * 8**index + each.tasks_per_draw
        assert each.num_trials(4) == each.num_finalists * tasks / 4
        assert each.tasks_per_draw * each.at_once <= 4 * at_once


def outcomes(objective):
    objective = np.array(objective, float)
    return Outcomes(objective, ~np.isfinite(objective) | (objective > 100))


def test_runs_that_are_not_finite_count_first_then_the_mean():
    found = outcomes([[1, 5], [np.inf, 0], [2, 3], [np.nan, -9], [2, 3], [np.inf, np.inf]])
    np.testing.assert_array_equal(found.best(6), [2, 4, 0, 3, 1, 5])
    np.testing.assert_array_equal(found.best(1), [2])
    np.testing.assert_array_equal(found.scores, [3, np.inf, 2.5, np.inf, 2.5, np.inf])


def finals(first, second):
    """Holds finals with these outcomes in the second round; tells who was tried there."""
    tried = []

    def run(indices, number):
        if number == 0:
            return outcomes(np.zeros((len(indices), 0)))
        tried.append(indices.tolist())
        return outcomes(np.array(second, float)[indices])

    winner, found = hold_finals(outcomes(first), final_rounds(len(first), 1, 1), run)
    return winner, found.objective.tolist(), tried


def test_the_best_meet_again_and_the_best_on_all_tasks_wins():
    first = [[5], [1], [4], [2], [9], [8], [7]]
    second = [[0], [6], [0], [3], [0], [0], [0]]
    # The two best, of which the second is better on both tasks together.
    assert finals(first, second) == (3, [[2, 3]], [[1, 3]])


@pytest.mark.parametrize("bad", [np.inf, np.nan, 1e6])
def test_where_the_best_diverge_the_others_get_their_turn(bad):
    first = [[5], [1], [np.inf], [2], [9], [8], [3]]
    second = [[bad], [bad], [0], [bad], [0], [1], [bad]]
    # Two by two, without those that diverged before; it ends with the first that does not.
    assert finals(first, second) == (5, [[8, 1]], [[1, 3], [6, 0], [5, 4]])
    # Where all diverge, the one that does so least.
    second = [[bad]] * 7
    winner, _, tried = finals(first, second)
    assert winner == 1
    assert sorted(chain(*tried)) == [0, 1, 3, 4, 5, 6]


@pytest.mark.parametrize("arrays", [np, jnp])
def test_divergence_by_hand(arrays):
    losses = arrays.array(
        [
            [1.0, 50.0, 10.0],
            [1.0, 2.0, 10.5],
            [1.0, np.nan, 0.0],
            [1.0, np.inf, 0.0],
            [-1.0, 0.0, 7.9],
            [-1.0, 0.0, 8.1],
            [0.0, 1.0, 0.0],
        ]
    )
    expected = [False, True, True, True, False, True, False]
    np.testing.assert_array_equal(diverged(losses), expected)
