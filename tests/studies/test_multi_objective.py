import json
import re
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from l2o.composition import Composed
from l2o.evaluation.draw import draw_tasks
from l2o.multiobjective import aggregate, mean
from l2o.optimizers import from_optax
from l2o.runs.making import make_family
from l2o.studies import multi_objective
from l2o.studies.multi_objective.comparison import compare_methods, compare_on_problems
from l2o.studies.multi_objective.markdown import markdown
from l2o.studies.multi_objective.methods import AGGREGATORS, problems
from l2o.studies.multi_objective.network_runs import judging_key_of, key_of, train_guarded
from l2o.studies.multi_objective.problem_runs import judge
from l2o.studies.multi_objective.profiles import CPU, FULL, QUICK
from l2o.studies.multi_objective.tables import table

DOCUMENTED = Path(__file__).parents[2] / "docs/results/multi-objective"


@pytest.fixture(scope="module", autouse=True)
def quickly(quick_compilation):
    """Most of the time is compilation."""


PROBLEMS = replace(
    QUICK.problems,
    problems=("JOS1",),
    aggregators=("mean",),
    optimizer=Composed("ML2O", {"hidden_size": 2}),
    training=replace(
        QUICK.problems.training, meta_steps=2, horizon=4, truncation=2, validation_tasks=2
    ),
    num_steps=5,
    num_starts=2,
    tuning_starts=1,
)
NETWORKS = replace(
    QUICK.networks,
    families=(
        replace(
            QUICK.networks.families[0],
            task=Composed(
                "overlaid-pairs", {"hidden": (3,), "pairs_per_image": 1, "batch_size": 4}
            ),
            aggregators=("mean", "relative losses"),
            optimizers=(Composed("ML2O", {"hidden_size": 2}),),
        ),
        replace(
            QUICK.networks.families[0],
            name="MNIST pairs",
            task=Composed("overlaid-pairs", {"dataset": "mnist"}),
        ),
    ),
    training=replace(
        QUICK.networks.training, meta_steps=2, horizon=4, truncation=2, validation_tasks=2
    ),
    meta_seeds=(1,),
    num_steps=12,
    num_seeds=2,
    num_configurations=2,
    refined_configurations=3,
)
STUDY = replace(QUICK, problems=PROBLEMS, networks=NETWORKS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """That of the smallest study with all parts, run twice into the same folder."""
    out = tmp_path_factory.mktemp("study") / "x"
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.delenv("L2O_DATA", raising=False)
    said = []
    for _ in range(2):
        study = replace(multi_objective.STUDY, profiles={"smallest": STUDY})
        page = study.run("smallest", out, said.append, command="none")
        assert page.read_text().startswith("<!doctype html>")
    # Two meta-trainings of two meta-steps; nothing is trained again the second time.
    assert sum(", training/" in each.activity and each.done > 0 for each in said) == 2 * 2
    monkeypatch.undo()
    return out


@pytest.fixture(scope="module")
def results(folder):
    return json.loads((folder / "results.json").read_text())


def test_there_is_a_row_for_every_network(results):
    cells = [(row["method"], row["meta_seed"], row["seed"]) for row in results["rows"]]
    # Two aggregators, then ML2O and GML2O, on minibatches and at intervals, with two networks each.
    assert len(set(cells)) == len(cells) == (2 + 3) * 2
    for metric in ("objective", "test_left_accuracy", "test_right_loss", "final_train_loss_2"):
        assert all(row[metric] is not None for row in results["rows"])


def test_the_best_are_tuned_once_more(folder):
    tuning = folder / "parts" / "tuning" / "digit pairs"
    scores = {
        name: json.loads((tuning / f"{name}.json").read_text())["score"]
        for name in NETWORKS.families[0].aggregators
    }
    (again,) = tuning.glob("*, once more.json")
    assert again.name == f"{min(scores, key=scores.__getitem__)}, once more.json"


def test_the_fastest_factor_is_taken_and_a_rise_of_one_loss_is_one():
    def first_alone(factor):
        weights = jnp.array([1.0, 0.0])
        return from_optax(optax.chain(aggregate(lambda gramian: weights), optax.sgd(factor)))

    study = replace(PROBLEMS, num_steps=30, num_starts=8, log10_steps=(-2.0, 0.0, 3))
    found = judge(study, problems()["JOS1"], first_alone)
    assert found["factor"] == pytest.approx(1.0)
    # The second loss falls at first, and rises on the way to where the first one is least.
    assert max(found["rises"]) > 0


def test_networks_to_judge_on_are_others_than_those_for_tuning():
    family = NETWORKS.families[0]
    keys = [
        jax.random.key_data(key).tolist()
        for key in (
            key_of(family),
            judging_key_of(NETWORKS, family),
            judging_key_of(replace(NETWORKS, evaluation_seed=2), family),
        )
    ]
    assert len(set(map(tuple, keys))) == 3


def test_families_without_data_are_left_out(results):
    assert results["left_out"] == ["MNIST pairs"]
    assert {row["family"] for row in results["rows"]} == {"digit pairs"}


def test_a_guard_at_intervals_tests_on_all_training_data():
    """The one test, after the last step, finds that losses rose, and leads to lower ones."""
    ascent = from_optax(optax.chain(aggregate(mean), optax.sgd(-0.03)))
    draw = draw_tasks(make_family(NETWORKS.families[0].task, "test"), jax.random.key(0), 8)

    def losses(params):
        return draw.tasks.one_by_one(lambda task, own: task.value(own, task.whole_batch()), params)

    before = losses(draw.params)
    _, params = train_guarded(ascent, draw, 6, 6)
    assert jnp.all(losses(params) < before)
    _, params = train_guarded(ascent, draw, 6, 7)
    assert jnp.all(jnp.sum(losses(params), axis=1) > jnp.sum(before, axis=1))


def test_every_method_meets_every_problem(results):
    found = {(each["problem"], each["method"]) for each in results["problems"]}
    methods = ("mean", "steepest descent, Armijo", "ML2O", "GML2O")
    assert found == {("JOS1", method) for method in methods}
    for each in results["problems"]:
        assert len(each["criticality"]) == len(each["distance"]) == 2
        if each["method"] in ("steepest descent, Armijo", "GML2O"):
            assert each["rises"] == [0, 0]


def test_the_best_is_chosen_where_nothing_is_judged(results):
    (best,) = [each for each in results["comparisons"] if each["is_best_hand_designed"]]
    scores = {
        each["method"]: each["tuning"]["score"]
        for each in results["methods"]
        if each["from"] is None
    }
    assert best["method"] == min(scores, key=scores.__getitem__)
    assert best["differences"]["objective"]["interval"] == [0.0, 0.0]


def row(method, meta_seed, seed, objective):
    learned = meta_seed is not None
    return {
        "family": "f",
        "method": method,
        "from": "f" if learned else None,
        "meta_seed": meta_seed,
        "seed": seed,
        "objective": objective,
        "test_a_loss": 2.0 * objective,
    }


def method(name, score, curve, seconds=0.1):
    source = "f" if score is None else None
    return {
        "family": "f",
        "method": name,
        "from": source,
        "curve": curve,
        "seconds_per_step": seconds,
        "num_diverged": 0,
        "tuning": {"score": score},
    }


def test_differences_are_paired_and_averaged_over_meta_seeds():
    rows = [row("good", None, seed, 1.0 + seed) for seed in range(4)]
    rows += [row("bad", None, seed, 2.0 + seed) for seed in range(4)]
    rows += [
        row("ML2O", meta, seed, 0.7 + 0.01 * seed + seed + 0.2 * meta)
        for meta in (0, 1)
        for seed in range(4)
    ]
    falling = [0.99**step for step in range(40)]
    methods = [
        method("good", 0.5, falling),
        method("bad", 0.6, [1.0] * 40),
        method("ML2O", None, [value**2 for value in falling], seconds=0.2),
    ]
    found = {
        each["method"]: each
        for each in compare_methods(rows, methods, {"f": {"test_a_loss": 10.0}})
    }
    difference = found["ML2O"]["differences"]["objective"]
    assert difference["difference"] == pytest.approx(0.7 + 0.1 + 0.015 - 1.0)
    low, high = difference["interval"]
    assert -0.25 < low < -0.185 < high < -0.12
    assert found["bad"]["differences"]["test_a_loss"]["difference"] == 2.0
    assert found["ML2O"]["is_learned"]
    assert found["good"]["improvement_over_alone"] == pytest.approx(1 - 2 * 2.5 / 10)
    # Twice as fast in steps, at twice the price.
    assert found["bad"]["steps_to_target"] is None
    assert found["ML2O"]["steps_to_target"] <= 23
    assert found["good"]["steps_to_target"] == 39
    assert found["ML2O"]["seconds_to_target"] == pytest.approx(
        0.2 * found["ML2O"]["steps_to_target"]
    )


def problem_entry(name, steps, rises):
    return {
        "problem": "p",
        "method": name,
        "steps_to": {"0.01": steps},
        "rises": rises,
        "criticality": [0.5, 0.1],
        "coverage": {"hypervolume_share": 0.7},
    }


def test_performance_profiles_count_runs_within_a_ratio_of_the_fastest():
    fast, slow = compare_on_problems(
        [problem_entry("fast", [9, 19], [0, 0]), problem_entry("slow", [39, None], [0, 3])]
    )
    assert fast["reached"] == 1.0
    assert fast["profile"]["shares"][0] == 1.0
    assert slow["reached"] == slow["runs_with_rises"] == 0.5
    shares = dict(zip(slow["profile"]["ratios"], slow["profile"]["shares"], strict=True))
    assert shares[2.0] == 0.0
    assert shares[4.0] == shares[256.0] == 0.5


def test_profiles_name_what_there_is():
    for study in (QUICK, CPU, FULL):
        assert set(study.problems.aggregators) <= set(AGGREGATORS)
        assert set(study.problems.problems) <= set(problems())
        for family in study.networks.families:
            assert set(family.aggregators) <= set(AGGREGATORS)
            names = [each.name for each in study.networks.families]
            assert set(family.others) <= set(names)
            assert all(
                each.keywords.get("num_objectives", 2) == family.num_targets
                for each in family.optimizers
                if each.name == "ML2O"
            )
        assert np.isfinite(study.problems.log10_steps).all()


def test_the_page_is_there_as_markdown(folder, results):
    page = (folder / "README.md").read_text()
    assert page == markdown(results)
    for entry in results["comparisons"]:
        assert entry["method"] in page
    assert all(
        (folder / "figures" / name).exists() for name in re.findall(r"figures/(\S+)\)", page)
    )


def test_the_documentation_is_what_the_command_wrote():
    results = json.loads((DOCUMENTED / "results.json").read_text())
    assert (DOCUMENTED / "README.md").read_text() == markdown(results)


def test_tables_and_the_page_tell_scores_in_tuning_and_edges():
    results = json.loads((DOCUMENTED / "results.json").read_text())
    tuning = {
        (each["family"], each["method"]): each["tuning"]
        for each in results["methods"]
        if each.get("tuning")
    }
    page = " ".join((DOCUMENTED / "README.md").read_text().split())
    for family in ("digit pairs", "digit attributes", "MNIST pairs"):
        for each in table(results, family)["rows"]:
            tuned = tuning.get((family, each["method"]))
            if tuned is None:
                assert each["in_tuning"] == ""
                continue
            assert each["in_tuning"].startswith(f"{tuned['score']:.4f}")
            assert each["in_tuning"] in page
            assert all(edge in each["in_tuning"] for edge in tuned["edges"])
    fallback = "steepest descent, Armijo"
    for each in results["problems"]:
        told = re.search(rf"(?:for|;) {re.escape(each['method'])} on ([^;:]*)", page)
        is_told = told is not None and each["problem"] in told[1]
        assert is_told == (each["on_edge"] and each["method"] != fallback)
