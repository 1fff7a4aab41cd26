from dataclasses import replace

import jax
import pytest

from l2o.composition import Composed
from l2o.runs import RECIPES
from l2o.runs.feasibility import check_runs, check_sizes
from l2o.runs.making import make_family, make_optimizer

RECIPE = replace(
    RECIPES[0],
    task=Composed("quadratic", {"dimension": 1000}),
    optimizer=Composed("GRU", {"hidden_size": 30}),
    evaluation=replace(RECIPES[0].evaluation, num_tasks=20, tuning_tasks=6, longer_steps=None),
)


def needed(recipe, monkeypatch, optimizer=None):
    """What is told of the memory that is missing."""
    monkeypatch.setattr("l2o.runs.feasibility.available_memory", lambda: 1000)
    with pytest.raises(ValueError, match="of memory at the least, of which there are 1 kB") as told:
        check_runs(recipe, [make_family(recipe.task, "validation")], optimizer)
    return str(told.value)


def test_what_comparing_and_tuning_take(monkeypatch):
    # A Hessian of 4 MB for every task; with the optimizer, 30 numbers for every coordinate.
    assert needed(RECIPE, monkeypatch).startswith(
        "Comparing on 20 tasks over 100 steps needs 80.2 MB"
    )
    optimizer = make_optimizer(RECIPE.optimizer, jax.random.key(0))
    assert "needs 82.6 MB" in needed(RECIPE, monkeypatch, optimizer)
    tuned = replace(RECIPE, evaluation=replace(RECIPE.evaluation, num_tasks=1, num_steps=10**9))
    assert "Comparing on 1 tasks over 1000000000 steps needs 4 GB" in needed(tuned, monkeypatch)


def test_data_that_all_tasks_share_count_once(monkeypatch):
    # Digits are 0.47 MB; every task has 1,510 parameters and 128 images of 64 pixels with labels.
    expected = 0.467 + 64 * 4 * (1510 + 128 * 65 + 300) / 1e6
    told = needed(RECIPES[0], monkeypatch)
    found = float(told.partition("needs ")[2].partition(" MB")[0])
    assert found == pytest.approx(expected, rel=0.02)


def test_tuning_is_looked_at_too(monkeypatch):
    recipe = replace(RECIPE, evaluation=replace(RECIPE.evaluation, num_tasks=1, tuning_tasks=9))
    family = make_family(recipe.task, "validation")
    # One task takes 4 MB, nine 36.
    monkeypatch.setattr("l2o.runs.feasibility.available_memory", lambda: 30 * 10**6)
    with pytest.raises(ValueError, match=r"Tuning on 9 tasks .* needs 36\.1 MB"):
        check_runs(recipe, [family])
    monkeypatch.setattr("l2o.runs.feasibility.available_memory", lambda: 40 * 10**6)
    check_runs(recipe, [family])


def test_sizes_that_no_array_may_have():
    check_sizes(replace(RECIPE, seed=2**32 - 1))
    for number in (2**31, -(2**31)):
        task = RECIPES[0].task.but(hidden=(20, number))
        with pytest.raises(
            ValueError, match=r"task\.keywords\.hidden must be at most 2147483647, got"
        ):
            check_sizes(replace(RECIPE, task=task))
