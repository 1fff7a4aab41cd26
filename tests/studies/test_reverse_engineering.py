import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from l2o.cli import main
from l2o.report.plain import plain
from l2o.runs import EvaluationSettings, TrainingSettings
from l2o.runs.building import build_meta_optimizer, build_schedule
from l2o.studies.reverse_engineering import STUDY, TaskStudy, sentences
from l2o.studies.reverse_engineering.fitted_momentum import fit_momentum
from l2o.studies.reverse_engineering.markdown import markdown
from l2o.studies.reverse_engineering.presence import MECHANISMS, presence
from l2o.studies.reverse_engineering.profiles import CPU, FULL, QUICK
from l2o.studies.reverse_engineering.study import remarks_on, with_data


@pytest.fixture(scope="module", autouse=True)
def quickly(quick_compilation):
    """Most of the time is compilation."""


def shrunken(study: TaskStudy) -> TaskStudy:
    """The smallest study with all its parts."""
    recipe = replace(
        study.recipe,
        optimizer=study.recipe.optimizer.but(hidden_size=3),
        training=TrainingSettings(
            meta_steps=4,
            num_tasks=2,
            horizon=4,
            truncation=4,
            objective="normalized-mean-loss",
            validation_every=2,
            validation_tasks=2,
            checkpoint_every=2,
        ),
        evaluation=EvaluationSettings(
            baselines=("momentum",), num_configurations=4, tuning_tasks=2, num_tasks=3, num_steps=4
        ),
    )
    return replace(study, recipe=recipe, meta_seeds=(1, 2))


DOCUMENTED = Path(__file__).parents[2] / "docs/results/reverse-engineering"
RESULTS = json.loads((DOCUMENTED / "results.json").read_text())
STUDIES = [shrunken(QUICK[0])]


def run(out, studies=STUDIES, on_progress=lambda progress: None):
    study = replace(STUDY, profiles={"shrunken": studies})
    return study.run("shrunken", out, on_progress, command="none")


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A reproduction that was interrupted in its second meta-training, and then finished."""
    out = tmp_path_factory.mktemp("reproduction") / "x"

    def interrupt(progress):
        is_second = progress.activity.endswith(f"{STUDIES[0].name}/training-2")
        if is_second and progress.done == 3:
            raise KilledError

    with pytest.raises(KilledError):
        run(out, on_progress=interrupt)
    assert not (out / "results.json").exists()
    seen = []
    page = run(out, on_progress=lambda progress: seen.append(progress))
    return out, page, seen


def test_goes_on_where_it_stopped(finished):
    _, _, seen = finished
    assert not any(each.activity.endswith("training-1") for each in seen)
    steps = [each.done for each in seen if each.activity.endswith("training-2")]
    assert steps == [0, 3, 4]


def test_finished_parts_are_not_done_again(finished):
    out, _, _ = finished
    before = (out / "results.json").read_bytes()
    seen = []
    run(out, on_progress=lambda progress: seen.append(progress))
    (told,) = seen
    assert "there already" in told.activity
    assert (out / "results.json").read_bytes() == before


def test_results_are_complete_and_valid(finished):
    out, page, _ = finished

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    results = json.loads((out / "results.json").read_text(), parse_constant=refuse)
    assert {"paper", "profile", "command", "versions", "cost", "studies", "left_out"} <= set(
        results
    )
    (study,) = results["studies"]
    assert [each["seed"] for each in study["meta_training"]] == [1, 2]
    assert study["meta_training"][1]["resumed_from_step"] == 2
    names = [each["name"] for each in study["performance"]["optimizers"]]
    assert names == ["learned, seed 1", "learned, seed 2", "momentum"]
    assert len(study["performance"]["paired"]) == 2
    assert study["shown_seed"] in (1, 2)
    for found in study["mechanisms"]:
        assert {"state_space", "momentum", "clipping", "schedule", "adaptation"} <= set(found)
    assert [each["name"] for each in study["presence"]] == list(MECHANISMS)
    assert all(each["of"] == 2 for each in study["presence"])
    assert study["published"]["tuned_learning_rate"] == 3.765
    scores = [each["name"] for each in study["distillation"]["scores"]]
    assert scores[:3] == ["the optimizer itself", "closed form", "closed form, tuned"]
    assert scores[-1] == "momentum"
    verdicts = study["distillation"]["verdicts"]
    assert set(verdicts) == {"closed form", "closed form, tuned"}
    assert set(verdicts["closed form"]) == {"the optimizer itself", "momentum"}
    (tuned,) = study["baselines"]
    assert (tuned["num_tasks"], tuned["num_runs"]) == (2, 8)
    assert all(len(each["bootstrap_interval"]) == 2 for each in study["performance"]["paired"])
    assert study["best_momentum"] == pytest.approx({"beta": 0.8811, "alpha": 3.7585}, rel=1e-4)
    figures = sorted(path.name for path in (out / "figures").iterdir())
    assert [name[:8] for name in figures] == [f"figure-{number}" for number in range(1, 6)]
    text = page.read_text()
    assert text.count("<svg") == 5
    assert "of 2 learned optimizers beat all tuned baselines" in text
    page_as_markdown = (out / "README.md").read_text()
    assert page_as_markdown == markdown(results)
    assert max(map(len, page_as_markdown.splitlines())) < 200
    momentum = next(
        each for each in study["performance"]["optimizers"] if each["name"] == "momentum"
    )
    fresh = momentum["objective"]
    row = (
        f"| momentum | {fresh['mean']:.4g} ± {fresh['sem']:.2g} | {fresh['median']:.4g} | "
        f"{tuned['score']:.4g} ± {tuned['sem']:.2g}, 8 problems | 0 of 3 |"
    )
    assert row in page_as_markdown
    for name in figures:
        assert f"](figures/{name})" in page_as_markdown
    assert "\n".join(study["distillation"]["formula"]) in page_as_markdown


def column(**changes):
    """What sentences look at."""

    def optimizer(name, seed, mean, sem=0.004, diverged=0):
        objective = {"mean": mean, "sem": sem, "median": mean}
        return {"name": name, "seed": seed, "objective": objective, "diverged": diverged}

    def schedule(seed, rise, peak_step):
        return {"seed": seed, "schedule": {"rise": rise, "fall": 0.5, "peak_step": peak_step}}

    return {
        "title": "small tasks",
        "objective": "normalized-mean-loss",
        "settings": {"meta_seeds": [1, 2]},
        "performance": {
            "num_tasks": 128,
            "optimizers": [
                optimizer("learned, seed 1", 1, 0.036),
                optimizer("learned, seed 2", 2, 0.04),
                optimizer("momentum", None, 0.05),
                optimizer("adam", None, None, None, 3),
            ],
            "paired": [
                {"seed": seed, "baseline": name, "num_finite": finite, "skewness": skew}
                | {"better": True, "mean": -1.0, "interval": [-2.0, -0.5]}
                for seed in (1, 2)
                for name, finite, skew in (("momentum", 126, -1.25), ("adam", 128, None))
            ],
        },
        "baselines": [
            {"name": "momentum", "score": 0.048, "sem": 0.003, "num_runs": 880}
            | {"diverged_runs": 0, "edges": []},
            {"name": "adam", "score": None, "sem": None, "num_runs": 880}
            | {"diverged_runs": 5, "edges": ["b2", "eps"]},
        ],
        "mechanisms": [schedule(1, 1.19, 12), schedule(2, 1.08, 6)],
        "presence": [
            {"name": "schedule", "seeds": [1, 2], "of": 2},
            {"name": "warm-up", "seeds": [1, 2], "of": 2},
        ],
        "published": {"schedule": [[0, 5.7], [10, 10.0], [23, 11.94], [50, 9.95]]},
        "distillation": {
            "seed": 1,
            "variance_explained": 0.94,
            "scores": [
                optimizer("closed form", None, 0.0633),
                optimizer("closed form, tuned", None, 0.041),
                optimizer("closed form without warm-up", None, 0.0568),
            ],
            "verdicts": {
                "closed form": {"momentum": "worse", "adam": "better"},
                "closed form, tuned": {"momentum": "better", "adam": "better"},
            },
        },
        **changes,
    }


def test_the_size_and_the_worth_of_a_warm_up_are_said_beside_its_count():
    expected = (
        "A warm-up, a rise of the learning rate by more than 5 % of its largest value, is found "
        "in 2 of 2 optimizers: by a factor of 1.08 to 1.19, highest at step 6 to 12. In the paper "
        "the factor is 2.1, at step 23. Without it the closed form's score improves from 0.0633 to "
        "0.0568."
    )
    assert sentences.warm_up_sentence(column()) == expected
    assert sentences.schedule_sentence(column()).endswith(expected)
    worse = column()
    worse["distillation"]["scores"][2]["objective"]["mean"] = 0.07
    assert "score worsens from 0.0633 to 0.07." in sentences.warm_up_sentence(worse)
    worse["distillation"]["scores"][2]["objective"]["mean"] = None
    assert "diverges on some problems." in sentences.warm_up_sentence(worse)
    del worse["distillation"]["scores"][2]
    assert sentences.warm_up_sentence(worse).endswith("The closed form that was taken has none.")
    found_in_one = column(published=None)
    found_in_one["presence"][1]["seeds"] = [2]
    assert (
        "1 of 2 optimizers: by a factor of 1.08, highest at step 6."
        in sentences.warm_up_sentence(found_in_one)
    )
    found_in_one["presence"][1]["seeds"] = []
    assert sentences.warm_up_sentence(found_in_one).endswith("is found in 0 of 2 optimizers.")


def test_scores_in_tuning_stand_beside_those_in_the_comparison():
    assert sentences.tuning_sentences(column()) == [
        "From tuning to the comparison tuned momentum loses 0.002 ± 0.005; the margin of the worst "
        "learned optimizer over it is 0.01.",
        "Tuned adam diverges on 5 of 880 problems in tuning and on 3 of 128 in the comparison.",
        "Best values of adam on the edge of a range: b2, eps.",
    ]


def test_problems_left_out_and_skew_are_said():
    found = sentences.performance_sentences(column())
    assert (
        "Against momentum, differences are over 126 of 128 problems: on the others a run "
        in (found[1])
    )
    assert "Differences are skewed, by -1.2 to -1.2," in found[2]
    assert not any("adam, differences" in each for each in found)


def test_closed_forms_are_told_against_tuned_optimizers():
    assert sentences.distillation_sentence(column()).endswith(
        "The closed form has 0.0633 and is better than adam, worse than momentum. "
        "The closed form, tuned has 0.041 and is better than momentum and adam."
    )


@pytest.mark.skipif(
    "num_runs" not in RESULTS["studies"][0]["baselines"][0],
    reason="the results in the documentation are those of an earlier version",
)
def test_the_documentation_is_what_the_command_wrote():
    assert (DOCUMENTED / "README.md").read_text() == markdown(RESULTS)


def test_other_settings_are_refused(finished):
    out, _, _ = finished
    (study,) = STUDIES
    with pytest.raises(ValueError, match="other settings"):
        run(out, [replace(study, meta_seeds=(3,))])


def test_a_folder_with_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(ValueError, match="not empty"):
        run(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        ("reverse-engineering", "--profile", "enormous"),
        ("reverse-enginering", "--profile", "quick"),
    ],
)
def test_bad_input_ends_in_one_sentence(arguments, tmp_path, capsys):
    out = tmp_path / "x"
    assert main(["reproduce", *arguments, "--out", str(out)]) == 2
    captured = capsys.readouterr()
    assert "must be one of" in captured.err
    assert "Traceback" not in captured.err
    assert not out.exists()


def test_less_than_one_process_is_refused(tmp_path, capsys):
    arguments = ["reproduce", "flatness", "--processes", "0", "--out", str(tmp_path / "x")]
    assert main(arguments) == 2
    assert "The number of processes must be at least 1, got 0." in capsys.readouterr().err


def test_studies_without_their_data_are_left_out(tmp_path, monkeypatch):
    monkeypatch.delenv("L2O_DATA", raising=False)
    kept, left_out = with_data(FULL)
    assert [study.name for study in kept] == ["linear-regression", "rosenbrock", "two-moons"]
    assert "L2O_DATA" in left_out["mnist"]


def test_profiles_are_what_they_say():
    assert all(study.recipe.completed().optimizer.keywords["hidden_size"] == 64 for study in CPU)
    assert all(study.recipe.optimizer.name == "GRU" for study in FULL)
    assert {study.recipe.optimizer.keywords["hidden_size"] for study in FULL} == {256}
    for study in (*QUICK, *CPU, *FULL):
        study.recipe.training.check()
        study.recipe.evaluation.check()
        # Baselines are tuned and compared over the horizon of meta-training.
        assert study.recipe.training.horizon == study.recipe.evaluation.num_steps
        # The seed of the test problems is no meta-training's.
        assert study.recipe.seed not in study.meta_seeds


def test_momentum_is_fitted_exactly():
    fitted = fit_momentum(-0.3 * 0.9 ** np.arange(100))
    assert fitted.beta == pytest.approx(0.9, abs=1e-9)
    assert fitted.alpha == pytest.approx(0.3, rel=1e-9)
    assert fitted.share_explained == pytest.approx(1)
    assert fitted.is_momentum


def test_gradient_descent_is_no_momentum():
    response = np.zeros(50)
    response[0] = -0.1
    assert not fit_momentum(response).is_momentum
    assert not fit_momentum(np.zeros(50)).is_momentum


def found(rates, gradients=(-2.0, -1.0, 1.0, 2.0), adapted=(1.0, 1.0, 1.0, 1.0), **clipping):
    """What an analysis would have found."""
    peak = int(np.argmax(rates))
    return {
        "seed": 1,
        "momentum": {"present": False},
        "clipping": {
            "saturates": False,
            "share_of_gradients_beyond_half_height": 0.0,
            **clipping,
        },
        "schedule": {
            "present": np.ptp(rates) > 0.05 * max(rates),
            "rise": rates[peak] / rates[0],
            "fall": rates[-1] / rates[peak],
        },
        "adaptation": {
            "present": np.ptp(adapted) > 0.05,
            "gradients": list(gradients),
            "effective_learning_rate": list(adapted),
        },
    }


def names_of(mechanisms):
    return {each["name"] for each in presence([mechanisms]) if each["seeds"]}


def test_presence_tells_mechanisms_apart():
    assert names_of(found([1.0, 1.0, 1.0])) == set()
    assert names_of(found([1.0, 2.0, 2.0])) == {"schedule", "warm-up"}
    assert names_of(found([2.0, 1.5, 1.0])) == {"schedule", "decay"}
    assert names_of(found([1.0, 2.0, 1.0])) == {"schedule", "warm-up", "decay"}
    assert names_of(found([1.0], saturates=True)) == {"saturation"}
    assert names_of(found([1.0], saturates=True, share_of_gradients_beyond_half_height=0.2)) == {
        "saturation",
        "clipping in use",
    }
    both = {"adaptation", "smaller steps for large gradients"}
    assert names_of(found([1.0], adapted=(0.5, 1.0, 1.0, 0.5))) == both
    assert names_of(found([1.0], adapted=(0.5, 1.0, 1.0, 1.0))) == {"adaptation"}
    assert names_of(found([1.0], adapted=(1.0, 0.5, 0.5, 1.0))) == {"adaptation"}


def test_numbers_for_json_are_short_and_valid():
    numbers = plain({"a": np.array([1 / 3, np.nan, np.inf]), "b": (np.float32(2.0), True, None)})
    assert numbers == {"a": [0.333333, None, None], "b": [2.0, True, None]}
    json.dumps(numbers, allow_nan=False)


def test_meta_optimizer_settings():
    import jax.numpy as jnp

    settings = TrainingSettings(
        learning_rate=1.0, schedule="exponential", decay_rate=0.5, decay_steps=10
    )
    assert float(build_schedule(settings)(20)) == pytest.approx(0.25)
    # The penalty's gradient is the unit vector along the meta-parameters.
    parameters = {"w": jnp.array([3.0, 4.0])}
    penalized = replace(settings, meta_l2_penalty=0.1, b1=0.0, b2=0.0, epsilon=1e12)
    chain = build_meta_optimizer(penalized)
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    updates, _ = chain.update(zeros, chain.init(parameters), parameters)
    np.testing.assert_allclose(updates["w"] * -1e12, [0.06, 0.08], rtol=1e-5)


def test_interrupted_meta_trainings_are_told():
    studies = [{"meta_training": [{"resumed_from_step": step} for step in (0, 7, 0)]}]
    assert remarks_on(studies)[0].startswith("1 of 3 meta-trainings were interrupted")
    del studies[0]["meta_training"][1]
    assert remarks_on(studies) == []
