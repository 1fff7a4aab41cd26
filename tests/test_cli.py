import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax
import pytest

import l2o
from l2o.cli import main
from l2o.composition import Composed
from l2o.runs import (
    RECIPES,
    EvaluationSettings,
    Recipe,
    RunFolder,
    TrainingSettings,
    training_differences,
)

RECIPE = Recipe(
    name="small",
    description="As small as can be.",
    task=Composed("quadratic", {"dimension": 2}),
    optimizer=Composed("GRU", {"hidden_size": 3}),
    training=TrainingSettings(
        meta_steps=4,
        num_tasks=2,
        horizon=4,
        truncation=2,
        validation_every=2,
        validation_tasks=2,
        checkpoint_every=2,
    ),
    evaluation=EvaluationSettings(
        baselines=("sgd",), num_configurations=4, tuning_tasks=2, num_tasks=3, num_steps=4
    ),
)


@pytest.fixture(scope="module", autouse=True)
def jax_settings(tmp_path_factory, quick_compilation):
    """Keeps what the command line sets for the whole process from other tests."""
    names = (
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_min_entry_size_bytes",
    )
    before = {name: getattr(jax.config, name) for name in names}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("L2O_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("COLUMNS", "160")
        yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipes") / "small.json"
    path.write_text(RECIPE.to_json())
    return str(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory, recipe_file):
    """A finished run."""
    path = tmp_path_factory.mktemp("runs") / "x"
    assert main(["train", recipe_file, "--out", str(path), "--seed", "1"]) == 0
    return path


@pytest.fixture
def refused(capsys):
    """Runs a command that must end with exit code 2 and gives what it says."""

    def check(*arguments):
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 2
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        assert captured.out == ""
        # A sentence or tyro's frame, and no sign of work before it.
        assert re.match("l2o: |[╭ ]", captured.err), captured.err
        return captured.err

    return check


def test_training_leaves_a_complete_run(run):
    for name in ("config.json", "metrics.jsonl", "checkpoints", "tensorboard", "optimizer"):
        assert (run / name).exists()
    assert isinstance(l2o.load(run / "optimizer"), l2o.optimizers.GRU)
    recipe = Recipe.from_json((run / "config.json").read_text(), run)
    assert recipe == replace(RECIPE, seed=1).completed()


def test_any_field_is_a_flag(tmp_path, recipe_file, capsys):
    flags = {
        "--meta-steps": 2,
        "--dimension": 3,
        "--hidden-size": 2,
        "--learning-rate": 0.5,
        "--clip-norm": 2.0,
        "--evaluation.num-tasks": 5,
    }
    arguments = [str(part) for pair in flags.items() for part in pair]
    out = tmp_path / "run"
    assert main(["train", recipe_file, "--out", str(out), *arguments]) == 0
    flat = Recipe.from_json((out / "config.json").read_text(), out).flat()
    assert flat["training.meta_steps"] == 2
    assert flat["task.keywords.dimension"] == 3
    assert flat["optimizer.keywords.hidden_size"] == 2
    assert flat["training.learning_rate"] == 0.5
    assert flat["training.clip_norm"] == 2.0
    assert flat["evaluation.num_tasks"] == 5
    captured = capsys.readouterr()
    assert "Best objective on validation tasks" in captured.out
    assert "meta-steps/s" in captured.err
    assert "left" in captured.err


def test_a_run_is_replayed_from_its_config(run, tmp_path):
    out = tmp_path / "again"
    assert main(["train", str(run / "config.json"), "--out", str(out)]) == 0
    weights = [(path / "optimizer" / "model.safetensors").read_bytes() for path in (run, out)]
    assert weights[0] == weights[1]


def test_resuming(recipe_file, tmp_path, refused):
    out = tmp_path / "run"
    arguments = ["train", recipe_file, "--out", str(out)]
    # Without a run there, a new one begins.
    assert main([*arguments, "--resume"]) == 0
    assert main([*arguments, "--resume"]) == 0
    assert "is not empty: add --resume" in refused(*arguments)
    message = refused(*arguments, "--resume", "--learning-rate", "0.5")
    assert "cannot be resumed with other settings" in message
    assert "training.learning_rate = 0.001, now asked for is 0.5" in message
    # How a run is evaluated is none of meta-training's business.
    assert main([*arguments, "--resume", "--evaluation.num-tasks", "9"]) == 0
    assert RunFolder(out).read_recipe().evaluation.num_tasks == 9


def test_resuming_takes_the_settings_of_the_run(recipe_file, tmp_path, refused, capsys):
    out = tmp_path / "run"
    arguments = ["train", recipe_file, "--out", str(out)]
    assert main([*arguments, "--meta-steps", "2", "--evaluation.num-tasks", "9"]) == 0
    config = (out / "config.json").read_bytes()
    capsys.readouterr()
    assert main([*arguments, "--resume"]) == 0
    assert (out / "config.json").read_bytes() == config
    said = capsys.readouterr().err
    assert "the run's own settings: training.meta_steps = 2 where the recipe has 4." in said
    # What is asked for all the same has to agree.
    assert main([*arguments, "--resume", "--meta-steps", "2"]) == 0
    message = refused(*arguments, "--resume", "--meta-steps", "4")
    assert "it has training.meta_steps = 2, now asked for is 4" in message
    # The folder knows its recipe.
    assert main(["train", "--out", str(out), "--resume"]) == 0
    assert (out / "config.json").read_bytes() == config
    assert "it has seed = 0, now" in refused("train", "--resume", f"--out={out}", "--seed", "1")
    assert "There is no run in" in refused("train", "--out", tmp_path / "no", "--resume")
    assert "`l2o train --out RUN --resume`" in refused("train", "--resume")
    assert refused("train", "--resume", "--out") == "l2o: --out takes a folder.\n"
    # Another recipe is another run.
    assert "cannot be resumed with other" in refused("train", "demo", "--out", out, "--resume")


@pytest.mark.parametrize(
    ("place", "other"), [("task", Composed("rosenbrock")), ("optimizer", Composed("ML2O"))]
)
def test_resuming_with_settings_of_another_kind_names_the_kind(place, other, tmp_path):
    """The others' settings are not the same ones, so there is nothing to compare."""
    folder = RunFolder(tmp_path)
    folder.config.write_text(RECIPE.to_json())
    (tmp_path / "checkpoints").mkdir()
    changed = replace(RECIPE, **{place: other}, seed=3)
    before = getattr(RECIPE, place).name
    message = rf"it has {place}\.name = {before}, now asked for is {other.name}; choose"
    with pytest.raises(ValueError, match=message):
        folder.claim(changed, resume=True)
    assert training_differences(RECIPE, changed).keys() == {f"{place}.name", "seed"}


def test_a_run_that_never_began_gives_way(recipe_file, tmp_path, refused):
    out = tmp_path / "run"
    out.mkdir()
    (out / "config.json").write_text(replace(RECIPE, seed=7).to_json())
    folder = RunFolder(out)
    for resume in (True, False):
        folder.claim(replace(RECIPE, seed=8), resume=resume)
        assert folder.read_recipe().seed == 8
    # But no config of something else, nor a run of which there is anything.
    (out / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="is not empty"):
        folder.claim(RECIPE, resume=False)
    (out / "config.json").write_text(replace(RECIPE, seed=7).to_json())
    (out / "checkpoints").mkdir()
    with pytest.raises(ValueError, match="is not empty"):
        folder.claim(RECIPE, resume=False)
    with pytest.raises(ValueError, match="it has seed = 7, now asked for is 0"):
        folder.claim(RECIPE, resume=True)


def test_evaluating(run, tmp_path, capsys):
    out = tmp_path / "out.json"
    arguments = ["--tasks", "4", "--steps", "5", "--seed", "3", "--configurations", "3"]
    extra = ["--baselines", "momentum", "adam", "--longer-steps", "8", "--json", str(out)]
    assert main(["eval", str(run), *arguments, *extra]) == 0
    numbers = json.loads(out.read_text())
    assert [result["name"] for result in numbers["results"]] == ["GRU(3)", "momentum", "adam"]
    for result in numbers["results"]:
        assert {
            "hyperparameters",
            "mean_train_loss",
            "final_train_loss",
            "diverged",
        } <= result.keys()
        assert result["mean_train_loss"].keys() == {"mean", "sem"}
    assert {pair["baseline"] for pair in numbers["paired"]} == {"momentum", "adam"}
    assert numbers["num_tasks"] == 4
    assert numbers["num_steps"] == 5
    assert numbers["others"][0]["num_steps"] == 8
    assert json.loads((run / "evaluation.json").read_text()) == numbers
    assert (run / "report.html").exists()
    assert (run / "figures" / "losses.png").exists()
    captured = capsys.readouterr()
    assert "momentum" in captured.out
    assert f"Report: {run / 'report.html'}" in captured.out
    assert "tuning adam" in captured.err
    # What was given as flags is not kept for the next time.
    assert json.loads((run / "config.json").read_text())["evaluation"]["num_tasks"] == 3
    assert main(["show", str(run)]) == 0
    shown = capsys.readouterr().out
    table = captured.out[: captured.out.index(numbers["setting"] + ": ")]
    assert "final training loss" in table
    assert table in shown
    assert "4 of 4 meta-steps, finished" in shown
    assert "momentum" in shown
    assert "optimizer.hidden_size" in shown


def test_explaining_a_hand_designed_optimizer(tmp_path, capsys):
    out = tmp_path / "out.json"
    settings = ["--set", "learning_rate=0.1", "momentum=0.9"]
    assert main(["explain", "momentum", *settings, "--out", str(tmp_path), "--json", str(out)]) == 0
    numbers = json.loads(out.read_text())
    (mode,) = numbers["momentum"]["modes"]
    assert mode["beta"] == pytest.approx([0.9, 0.0], rel=1e-6)
    assert mode["alpha"] == pytest.approx([0.1, 0.0], rel=1e-6)
    assert numbers["momentum"]["effective_learning_rate"] == pytest.approx(0.1, rel=1e-6)
    assert numbers["momentum"]["fixed_point_residual"] <= 1e-24
    assert numbers["clipping"] == numbers["clipping"] | {"saturates": False, "threshold": None}
    assert not numbers["schedule"]["present"]
    assert not numbers["adaptation"]["present"]
    assert len(numbers["schedule"]["effective_learning_rate"]) == 200
    assert len(numbers["adaptation"]["gradients"]) == len(
        numbers["adaptation"]["effective_learning_rate"]
    )
    page = (tmp_path / "explanation.html").read_text()
    assert "How momentum works" in page
    assert "beta = 0.9, alpha = 0.1" in page
    assert (tmp_path / "figures" / "momentum.png").exists()
    said = capsys.readouterr().out
    assert said.startswith("momentum: It has momentum, but no ")
    assert "beta = 0.9" in said
    assert said.endswith(f"Numbers: {tmp_path / 'explanation.json'}\n")


def test_explaining_a_run_beside_another_optimizer(run, capsys):
    assert main(["explain", str(run), "--against", "sgd", "--steps", "5", "--distill"]) == 0
    numbers = json.loads((run / "explain" / "explanation.json").read_text())
    assert numbers["state_size"] == 3
    assert numbers["against"]["sgd"]["state_size"] == 0
    page = (run / "explain" / "explanation.html").read_text()
    assert "State space" in page
    assert "Side by side with sgd" in page
    assert "As a formula" in page
    scores = [score["name"] for score in numbers["distillation"]["scores"]]
    assert scores[:2] == ["the optimizer itself", "closed form"]
    assert scores[-1] == "sgd"
    out = capsys.readouterr().out
    assert "x ← x" in out
    assert "Report:" in out


def test_explaining_an_optimizer_of_ones_own(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("import optax\nrule = optax.sgd(0.1, momentum=0.5)\n")
    saved = str(run / "optimizer")
    assert main(["explain", "mine.py:rule", "--against", saved, "--steps", "5"]) == 0
    numbers = json.loads(
        (tmp_path / "runs" / "explain-mine-py-rule" / "explanation.json").read_text()
    )
    assert numbers["presence"]["momentum"] == "present"
    assert numbers["against"][saved]["state_size"] == 3
    assert (
        "as it is in your code"
        in (tmp_path / "runs" / "explain-mine-py-rule" / "explanation.html").read_text()
    )


def test_what_cannot_be_explained(run, refused):
    assert "did you mean 'adam'" in refused("explain", "adm").lower()
    assert "no folder of a run" in refused("explain", "nowhere/at/all")
    assert "--set takes name=value" in refused("explain", "adam", "--set", "b1")
    assert "A hyperparameter of adam" in refused("explain", "adam", "--set", "beta=0.9")
    assert "is a run" in refused("explain", run, "--set", "b1=0.5")
    assert "is a saved one" in refused("explain", run / "optimizer", "--set", "b1=0.5")
    assert "cannot be imported" in refused("explain", "no_such_module:rule")
    assert "num_steps" in refused("explain", "sgd", "--steps", "0")
    assert "reference_gradient" in refused("explain", "sgd", "--reference-gradient", "-1")
    assert "--distill is for runs" in refused("explain", "sgd", "--distill")
    assert "finite" in refused("explain", "adam", "--set", "learning_rate=nan")


def test_tuned_baselines_are_kept(run, capsys):
    def evaluate(*more):
        """What was tuned, what was said and the numbers."""
        arguments = ["--baselines", "sgd", "momentum", *more]
        assert main(["eval", str(run), *arguments]) == 0
        captured = capsys.readouterr()
        tuned = [name for name in ("sgd", "momentum") if f"tuning {name}" in captured.err]
        numbers = json.loads((run / "evaluation.json").read_text())
        return tuned, captured.out, numbers

    tuned, out, first = evaluate()
    assert tuned == ["sgd", "momentum"]
    assert "Reused" not in out
    tuned, out, second = evaluate()
    assert tuned == []
    assert "Reused" in out
    assert "the hyperparameters of sgd, momentum." in out
    assert second == first
    # How many tasks the comparison is made on does not matter for tuning.
    assert evaluate("--tasks", "4")[0] == []
    # A damaged file, and one of other content.
    kept = run / "tuned" / "sgd.json"
    kept.write_bytes(kept.read_bytes()[:-40])
    assert evaluate()[0] == ["sgd"]
    kept.write_text('{"conditions": []}')
    tuned, out, third = evaluate()
    assert tuned == ["sgd"]
    assert "the hyperparameters of momentum." in out
    assert third == first
    for changed in (("--steps", "5"), ("--seed", "6")):
        assert evaluate(*changed)[0] == ["sgd", "momentum"]


def test_images_have_test_metrics(tmp_path):
    path = tmp_path / "images.json"
    recipe = replace(RECIPE, task=Composed("image-mlp", {"hidden": (2,), "batch_size": 4}))
    path.write_text(recipe.to_json())
    out = tmp_path / "run"
    assert main(["demo", "--recipe", str(path), "--out", str(out)]) == 0
    numbers = json.loads((out / "evaluation.json").read_text())
    assert numbers["results"][0]["test_accuracy"].keys() == {"mean", "sem"}
    assert numbers["results"][0]["test_loss"].keys() == {"mean", "sem"}


def test_tuning(recipe_file, tmp_path, capsys):
    out = tmp_path / "tuned.json"
    arguments = [
        "--recipe",
        recipe_file,
        "--configurations",
        "3",
        "--tuning-tasks",
        "2",
        "--seed",
        "2",
    ]
    assert main(["tune", "momentum", *arguments, "--steps", "3", "--json", str(out)]) == 0
    numbers = json.loads(out.read_text())
    assert numbers["hyperparameters"].keys() == {"learning_rate", "momentum"}
    assert numbers["num_configurations"] == 3
    assert numbers["num_steps"] == 3
    assert "learning_rate" in capsys.readouterr().out


def test_listing(capsys):
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    for name in (
        "digits-rnnprop",
        "mnist-dm",
        "image-mlp",
        "rosenbrock",
        "hessian-norm",
        "first-order",
        "RNNProp",
        "adamw",
        "adan",
    ):
        assert name in out


def test_showing_an_unfinished_run(run, tmp_path, capsys, refused):
    (tmp_path / "config.json").write_bytes((run / "config.json").read_bytes())
    assert main(["show", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "0 of 4 meta-steps, not finished" in out
    assert "Not evaluated yet" in out
    assert "has no optimizer yet" in refused("eval", tmp_path)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help(arguments, capsys):
    assert main(arguments) == 0
    out = capsys.readouterr().out
    for command in ("train", "eval", "tune", "list", "show", "demo"):
        assert f"  {command} " in out


@pytest.mark.parametrize("command", ["train", "eval", "tune", "list", "show", "demo"])
def test_help_of_commands(command, capsys):
    assert main([command, "--help"]) == 0
    assert f"usage: l2o {command}" in capsys.readouterr().out


def test_help_without_a_recipe_has_no_recipes_defaults(capsys):
    for flag in ("--help", "-h"):
        assert main(["train", flag]) == 0
        out = capsys.readouterr().out
        assert "l2o train RECIPE --help" in " ".join(out.split())
        assert all(recipe.name in out and recipe.description in out for recipe in RECIPES)
        assert "default:" not in out
        assert "--meta-steps" not in out


def test_help_of_a_recipe(capsys):
    assert main(["train", "quadratic-gru", "--help"]) == 0
    out = capsys.readouterr().out
    for flag in ("--out", "--seed", "--meta-steps", "--dimension", "--hidden-size", "--resume"):
        assert f"{flag} " in out


def test_bad_commands(refused):
    assert "Did you mean 'train'" in refused("trian")


def test_bad_input_to_train(refused, tmp_path, recipe_file, monkeypatch):
    out = ["--out", tmp_path / "run"]
    assert "Did you mean 'digits-rnnprop'" in refused("train", "digit-rnnprop", *out)
    assert "The name of a recipe comes first" in refused("train")
    assert "The name of a recipe comes first" in refused("train", "--seed", "1", "digits-dm")
    assert "cannot be read" in refused("train", tmp_path / "none.json")
    assert "--meta-steps" in refused("train", recipe_file, *out, "--meta-step", "3")
    assert "invalid literal" in refused("train", recipe_file, *out, "--meta-steps", "x")
    assert "must be one of" in refused("train", recipe_file, *out, "--estimator", "x")
    assert "meta_steps must be at least 1" in refused(
        "train", recipe_file, *out, "--meta-steps", "0"
    )
    assert "num_tasks must be at least 1" in refused("train", recipe_file, *out, "--num-tasks", "0")
    assert "truncation must divide" in refused("train", recipe_file, *out, "--truncation", "3")
    assert "dimension must be at least 1" in refused("train", recipe_file, *out, "--dimension", "0")
    assert "batch_size must be at least 1" in refused(
        "train", "digits-dm", *out, "--batch-size", "0"
    )
    assert "Did you mean 'adagrad'" in refused(
        "train", recipe_file, *out, "--evaluation.baselines", "adagrd"
    )
    monkeypatch.delenv("L2O_DATA", raising=False)
    assert "L2O_DATA" in refused("train", "mnist-rnnprop", *out)
    monkeypatch.setenv("L2O_DATA", str(tmp_path / "nowhere"))
    assert "which is no folder" in refused("train", "mnist-rnnprop", *out)
    # Nothing was written.
    assert not (tmp_path / "run").exists()
    (tmp_path / "file").write_text("")
    assert "is a file" in refused("train", recipe_file, "--out", tmp_path / "file")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("")
    message = refused("train", recipe_file, "--out", tmp_path / "other", "--resume")
    assert "There is no run in" in message


IMPOSSIBLE = {
    "--hidden-size 0": "hidden_size must be",
    "--hidden-size -1": "hidden_size must be",
    "--hidden-size 1000000000": "hidden_size must be|of memory at the least",
    "--hidden-size 3000000000": "must be .*at most 2147483647",
    "--dimension 1000000000": "of memory at the least",
    "--num-tasks 1000000000": "of memory at the least",
    "--truncation 1000000000 --horizon 1000000000": "of memory at the least",
    "--validation-tasks 2000000000": "of memory at the least",
    "--num-tasks 99999999999999999999": "num_tasks must be",
    "--seed 99999999999999999999": "seed must be a whole number of at least 0 and of at most",
    "--seed -1": "seed must be a whole number",
    "--held-out-loss 1": "Quadratic has no held-out training data",
}


@pytest.mark.parametrize("flags", IMPOSSIBLE)
def test_what_cannot_be_built_is_found_before_a_folder_is_made(
    flags, tmp_path, recipe_file, refused, monkeypatch
):
    monkeypatch.setattr("l2o.metatraining.plan.available_memory", lambda: 8 * 10**9)
    out = tmp_path / "run"
    message = refused("train", recipe_file, "--out", out, *flags.split())
    assert re.search(IMPOSSIBLE[flags], " ".join(message.split()))
    assert not out.exists()


def test_optimizers_and_tasks_that_do_not_go_together(tmp_path, refused):
    path = tmp_path / "recipe.json"
    for task, optimizer in (
        (Composed("conflicting-quadratics"), Composed("GRU")),
        (Composed("quadratic"), Composed("ML2O")),
        (Composed("conflicting-quadratics", {"num_quadratics": 3}), Composed("ML2O")),
        (Composed("image-mlp", {"hidden": (0,)}), Composed("GRU")),
        (
            Composed("conflicting-quadratics", {"num_quadratics": 10**9}),
            Composed("ML2O", {"num_objectives": 10**9}),
        ),
    ):
        path.write_text(replace(RECIPE, task=task, optimizer=optimizer).to_json())
        message = refused("train", str(path), "--out", tmp_path / "run")
        assert message.splitlines()[-1].startswith("l2o: ")
    assert [entry.name for entry in tmp_path.iterdir()] == ["recipe.json"]


def test_memory_for_comparing_and_tuning(run, recipe_file, refused, monkeypatch):
    monkeypatch.setattr("l2o.runs.feasibility.available_memory", lambda: 8 * 10**9)
    huge = "2000000000"
    few = "of memory at the least, of which there are 8 GB: take fewer tasks or steps"
    for command, text in (
        (["eval", run, "--tasks", huge], "Comparing on 2000000000 tasks over 4 steps"),
        (["eval", run, "--longer-steps", huge], "Comparing on 3 tasks over 2000000000 steps"),
        (
            ["tune", "adam", "--recipe", recipe_file, "--tuning-tasks", huge],
            "Tuning on 2000000000 tasks",
        ),
    ):
        message = refused(*command)
        assert text in message
        assert few in message
    for command in (["eval", run], ["tune", "adam", "--recipe", recipe_file]):
        assert "seed must be" in refused(*command, "--seed", "99999999999999999999")


def test_bad_input_to_eval_and_show(refused, run, tmp_path):
    for command in ("eval", "show"):
        assert "There is no run in" in refused(command, tmp_path / "nowhere")
        assert "There is no run in" in refused(command, run / "config.json")
        assert "--bogus" in refused(command, run, "--bogus")
        assert "RUN" in refused(command)
    assert "num_tasks must be at least 1, got 0" in refused("eval", run, "--tasks", "0")
    assert "num_steps must be at least 1, got 0" in refused("eval", run, "--steps", "0")
    assert "num_configurations must be" in refused("eval", run, "--configurations", "0")
    assert "Did you mean 'rmsprop'" in refused("eval", run, "--baselines", "rmspop")


def test_damaged_runs(refused, run, tmp_path):
    for name in ("config.json", "optimizer/config.json", "optimizer/model.safetensors"):
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes((run / name).read_bytes())
    weights = tmp_path / "optimizer" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-3])
    assert "corrupt or no safetensors file" in refused("eval", tmp_path)
    (tmp_path / "config.json").write_text('{"name": "x"')
    assert "no JSON file" in refused("eval", tmp_path)
    assert "no JSON file" in refused("show", tmp_path)
    (tmp_path / "config.json").write_text("[" * 100_000)
    assert "is nested too deeply" in refused("show", tmp_path)
    assert "is nested too deeply" in refused("train", tmp_path / "config.json")


def test_nothing_is_written_where_something_is_damaged(run, tmp_path, refused):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    (folder / "evaluation.json").write_text("as it was")
    row = {"meta_step": 9, "meta_loss": 10**400}
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert "metrics.jsonl is damaged: line 5 is no row of numbers" in refused("eval", folder)
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


RESULT = {
    "name": "sgd",
    "hyperparameters": {"learning_rate": 0.1},
    "mean_train_loss": {"mean": None, "sem": None},
    "diverged": 0,
}
EVALUATION = {"setting": "x", "num_tasks": 2, "results": [RESULT]}


def test_strange_evaluations(tmp_path, refused, capsys):
    (tmp_path / "config.json").write_text(RECIPE.to_json())
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps(EVALUATION))
    assert main(["show", str(tmp_path)]) == 0
    assert "not finite" in capsys.readouterr().out
    strange = [b"\xff\xfe", b"", b"[]", b"3", b"null", b"[" * 100_000, b'{"results": NaN}']
    changes = [{"results": x} for x in ([], {}, "sgd", [3], [[]], None, [RESULT, {}])]
    changes += [{"setting": 3}, {"num_tasks": "2"}]
    changes += [
        {"results": [RESULT | change]}
        for change in (
            {"name": 3},
            {"diverged": "no"},
            {"hyperparameters": []},
            {"hyperparameters": {"b1": "x"}},
            {"mean_train_loss": {"mean": [], "sem": 1}},
        )
    ]
    changes += [{"results": [RESULT, {k: v for k, v in RESULT.items() if k != "mean_train_loss"}]}]
    strange += [json.dumps(EVALUATION | change).encode() for change in changes]
    for content in strange:
        path.write_bytes(content)
        assert "evaluation.json is" in refused("show", tmp_path)
        assert "evaluation.json is" in refused("flatness", tmp_path)


def test_strange_metrics(tmp_path, refused, capsys):
    (tmp_path / "config.json").write_text(RECIPE.to_json())
    path = tmp_path / "metrics.jsonl"
    row = {"meta_step": 1, "meta_loss": None}
    path.write_text(json.dumps(row) + "\n")
    assert main(["show", str(tmp_path)]) == 0
    assert "1 of 4 meta-steps" in capsys.readouterr().out
    strange = ["[]", "3", '{"meta_loss": 1}', '{"meta_step": "1"}', "[" * 100_000]
    strange += ['{"meta_step": 1, "validation_score": []}', '{"meta_step": 1, "x": "y"}']
    for line in [*strange, b"\xff\xfe{}"]:
        path.write_bytes((line.encode() if isinstance(line, str) else line) + b"\n")
        assert "metrics.jsonl is damaged" in refused("show", tmp_path)


def test_names_are_no_markup(run, tmp_path, capsys, refused):
    name = tmp_path / "[/b] [red]x :bug:"
    name.mkdir(parents=True)
    recipe = replace(RECIPE, description="[/i] all [bold]of :bug: it")
    (name / "config.json").write_text(recipe.to_json())
    (name / "evaluation.json").write_text(
        json.dumps(EVALUATION | {"setting": "[/x]", "results": [RESULT | {"name": "[/y] :bug:"}]})
    )
    assert main(["show", str(name)]) == 0
    # Lines may be broken anywhere.
    out = re.sub(r"\s", "", capsys.readouterr().out)
    for text in (str(name), recipe.description, "[/x]", "[/y] :bug:"):
        assert re.sub(r"\s", "", text) in out
    assert "[/b] [red]x :bug:" in refused("eval", name)
    assert "[/z] :bug:" in refused("explain", "[/z] :bug:")
    assert "[/z] :bug:" in refused("train", "[/z] :bug:")
    assert "[/z]" in refused("train", "demo", "--bogus", "[/z]")


def hold(folder):
    """Another process that writes into a folder."""
    code = (
        "import sys, time; from pathlib import Path; from l2o.support.lock import only_writer\n"
        "with only_writer(Path(sys.argv[1])): print('locked', flush=True); time.sleep(99)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "locked\n"
    return process


def test_one_process_a_folder(run, recipe_file, tmp_path, refused):
    commands = {
        run: [
            ["train", recipe_file, "--seed", "1", "--out", run, "--resume"],
            ["eval", run],
            ["demo", "--recipe", recipe_file, "--out", run],
            ["explain", "sgd", "--out", run],
            ["flatness", run, "--out", run],
        ],
        tmp_path / "new": [["reproduce", "multi-objective", "--out", tmp_path / "new"]],
        run / "explain": [["explain", run]],
        run / "flatness": [["flatness", run]],
    }
    for folder, refusing in commands.items():
        process = hold(folder)
        try:
            before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
            for command in refusing:
                assert f"({process.pid}) is writing into {folder}" in refused(*command)
            assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
    # What a killed process leaves behind is in nobody's way.
    assert (run / ".lock").exists()
    assert main(["train", recipe_file, "--seed", "1", "--out", str(run), "--resume"]) == 0
    assert not (run / ".lock").exists()


def test_a_full_disk(recipe_file, tmp_path, refused, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("l2o.support.atomic.os.fsync", full)
    out = tmp_path / "run"
    message = refused("train", recipe_file, "--out", out)
    assert message == f"l2o: {out / 'config.json'}: No space left on device.\n"
    assert not out.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_nowhere_to_print():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "l2o.cli", "--help"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr == "l2o: No space left on device.\n"


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes.")]
)
def test_too_little_memory(error, refused, monkeypatch):
    def fail():
        raise error

    monkeypatch.setattr("l2o.cli.commands.print_lists", fail)
    assert "There is not enough memory" in refused("list")


def test_bad_input_to_tune(refused, recipe_file):
    assert "Did you mean 'adagrad'" in refused("tune", "adagrd", "--recipe", recipe_file)
    assert "There is no recipe" in refused("tune", "adam", "--recipe", "nothing")
    assert "num_configurations must be at least 1" in refused(
        "tune", "adam", "--recipe", recipe_file, "--configurations", "0"
    )
    assert "tuning_tasks must be at least 1" in refused(
        "tune", "adam", "--recipe", recipe_file, "--tuning-tasks", "0"
    )


def test_bad_input_to_list_and_demo(refused, tmp_path):
    assert "--bogus" in refused("list", "--bogus")
    assert "There is no recipe" in refused("demo", "--recipe", "nothing", "--out", tmp_path / "x")


def test_defects_keep_their_traceback(recipe_file, tmp_path, monkeypatch):
    def defect(*_, **__):
        json.loads("{")

    monkeypatch.setattr("l2o.runs.train", defect)
    with pytest.raises(json.JSONDecodeError):
        main(["train", recipe_file, "--out", str(tmp_path / "run")])


def in_a_process(*arguments):
    # Shells have what they start in the background ignore interruptions, its children too.
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from l2o.cli import main; sys.exit(main())"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # As in this process, so that compiled programs are found where it left them.
        env=os.environ | {"JAX_NUM_CPU_DEVICES": "2", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"},
    )


def test_importing_and_asking_for_help_leaves_jax_alone():
    code = (
        "import sys, l2o, l2o.cli; dir(l2o); assert l2o.cli.main(['--help']) == 0; "
        "assert l2o.cli.main(['train', '--help']) == 0; "
        "assert 'jax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_interrupting_ends_cleanly_and_can_be_resumed(recipe_file, tmp_path):
    out = str(tmp_path / "run")
    arguments = ["train", recipe_file, "--out", out, "--meta-steps", "100000"]
    process = in_a_process(*arguments)
    assert "starting" in process.stderr.readline()
    deadline = time.monotonic() + 60
    while not any((tmp_path / "run" / "checkpoints").glob("*.zip")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert f"Go on with: l2o train {out}/config.json --out {out} --resume" in errors
    assert output == ""


def test_training_for_flatness_and_unseen_data(tmp_path):
    out = tmp_path / "flat"
    flags = ["--num-train", "64", "--num-held-out", "32", "--batch-size", "16", "--hidden", "4"]
    flags += ["--held-out-loss", "1", "--hessian-norm", "0.1", "--hessian-norm.every", "2"]
    flags += ["--objective-weight", "0", "--hessian-norm.relative-to", "filters"]
    flags += ["--held-out-loss.every", "2"]
    steps = ["--meta-steps", "2", "--horizon", "4", "--truncation", "4", "--validation-tasks", "2"]
    assert main(["train", "digits-rnnprop", "--out", str(out), *flags, *steps]) == 0
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    # The objective has no part in it.
    assert [row["meta_loss"] for row in rows] == [row["regularization"] for row in rows]
    assert all(row["regularization"] > 1 for row in rows)


def test_training_on_a_curriculum_with_imitation(tmp_path, refused):
    flags = ["--num-train", "64", "--batch-size", "16", "--hidden", "4", "--truncation", "2"]
    flags += ["--meta-steps", "4", "--validation-tasks", "2", "--validation-every", "1"]
    flags += ["--learning-rate", "1e-3", "--imitation-ratio", "0.5"]
    train = ["train", "digits-rnnprop", *flags, "--curriculum", "2", "4", "6"]
    out = tmp_path / "curriculum"
    assert main([*train, "--out", str(out)]) == 0
    recipe = json.loads((out / "config.json").read_text())
    assert recipe["training"]["curriculum"] == [2, 4, 6]
    rows = [json.loads(x) for x in (out / "stage-1" / "metrics.jsonl").read_text().splitlines()]
    assert [row["meta_step"] for row in rows] == [0, 1, 2, 3, 4]
    assert {row["imitation"] for row in rows[1:]} == {0, 1}
    learned = (out / "optimizer" / "model.safetensors").read_bytes()
    # Finished, it is only read again.
    assert main([*train, "--out", str(out), "--resume"]) == 0
    assert (out / "optimizer" / "model.safetensors").read_bytes() == learned
    for horizons, message in (("3 4", "truncation must divide horizon"), ("4 2", "must rise")):
        elsewhere = ["--out", tmp_path / "x", "--curriculum", *horizons.split()]
        assert message in refused("train", "digits-rnnprop", "--truncation", "2", *elsewhere)


def test_nothing_held_out(tmp_path, refused):
    message = refused("train", "digits-rnnprop", "--out", tmp_path / "x", "--held-out-loss", "1")
    assert "num_held_out" in message


def test_flatness_of_a_run(run, capsys, refused):
    (run / "evaluation.json").unlink(missing_ok=True)
    assert "run `l2o eval" in refused("flatness", run)
    few = ["--tasks", "2", "--steps", "3", "--configurations", "3", "--baselines", "sgd", "sam"]
    assert main(["eval", str(run), *few, "--seed", "3"]) == 0
    assert main(["flatness", str(run), "--tasks", "2"]) == 0
    numbers = json.loads((run / "flatness" / "flatness.json").read_text())
    # Networks are trained as in the evaluation, whatever the run's own settings are.
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert numbers["title"] == evaluation["setting"]
    assert numbers["seed"] == 3
    assert [each["name"] for each in numbers["results"]] == ["GRU(3)", "sgd", "sam"]
    assert all(each["spectral_norm"]["mean"] > 0 for each in numbers["results"])
    assert (run / "flatness" / "loss-planes.png").exists()
    assert "spectral norm" in capsys.readouterr().out
    assert "tasks must be at least 1" in refused("flatness", run, "--tasks", "0")
    for change in ({"num_steps": "3"}, {"num_steps": 0}, {"seed": None}):
        (run / "evaluation.json").write_text(json.dumps(evaluation | change))
        assert "evaluation.json" in refused("flatness", run)
