import json
from dataclasses import replace

import jax
import numpy as np
import pytest

from l2o.cli import main
from l2o.recipes import EvaluationSettings, TrainingSettings
from l2o.recipes.optimizer_settings import GRU
from l2o.recipes.reproduction import WorkFolder
from l2o.recipes.reverse_engineering import Study, run_studies
from l2o.recipes.reverse_engineering.fitted_momentum import fit_momentum
from l2o.recipes.reverse_engineering.presence import MECHANISMS, presence
from l2o.recipes.reverse_engineering.profiles import CPU, FULL, QUICK
from l2o.recipes.reverse_engineering.study import StudyRunner
from l2o.report.plain import plain


@pytest.fixture(scope="module", autouse=True)
def quickly(quick_compilation):
    """Most of the time is compilation."""


def shrunken(study: Study) -> Study:
    """The smallest study with all its parts."""
    recipe = replace(
        study.recipe,
        optimizer=replace(study.recipe.optimizer, hidden_size=3),
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


STUDIES = [shrunken(QUICK[0])]


def run(out, studies=STUDIES, on_progress=lambda progress: None):
    return run_studies(studies, out, on_progress, profile="shrunken", command="none")


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A reproduction that was interrupted in its second meta-training, and then finished."""
    out = tmp_path_factory.mktemp("reproduction") / "x"

    def interrupt(progress):
        if "seed 2" in progress.activity and progress.done == 3:
            raise KilledError

    with pytest.raises(KilledError):
        run(out, on_progress=interrupt)
    assert not (out / "results.json").exists()
    seen = []
    page = run(out, on_progress=lambda progress: seen.append(progress))
    return out, page, seen


def test_jobs_of_several_processes_do_all_of_it(finished, parts_of_jobs, all_parts):
    out, _, _ = finished
    found = parts_of_jobs(StudyRunner(STUDIES[0], WorkFolder(out), print).stages())
    assert set().union(*found) == all_parts(out)


def test_goes_on_where_it_stopped(finished):
    _, _, seen = finished
    assert not any("meta-training with seed 1" in each.activity for each in seen)
    steps = [each.done for each in seen if "meta-training with seed 2" in each.activity]
    assert steps == [3, 4]


def test_finished_parts_are_not_done_again(finished):
    out, _, _ = finished
    before = (out / "results.json").read_bytes()
    seen = []
    run(out, on_progress=lambda progress: seen.append(progress))
    assert seen == []
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
    assert scores[:2] == ["the optimizer itself", "closed form"]
    assert study["best_momentum"] == pytest.approx({"beta": 0.8811, "alpha": 3.7585}, rel=1e-4)
    figures = sorted(path.name for path in (out / "figures").iterdir())
    assert [name[:8] for name in figures] == [f"figure-{number}" for number in range(1, 6)]
    text = page.read_text()
    assert text.count("<svg") == 5
    assert "of 2 learned optimizers beat all tuned baselines" in text


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
    from l2o.recipes.reverse_engineering.experiment import _with_data

    monkeypatch.delenv("L2O_DATA", raising=False)
    kept, left_out = _with_data(FULL)
    assert [study.name for study in kept] == ["linear-regression", "rosenbrock", "two-moons"]
    assert "L2O_DATA" in left_out["mnist"]


def test_profiles_are_what_they_say():
    assert all(
        study.recipe.optimizer == replace(study.recipe.optimizer, hidden_size=64) for study in CPU
    )
    assert all(isinstance(study.recipe.optimizer, GRU) for study in FULL)
    assert {study.recipe.optimizer.hidden_size for study in FULL} == {256}
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
    assert float(settings.build_schedule()(20)) == pytest.approx(0.25)
    # The penalty's gradient is the unit vector along the meta-parameters.
    parameters = {"w": jnp.array([3.0, 4.0])}
    penalized = replace(settings, meta_l2_penalty=0.1, b1=0.0, b2=0.0, epsilon=1e12)
    chain = penalized.build_meta_optimizer()
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    updates, _ = chain.update(zeros, chain.init(parameters), parameters)
    np.testing.assert_allclose(updates["w"] * -1e12, [0.06, 0.08], rtol=1e-5)
