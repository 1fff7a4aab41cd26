import json
from dataclasses import replace

import jax
import numpy as np
import optax
import pytest

import l2o
from l2o.recipes.flatness import run_study
from l2o.recipes.flatness.comparison import COMPARED, compare_methods
from l2o.recipes.flatness.measure import measure
from l2o.recipes.flatness.page import verdicts
from l2o.recipes.flatness.profiles import CPU, FULL, QUICK
from l2o.recipes.optimizer_settings import RNNProp
from l2o.recipes.task_settings import ImageMLP
from l2o.tasks import Quadratic, SingleTask


@pytest.fixture(scope="module", autouse=True)
def quickly(quick_compilation):
    """Most of the time is compilation."""


TASK = ImageMLP(hidden=(3,), num_train=20, num_held_out=10, batch_size=4)

STUDY = replace(
    QUICK,
    architectures={"RNNProp": RNNProp(hidden_size=2)},
    methods=tuple(
        replace(method, weights=(0.1, 0.2) if method.name == "hessian" else method.weights)
        for method in QUICK.methods
    ),
    training_task=TASK,
    training=replace(QUICK.training, meta_steps=2, horizon=4, truncation=2, validation_tasks=2),
    optimizees=(replace(QUICK.optimizees[0], task=replace(TASK, num_held_out=None)),),
    meta_seeds=(1, 2),
    num_seeds=2,
    validation_tasks=2,
    num_steps=3,
    baselines=("sgd",),
    num_configurations=2,
)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Of the smallest study with all parts, run twice into the same folder."""
    out = tmp_path_factory.mktemp("study") / "x"
    said = []
    for _ in range(2):
        page = run_study(STUDY, out, said.append, profile="smallest", command="none")
    assert page.read_text().startswith("<!doctype html>")
    # Seven meta-trainings of two meta-steps; nothing is trained again the second time.
    assert sum("meta-training" in each.activity for each in said) == 7 * 2
    return json.loads((out / "results.json").read_text())


def test_there_is_a_row_for_every_network(results):
    cells = [
        (row["architecture"], row["regularizer"], row["optimizee"], row["meta_seed"], row["seed"])
        for row in results["rows"]
    ]
    assert len(set(cells)) == len(cells) == 3 * 2 * 2 + 2
    assert all(row["enhanced"] is False for row in results["rows"])
    for metric in ("train_loss", "test_loss", "test_accuracy", "spectral_norm", "entropy_gap"):
        assert all(row[metric] is not None for row in results["rows"])


def test_weights_are_chosen_by_the_validation_split(results):
    choice = results["weights"]["hessian"]
    losses = {each["weight"]: each["validation_loss"] for each in choice["tried"]}
    assert losses.keys() == {0.1, 0.2}
    assert choice["chosen"] == min(losses, key=losses.__getitem__)
    assert results["weights"]["plain"] == {"chosen": None, "tried": []}


def test_networks_are_measured_where_they_end():
    """On a quadratic: after one step, with the Hessian's own eigenvalues."""
    hessian = np.diag([3.0, 1.0]).astype(np.float32)
    task = Quadratic(jax.numpy.asarray(hessian), jax.numpy.ones(2))
    found = measure(
        l2o.from_optax(optax.sgd(0.1)),
        SingleTask(task),
        jax.random.key(0),
        num_tasks=2,
        num_steps=1,
    )
    np.testing.assert_allclose(found["spectral_norm"], 3.0, rtol=1e-4)
    np.testing.assert_allclose(found["trace"], 4.0, rtol=1e-4)
    assert found["train_loss"].shape == (2,)
    assert len(set(found["train_loss"].tolist())) == 2


def row(method, meta_seed, seed, value):
    return {
        "architecture": "A",
        "regularizer": method,
        "optimizee": "o",
        "meta_seed": meta_seed,
        "seed": seed,
        **dict.fromkeys(COMPARED, value),
    }


def test_differences_are_paired_and_averaged_over_meta_seeds():
    rows = [row("plain", meta, seed, 10.0 * seed) for meta in (1, 2) for seed in range(4)]
    rows += [
        row("x", meta, seed, 10.0 * seed + meta + 0.1 * seed)
        for meta in (1, 2)
        for seed in range(4)
    ]
    (comparison,) = compare_methods(rows)
    found = comparison["test_accuracy"]
    assert found["difference"] == pytest.approx(1.5 + 0.15)
    low, high = found["interval"]
    assert 1.4 < low < 1.65 < high < 1.9
    assert found["sd_over_meta_seeds"] == pytest.approx(np.std([1.0, 2.0], ddof=1))
    results = {"titles": {"plain": "p", "x": "method x"}, "comparisons": [comparison]}
    (sentence,) = verdicts(results)
    assert "higher in 1 and lower in 0 of 1 cells" in sentence


def test_what_cannot_be_compared_has_no_number():
    """A network that diverged."""
    rows = [row(method, 1, seed, 1.0 + seed) for method in ("plain", "x") for seed in range(2)]
    rows[-1]["test_loss"] = None
    (found,) = compare_methods(rows)
    assert found["test_loss"]["difference"] is None
    assert found["test_accuracy"]["difference"] == 0


@pytest.mark.parametrize("study", [CPU, FULL], ids=["cpu", "full"])
def test_test_data_are_for_judging_alone(study):
    """Families for meta-training and for choices are judged on the validation split."""
    assert study.training_task.num_held_out
    assert all(each.task.num_held_out is None for each in study.optimizees)
    assert len(study.meta_seeds) >= 3
    assert study.num_seeds >= 10
