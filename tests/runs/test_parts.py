"""Recipes that meta-train on several families at once."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from l2o import runs
from l2o.cli import main
from l2o.cli.training import Train
from l2o.composition import TASK_FAMILY, Composed
from l2o.runs import Recipe, RunFolder, TrainingSettings
from l2o.runs.making import make_trained_on
from l2o.runs.part_settings import PartSettings

pytestmark = pytest.mark.usefixtures("quick_compilation")

TASK = f"{Path(__file__).parents[2] / 'examples' / 'own_task.py'}:OscillationFits"
PARTS = [
    {"task": {"name": "quadratic", "keywords": {"dimension": 3}}, "weight": 3},
    {
        "task": {"name": "rosenbrock", "keywords": {}},
        "name": "valley",
        "num_tasks": 4,
        "horizon": 6,
        "truncation": 3,
        "validation_horizon": 2,
        "normalize": True,
    },
]


def recipe_with(*parts):
    recipe = Recipe(
        name="mixture",
        description="As small as can be.",
        task=Composed("quadratic", {"dimension": 2}),
        optimizer=Composed("GRU", {"hidden_size": 3}),
        training=TrainingSettings(
            meta_steps=4,
            num_tasks=2,
            horizon=4,
            truncation=2,
            validation_tasks=2,
            checkpoint_every=2,
        ),
    )
    content = recipe.as_dict()
    content["training"]["parts"] = list(parts)
    return content


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(*parts):
        (tmp_path / "mixture.json").write_text(json.dumps(recipe_with(*parts)))
        return "mixture.json"

    return write


@pytest.fixture
def refused(capsys):
    def check(*words):
        assert main(list(words)) == 2
        said = capsys.readouterr().err
        assert "Traceback" not in said
        return " ".join(said.split())

    return check


def test_settings_of_parts_are_read_and_reach_meta_training(written, capsys):
    recipe = runs.find_recipe(written(*PARTS))
    quadratics, valley = make_trained_on(recipe)
    assert (quadratics.family.title, quadratics.weight, quadratics.name) == (
        "3-dimensional quadratics",
        3.0,
        None,
    )
    assert (valley.name, valley.weight, valley.normalize) == ("valley", 1.0, True)
    sizes = ("num_tasks", "horizon", "truncation", "validation_horizon")
    assert [getattr(valley, name) for name in sizes] == [4, 6, 3, 2]
    assert [getattr(quadratics, name) for name in sizes] == [None] * 4
    assert Recipe.from_json(recipe.to_json(), Path("mixture.json")) == recipe
    assert main(["show", "digits-rnnprop", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["training"].pop("parts") == []
    # As versions without parts wrote it.
    old = Recipe.from_json(json.dumps(printed), Path("old.json"))
    assert old == runs.find_recipe("digits-rnnprop")


def test_what_is_stopped_goes_on_bit_for_bit_and_own_code_is_run_only_where_it_is_named(
    written, refused
):
    own = PARTS[1] | {"task": {"name": TASK, "keywords": {"num_points": 5}}}
    recipe = written(PARTS[0], own)
    said = refused("train", recipe, "--out", "stopped")
    assert said.endswith(f"only where you name it: add --parts quadratic {TASK}.")
    assert not Path("stopped").exists()

    def stop(progress):
        if progress.meta_step == 3:
            raise KeyboardInterrupt

    named = runs.find_recipe(recipe).confirm(parts=["quadratic", TASK])
    with pytest.raises(KeyboardInterrupt):
        runs.train(named, "stopped", on_progress=stop)
    resuming = ["train", "stopped/config.json", "--out", "stopped", "--resume"]
    assert "add --parts" in refused(*resuming)
    # Its settings stay, and it is data until it is named again.
    one, other = RunFolder.at("stopped"), RunFolder.at("straight")
    kept = one.read_recipe()
    assert kept.training.parts[1].task.keywords["num_points"] == 5
    assert one.resuming(kept).endswith(f"--parts quadratic {TASK} --resume")
    with pytest.raises(ValueError, match="has 2 parts, not 1"):
        runs.read_recipe("stopped", parts=["quadratic"])
    # What is compared on is no code of one's own.
    assert runs.read_recipe("stopped") == kept
    digests = one.code.read_text()
    one.code.write_text(json.dumps({"part 2": "another"}))
    assert "its part 2 has changed" in refused(*resuming, "--parts", "quadratic", TASK)
    one.code.write_text(digests)
    assert main([*resuming, "--parts", "quadratic", TASK]) == 0
    assert main(["train", recipe, "--out", "straight", "--parts", "quadratic", TASK]) == 0
    assert one.metrics.read_text() == other.metrics.read_text()
    assert {"meta_loss/1", "meta_loss/valley"} <= one.read_history()[0].keys()
    weights = [folder.optimizer / "model.safetensors" for folder in (one, other)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_parts_from_the_command_line(written, refused):
    words = "--task quadratic --dimension 2 --optimizer GRU --parts quadratic=2.5 Rosenbrock"
    recipe = Train.parse("train", words.split()).recipe
    assert recipe.name == "gru-on-quadratic-and-1-more"
    assert recipe.task.keywords["dimension"] == 2
    assert [part.word for part in recipe.training.parts] == ["quadratic=2.5", "rosenbrock"]
    # Those that a recipe has keep the rest of their settings.
    parts = runs.find_recipe(written(*PARTS)).training.parts
    words = "mixture.json --parts rosenbrock=2 quadratic --parts quadratic"
    assert Train.parse("train", words.split()).recipe.training.completed().parts == (
        replace(parts[1], weight=2.0),
        parts[0],
        PartSettings(Composed("quadratic").completed(TASK_FAMILY)),
    )
    assert Train.parse("train", ["mixture.json"]).recipe.training.parts == parts
    assert Train.parse("train", ["mixture.json", "--parts"]).recipe.training.parts == ()
    assert "Did you mean 'quadratic'?" in refused("train", "mixture.json", "--parts", "quadratc")
    for weight in ("x", "0", "-1", "nan", "1e308"):
        said = refused("train", "mixture.json", "--parts", f"quadratic={weight}")
        assert f"NAME=WEIGHT, with a number above 0, got quadratic={weight}" in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": 0}, "part 2: weight must be a finite number above 0"),
        ({"weight": "1"}, "expected int or float, got '1'"),
        ({"horizon": 0}, "part 2: horizon must be at least 1"),
        ({"num_task": 3}, "did you mean 'num_tasks'"),
        ({"name": 3}, "name"),
        ({"truncation": 3}, "part 2: truncation must divide horizon, got 3 and 4"),
        ({"name": "1"}, "Two parts are called 1"),
        ({"task": {"name": "quadratc", "keywords": {}}}, "Did you mean 'quadratic'"),
        ({"task": {"name": "conflicting-quadratics", "keywords": {}}}, "put a weighting first"),
    ],
)
def test_nonsense_ends_in_one_sentence_and_nothing_is_written(change, message, written, refused):
    assert message in refused("train", written(PARTS[0], PARTS[0] | change), "--out", "run")
    assert not Path("run").exists()
