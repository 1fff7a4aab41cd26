import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

import l2o
from l2o.composition import Composed
from l2o.evaluation.matched import where_first_below
from l2o.evaluation.trained_networks import measure
from l2o.runs.making import make_family
from l2o.studies import flatness
from l2o.studies.flatness.bounds import bounds_along_training
from l2o.studies.flatness.comparison import COMPARED, compare_methods, compare_with_baseline
from l2o.studies.flatness.page import verdicts
from l2o.studies.flatness.profiles import CPU, FULL, QUICK, Optimizee
from l2o.studies.flatness.rows import Cell
from l2o.studies.flatness.study import FlatnessRunner
from l2o.studies.work import Work
from l2o.tasks import Quadratic, SingleTask


@pytest.fixture(scope="module", autouse=True)
def quickly(quick_compilation):
    """Most of the time is compilation."""


TASK = Composed("image-mlp", {"hidden": (3,), "num_train": 20, "num_held_out": 10, "batch_size": 4})

STUDY = replace(
    QUICK,
    architectures={
        "RNNProp": replace(
            QUICK.architectures["RNNProp"],
            optimizer=Composed("RNNProp", {"hidden_size": 2}),
            learning_rates=(1e-3, 1e-2),
        )
    },
    methods=tuple(
        replace(method, weights=(0.1, 0.2) if method.name == "hessian" else method.weights)
        for method in QUICK.methods
    ),
    training_task=TASK,
    training=replace(QUICK.training, meta_steps=2, horizon=4, truncation=2, validation_tasks=2),
    enhanced_training=replace(
        QUICK.enhanced_training,
        meta_steps=2,
        truncation=2,
        curriculum=(2, 4),
        validation_tasks=2,
        imitation_ratio=1.0,
    ),
    optimizees=(
        replace(QUICK.optimizees[0], task=TASK.but(num_held_out=None)),
        Optimizee("of data that are not there", TASK.but(dataset="mnist-14x14")),
    ),
    controls=(replace(QUICK.controls[0], strengths=(0.1, 0.2)),),
    num_seeds=2,
    validation_tasks=2,
    num_steps=3,
    levels=(2.3, 0.001),
    baselines=("sgd",),
    validated_baselines=("sgd",),
    num_configurations=2,
    shown_baseline="sgd",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The smallest study with all parts, run twice into the same folder."""
    out = tmp_path_factory.mktemp("study") / "x"
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("L2O_DATA", raising=False)
        for _ in range(2):
            study = replace(flatness.STUDY, profiles={"smallest": STUDY})
            page = study.run("smallest", out, said.append, command="none")
    assert "of data that are not there" in page.read_text()
    # Eight meta-trainings of two meta-steps, two enhanced ones; nothing is trained again the
    # second time.
    trained = [each for each in said if ", training/" in each.activity and each.done]
    enhanced = [each for each in trained if "-enhanced-" in each.activity]
    ordinary = [each for each in trained if each not in enhanced]
    assert (len(ordinary), len(enhanced)) == (8 * 2, 2 * 2)
    for name in ("differences", "bounds", "loss-lines", "loss-planes"):
        assert (out / "figures" / f"{name}.png").stat().st_size > 0
    return out


@pytest.fixture(scope="module")
def results(folder):
    return json.loads((folder / "results.json").read_text())


def test_there_is_a_row_for_every_network(results):
    cells = [
        (*(row[name] for name in Cell._fields), row["meta_seed"], row["seed"])
        for row in results["rows"]
    ]
    # Three methods, enhanced training and a control with two meta-seeds; a baseline with and
    # without control, and tuned for the validation loss.
    assert len(set(cells)) == len(cells) == (3 + 1 + 1) * 2 * 2 + 3 * 2
    for metric in ("train_loss", "test_loss", "test_accuracy", "spectral_norm", "entropy_gap"):
        assert all(row[metric] is not None for row in results["rows"])
    assert all(row["test_loss_at_0.001"] is None for row in results["rows"])
    assert results["left_out"] == ["of data that are not there"]


def test_rows_are_true_to_what_was_run(results):
    """Enhanced rows come from a curriculum with imitation, and no others do."""
    enhanced = [each for each in results["meta_training"] if each["enhanced"]]
    ordinary = [each for each in results["meta_training"] if not each["enhanced"]]
    assert all(each["imitating"] == each["meta_steps"] == 2 for each in enhanced)
    assert all(each["imitating"] == 0 for each in ordinary)
    rates = results["learning_rates"]["RNNProp"]
    assert {each["learning_rate"] for each in results["meta_training"]} == {rates["chosen"]}
    assert rates["chosen"] == min(rates["tried"], key=lambda each: each["score"])["learning_rate"]
    (against,) = [each["against"] for each in results["comparisons"] if each["enhanced"]]
    assert (against["regularizer"], against["enhanced"]) == ("plain", False)


def test_baselines_are_tuned_for_training_and_for_validation(results):
    by_training, by_validation = results["baselines"]
    assert by_training["name"] == by_training["optimizer"] == by_validation["optimizer"] == "sgd"
    assert by_validation["name"] == "sgd by validation loss"
    assert by_validation["score"] != by_training["score"]
    against = [entry["against"]["architecture"] for entry in results["against_baselines"]]
    assert against == ["sgd"] * 4 + ["sgd by validation loss"] * 4


def test_weights_and_strengths_are_chosen_by_the_validation_split(results):
    choice = results["weights"]["RNNProp"]["hessian"]
    losses = {each["weight"]: each["validation_loss"] for each in choice["tried"]}
    assert losses.keys() == {0.1, 0.2}
    assert choice["chosen"] == min(losses, key=losses.__getitem__)
    assert results["weights"]["RNNProp"]["plain"] == {"chosen": None, "tried": []}
    for choice in results["controls"]:
        losses = {each["strength"]: each["validation_loss"] for each in choice["tried"]}
        assert choice["chosen"] == min(losses, key=losses.__getitem__)
    assert [each["architecture"] for each in results["controls"]] == ["RNNProp", "sgd"]


def test_weights_are_chosen_by_validation_alone(monkeypatch, tmp_path):
    """Not by the training loss, and on what the first meta-seed made."""
    losses, names = iter([2.0, 1.0]), []

    def validate(self, name, source):
        names.append(name)
        loss = next(losses)
        return {"validation_loss": loss, "train_loss": -loss}

    # The second learning rate has the lower score.
    monkeypatch.setattr(FlatnessRunner, "train", lambda self, what: {"score": -what.learning_rate})
    monkeypatch.setattr(FlatnessRunner, "validate", validate)
    runner = FlatnessRunner(STUDY, Work(tmp_path, print), [])
    found = runner.choose_weight("RNNProp", "hessian")
    assert [each["weight"] for each in found["tried"]] == [0.1, 0.2]
    assert found["chosen"] == 0.2
    assert all(name.endswith("rate=0.01-1") for name in names)


def test_training_with_a_control_is_judged_without_it():
    plain_family = make_family(TASK, "test")
    decayed = make_family(TASK.but(weight_decay=1.0), "test")
    sgd = l2o.from_optax(optax.sgd(0.1))
    given = {"num_tasks": 2, "num_steps": 30}
    key = jax.random.key(0)
    alone = measure(sgd, plain_family, key, **given)
    found = measure(sgd, plain_family, key, trained_on=decayed, **given)
    # The weights have shrunk, so that the network is nearly undecided; with the penalty in it,
    # the loss would be further up.
    assert np.all(found["train_loss"] > alone["train_loss"])
    assert np.all(found["train_loss"] < np.log(10) + 0.05)


def test_networks_are_measured_where_they_end():
    """On a quadratic: after one step, with the Hessian's own eigenvalues."""
    hessian = np.diag([3.0, 1.0]).astype(np.float32)
    task = Quadratic(jax.numpy.asarray(hessian), jax.numpy.zeros(2))
    found = measure(
        l2o.from_optax(optax.sgd(0.1)),
        SingleTask(task),
        jax.random.key(0),
        num_tasks=2,
        num_steps=1,
    )
    np.testing.assert_allclose(found["spectral_norm"], 3.0, rtol=1e-4)
    np.testing.assert_allclose(found["trace"], 4.0, rtol=1e-4)
    # In units of the parameters themselves: the sum of h x^2, twice the loss.
    np.testing.assert_allclose(found["relative_trace"], 2 * found["train_loss"], rtol=1e-4)
    assert found["train_loss"].shape == (2,)
    assert len(set(found["train_loss"].tolist())) == 2


def test_metrics_where_the_training_loss_passes_a_level():
    """Gradient descent on a parabola: the loss falls by a constant factor a step."""
    task = Quadratic(jax.numpy.eye(1), jax.numpy.zeros(1))
    found = measure(
        l2o.from_optax(optax.sgd(0.5)),
        SingleTask(task),
        jax.random.key(0),
        num_tasks=3,
        num_steps=10,
        levels=(1e-3, 1e-30),
    )
    start = found["train_loss"] * 4.0**10
    np.testing.assert_allclose(
        found["steps_at_0.001"], np.maximum(np.log(start / 1e-3) / np.log(4), 0), rtol=1e-4
    )
    assert np.all(np.isnan(found["steps_at_1e-30"]))


def test_metrics_between_records():
    records = {
        "loss": np.array([[1.0, 0.05], [0.01, 0.04], [0.1, 0.03]]),
        "accuracy": np.array([[0.0, 0.7], [1.0, 0.8], [2.0, 0.9]]),
    }
    (found,) = where_first_below(0.1, "loss", records).values()
    np.testing.assert_allclose(found, [0.5, 0.7])
    (found,) = where_first_below(0.035, "loss", records).values()
    share = np.log(0.04 / 0.035) / np.log(0.04 / 0.03)
    np.testing.assert_allclose(found[1], 0.8 + 0.1 * share)
    (found,) = where_first_below(0.005, "loss", records).values()
    assert np.all(np.isnan(found))


def test_the_bounds_hold_along_the_training_of_a_quadratic():
    task = Quadratic(jax.numpy.diag(jax.numpy.asarray([300.0, 10.0])), jax.numpy.ones(2))
    found = bounds_along_training(
        l2o.from_optax(optax.sgd(0.002)),
        SingleTask(task),
        jax.random.key(0),
        num_tasks=2,
        num_steps=8,
        num_points=3,
    )
    assert found["steps"].tolist() == [0, 4, 8]
    assert found["upper"].shape == (3, 2)
    np.testing.assert_allclose(found["logarithm"], np.log(4), rtol=1e-4)
    np.testing.assert_allclose(found["upper"], 3.1, rtol=1e-4)
    slack = 1e-3
    assert np.all(found["lower"] <= found["twice_gap"] + slack)
    assert np.all(found["twice_gap"] <= found["upper"] + slack)
    assert np.all(np.diff(found["train_loss"], axis=0) < 0)


def row(method, meta_seed, seed, value, *, enhanced=False, control=None):
    return {
        "architecture": "A",
        "regularizer": method,
        "enhanced": enhanced,
        "control": control,
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
    results = {
        "titles": {"plain": "p", "x": "method x"},
        "control_titles": {},
        "comparisons": [comparison],
        "against_baselines": [comparison],
    }
    sentence, of_baseline = verdicts(results)
    assert "higher in 1 and lower in 0 of 1 cells" in sentence
    assert "above that of A, tuned, in 1 and below in 0" in of_baseline


def test_everything_is_compared_with_its_own_reference():
    values = {
        ("plain", False, None): 0.0,
        ("x", False, None): 1.0,
        ("plain", True, None): 10.0,
        ("x", True, None): 30.0,
        ("plain", False, "c"): 500.0,
        (None, False, None): 5000.0,
        (None, False, "c"): 9000.0,
    }
    rows = [
        row(method, 1, seed, value + seed, enhanced=enhanced, control=control)
        for (method, enhanced, control), value in values.items()
        for seed in range(3)
    ]
    found = {
        (each["regularizer"], each["enhanced"], each["control"]): each["test_loss"]["difference"]
        for each in compare_methods(rows)
    }
    assert found == {
        ("x", False, None): 1.0,
        ("plain", True, None): 10.0,
        ("x", True, None): 20.0,
        ("plain", False, "c"): 500.0,
        (None, False, "c"): 4000.0,
    }
    rows += [row(None, None, seed, -1.0 + seed) | {"architecture": "b"} for seed in range(3)]
    found = [each["test_loss"]["difference"] for each in compare_with_baseline(rows, "b")]
    assert found == [1.0, 2.0, 11.0, 31.0]


def test_at_a_level_only_those_that_got_there_are_compared():
    rows = [row(method, 1, seed, 1.0) for method in ("plain", "x") for seed in range(4)]
    for place, each in enumerate(rows):
        each["test_loss_at_0.1"] = None if place in (0, 5) else float(place)
        each["test_accuracy_at_0.1"] = None
    (found,) = compare_methods(rows, levels=(0.1,))
    assert found["at_0.1"]["test_loss"]["difference"] == 4.0
    assert found["at_0.1"]["test_loss"]["networks"] == 2
    assert found["at_0.1"]["test_accuracy"]["difference"] is None


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
    assert study.training_task.keywords["num_held_out"]
    assert {method.name for method in study.methods} >= {"hessian", "entropy", "sam"}
    assert all(each.task.keywords.get("num_held_out") is None for each in study.optimizees)
    assert len(study.meta_seeds) >= 3
    assert study.num_seeds >= 10


def test_a_difference_is_also_told_with_the_meta_seed_as_the_unit():
    # Ten networks agree on what each of three meta-seeds brings, and meta-seeds do not.
    gains = (1.0, 0.5, 0.0)
    rows = []
    for regularizer in ("plain", "hessian"):
        for meta_seed, gain in enumerate(gains, start=1):
            for seed in range(10):
                value = seed + (gain + 0.01 * (-1) ** seed if regularizer == "hessian" else 0)
                rows.append(
                    {
                        **Cell("RNNProp", regularizer, False, None, "sigmoid")._asdict(),
                        "meta_seed": meta_seed,
                        "seed": seed,
                        **dict.fromkeys(COMPARED, value),
                    }
                )
    (entry,) = compare_methods(rows)
    found = entry["test_accuracy"]
    assert found["interval"][0] > 0
    # 4.3027 is the 97.5 % quantile of Student's t with two degrees of freedom.
    half = 4.302652729911275 * 0.5 / np.sqrt(3)
    assert found["interval_over_meta_seeds"] == pytest.approx([0.5 - half, 0.5 + half], rel=1e-5)


def test_the_pages_say_what_the_results_say_of_meta_seeds():
    root = Path(__file__).parents[2]
    results = json.loads((root / "docs/results/flatness/results.json").read_text())
    counts = {}
    for method in ("relative-hessian", "held-out-hessian"):
        cells = [
            each["test_accuracy"]
            for each in results["comparisons"]
            if (each["regularizer"], each["enhanced"], each["control"]) == (method, False, None)
        ]
        assert len(cells) == 18
        counts[method] = tuple(
            sum(each[name][0] > 0 for each in cells)
            for name in ("interval", "interval_over_meta_seeds")
        )
    alone, together = counts.values()
    sentences = verdicts(results)
    for title, count in (("Relative Hessian norm", alone), ("Held-out loss and", together)):
        (sentence,) = (each for each in sentences if each.startswith(title) and "both" not in each)
        assert f"accuracy is higher in {count[0]} and lower in 0 of 18 cells" in sentence
        assert f"as the unit accuracy is higher in {count[1]} and lower in 0 of 18." in sentence
    page = " ".join((root / "docs/results/flatness/README.md").read_text().split())
    assert f"in {alone[0]} of 18 cells** alone" in page
    assert f"in {together[0]} of 18 together" in page
    assert f"the unit, {alone[1]} and {together[1]} of the 18 are off zero" in page
    front = " ".join((root / "README.md").read_text().split())
    assert f"sure in {alone[0]} and, together, {together[0]} of 18 cases" in front
    assert f"in {alone[1]} and {together[1]}. The best" in front
