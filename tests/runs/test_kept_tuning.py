import json
import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from l2o.composition import Composed
from l2o.evaluation import Tuned
from l2o.optimizers import HandDesigned, adam, momentum
from l2o.runs import RECIPES
from l2o.runs.kept_tuning import keep_tuned, kept_tuned, tuning_conditions
from l2o.runs.making import make_family
from l2o.tasks import Quadratic as QuadraticTask, SingleTask

RECIPE = replace(RECIPES[0], task=Composed("quadratic"))
TUNED = Tuned(
    hand_designed=momentum,
    hyperparameters={"learning_rate": 0.1, "momentum": float(np.float32(0.9))},
    outcomes=np.array([0.5, math.inf, 2 / 3]),
    diverged_runs=1,
    configurations={name: np.float32([0.1, 0.2, 0.3]) for name in momentum.space},
    scores=np.array([1 / 3, math.inf, 2.0]),
    num_tasks=RECIPE.evaluation.tuning_tasks,
    num_steps=RECIPE.evaluation.num_steps,
)


def conditions(recipe=RECIPE, family=None):
    return tuning_conditions(
        recipe, make_family(recipe.task, "validation") if family is None else family
    )


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "momentum.json"
    keep_tuned(path, TUNED, conditions())
    return path


def test_what_was_kept_comes_back(path):
    found = kept_tuned(path, momentum, conditions())
    assert found.hand_designed is momentum
    same = ("score", "num_runs", "diverged_runs", "num_tasks", "num_steps", "edges", "num_diverged")
    for name in ("hyperparameters", *same):
        assert getattr(found, name) == getattr(TUNED, name)
    np.testing.assert_array_equal(found.scores, TUNED.scores)
    np.testing.assert_array_equal(found.outcomes, TUNED.outcomes)
    for name, values in TUNED.configurations.items():
        np.testing.assert_array_equal(found.configurations[name], values)


CHANGES = {
    "task": {"task": Composed("rosenbrock")},
    "dimension": {"task": Composed("quadratic", {"dimension": 6})},
    "seed": {"seed": 1},
    "objective": {"training": replace(RECIPE.training, objective="final-loss")},
    **{
        name: {"evaluation": replace(RECIPE.evaluation, **{name: 7})}
        for name in ("num_steps", "num_configurations", "tuning_tasks")
    },
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_conditions(path, change):
    assert kept_tuned(path, momentum, conditions(replace(RECIPE, **CHANGES[change]))) is None


def test_other_data_search_spaces_and_versions(path, monkeypatch):
    def bowl(curvature):
        return SingleTask(QuadraticTask(jnp.diag(jnp.array([curvature, 1.0])), jnp.ones(2)))

    keep_tuned(path, TUNED, conditions(family=bowl(2.0)))
    assert kept_tuned(path, momentum, conditions(family=bowl(2.0))) is not None
    assert kept_tuned(path, momentum, conditions(family=bowl(3.0))) is None
    narrow = HandDesigned("momentum", momentum.build, dict(adam.space), adam.defaults)
    assert kept_tuned(path, narrow, conditions(family=bowl(2.0))) is None
    monkeypatch.setattr("importlib.metadata.version", lambda name: "99")
    assert kept_tuned(path, momentum, conditions(family=bowl(2.0))) is None


def test_another_precision(path, x64):
    assert kept_tuned(path, momentum, conditions()) is None


def test_what_does_not_bear_on_tuning(path):
    training = replace(RECIPE.training, meta_steps=3)
    evaluation = replace(RECIPE.evaluation, num_tasks=3, longer_steps=None, baselines=("sgd",))
    recipe = replace(RECIPE, training=training, evaluation=evaluation)
    assert kept_tuned(path, momentum, conditions(recipe)) is not None


def test_damaged_files(path):
    whole = json.loads(path.read_text())
    for damage in (
        *({name: value for name, value in whole.items() if name != left_out} for left_out in whole),
        whole | {"hyperparameters": {"learning_rate": 0.1}},
        whole | {"hyperparameters": [0.1, 0.9]},
        whole | {"scores": 7},
        whole | {"scores": ["x"]},
        whole | {"configurations": {"learning_rate": {}}},
        whole | {"diverged_runs": -5},
        whole | {"outcomes": []},
        whole | {"outcomes": [None] * 8},
        [],
    ):
        path.write_text(json.dumps(damage))
        assert kept_tuned(path, momentum, conditions()) is None
    for text in ("{", "[" * 100_000, json.dumps(whole).replace("1", "Infinity", 1)):
        path.write_text(text)
        assert kept_tuned(path, momentum, conditions()) is None
    path.write_bytes(b"\xff\xfe")
    assert kept_tuned(path, momentum, conditions()) is None
    path.unlink()
    assert kept_tuned(path, momentum, conditions()) is None
