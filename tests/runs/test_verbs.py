"""What commands do, from Python."""

import inspect
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import get_type_hints

import jax
import pytest
from beartype.door import is_bearable

from l2o import runs
from l2o.cli.training import Train
from l2o.composition import Composed
from l2o.deploy import save
from l2o.optimizers import GRU, RNNProp
from l2o.runs import EvaluationSettings, Recipe, RunFolder, TrainingSettings
from l2o.support.bad_input import explains_itself
from l2o.support.lock import only_writer

pytestmark = pytest.mark.usefixtures("quick_compilation")

RECIPE = Recipe(
    name="small",
    description="As small as can be.",
    task=Composed("quadratic", {"dimension": 2}),
    optimizer=Composed("GRU", {"hidden_size": 3}),
    training=TrainingSettings(
        meta_steps=2, num_tasks=2, horizon=4, truncation=2, validation_tasks=2
    ),
    evaluation=EvaluationSettings(
        baselines=("sgd",), num_configurations=4, tuning_tasks=2, num_tasks=3, num_steps=4
    ),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "x"
    assert runs.train(RECIPE, path).best_step >= 0
    return path


def test_a_run_knows_all_that_is_in_it(run):
    folder = RunFolder.at(str(run))
    told = []
    comparison = runs.evaluate(
        run, seed=3, num_tasks=2, json=run.parent / "numbers.json", on_progress=told.append
    )
    assert comparison.seed == 3
    assert told[0].activity == "tuning sgd on 2-dimensional quadratics"
    assert folder.read_evaluation() == json.loads((run.parent / "numbers.json").read_text())
    assert folder.read_tuned().keys() == {"GRU(3)", "sgd"}
    # What was given for this comparison is not kept for the next.
    assert folder.read_recipe().evaluation.num_tasks == 3
    subjects = runs.explain(run, against=["sgd"], num_steps=5)
    assert list(subjects) == [str(run), "sgd"]
    measured = runs.measure_flatness(run, num_tasks=1)
    assert measured.summaries.keys() == {"GRU(3)", "sgd"}
    known = {
        folder.config,
        folder.metrics,
        folder.tensorboard,
        folder.checkpoints,
        folder.optimizer,
        folder.tuned,
        folder.evaluation,
        folder.report,
        folder.figures,
        folder.explanation.path,
        folder.flatness.path,
    }
    assert set(run.iterdir()) == known
    assert list(folder.tuned.iterdir()) == [folder.tuned_baseline("sgd")]
    flat = folder.flatness
    assert set(flat.path.iterdir()) == {flat.page, flat.numbers, flat.lines, flat.planes}
    explained = folder.explanation
    assert {explained.page, explained.numbers} < set(explained.path.iterdir())


def test_distilling_writes_numbers_and_a_figure(run):
    distillation = runs.distill(run, against=["sgd"])
    folder = RunFolder(run).distillation
    assert set(folder.path.iterdir()) == {folder.numbers, folder.figure}
    numbers = json.loads(folder.numbers.read_text())
    assert [score["name"] for score in numbers["scores"]][-1] == "sgd"
    assert distillation.distilled.formula


def test_stages_are_in_order(tmp_path):
    for number in (10, 2, 1):
        (tmp_path / f"stage-{number}").mkdir()
    (tmp_path / "stage-x").mkdir()
    assert [path.name for path in RunFolder(tmp_path).stages] == ["stage-1", "stage-2", "stage-10"]


@pytest.mark.parametrize(
    "verb",
    [
        lambda run: runs.train(RECIPE, run, resume=True),
        lambda run: runs.evaluate(run),
        lambda run: runs.explain("sgd", out=run),
        lambda run: runs.measure_flatness(run, out=run),
        lambda run: runs.distill(run, out=run),
    ],
    ids=["train", "evaluate", "explain", "flatness", "distill"],
)
def test_every_verb_is_the_only_writer(verb, run):
    with only_writer(run):
        before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
        with pytest.raises(ValueError, match="is writing into"):
            verb(run)
        assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*")}


def test_settings_are_checked_before_anything_is_written(tmp_path, run):
    with pytest.raises(ValueError, match="num_tasks must be at least 1"):
        runs.evaluate(run, num_tasks=0)
    with pytest.raises(ValueError, match="There is no run"):
        runs.evaluate(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"(?i)did you mean 'adam'"):
        runs.explain("adm", out=tmp_path / "nowhere")
    with pytest.raises(ValueError, match="There is no recipe"):
        runs.train("nothing", tmp_path / "nowhere")
    assert not list(tmp_path.iterdir())


NONSENSE = (
    3,
    0.5,
    None,
    "",
    "adam",
    [1],
    {"a": object()},
    object(),
    True,
    Path("x"),
    print,
    Recipe,
)


@pytest.mark.parametrize(
    "verb",
    [
        runs.train,
        runs.evaluate,
        runs.tune_baseline,
        runs.explain,
        runs.distill,
        runs.measure_flatness,
        runs.find_recipe,
        runs.find_hand_designed,
        runs.check_hand_designed,
        runs.make_family,
        runs.read_recipe,
    ],
    ids=lambda verb: verb.__name__,
)
def test_arguments_of_another_kind(verb, run, tmp_path, monkeypatch):
    """Of every argument, whatever is not of its type; nothing is written."""
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    right = {"run": run, "name_or_run": "adam", "recipe": RECIPE, "folder": "new", "name": "adam"}
    right |= {"task": RECIPE.task, "judge_on": "test"} if verb is runs.make_family else {}
    hints = get_type_hints(verb)
    parameters = inspect.signature(verb).parameters
    required = {
        name: right[name]
        for name, p in parameters.items()
        if p.default is p.empty and p.kind is not p.VAR_KEYWORD
    }
    refused = 0
    for name, parameter in parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        for value in NONSENSE:
            is_number = value == 3 and is_bearable(3.0, hints[name])
            if value != "" and (is_number or is_bearable(value, hints[name])):
                continue
            with pytest.raises(ValueError, match=r"\w") as caught:
                verb(**{**required, name: value})
            assert explains_itself(caught.value)
            assert value == "" or isinstance(value, dict) or name in str(caught.value)
            assert "\n" not in str(caught.value)
            refused += 1
    assert refused >= 6
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"nope": 1}, "A setting of the evaluation must be one of baselines.*; got 'nope'"),
        ({"baselines": "adam"}, "baselines must be a list, each item a text, got 'adam'"),
        ({"baselines": [1]}, r"baselines must be a list, each item a text, got \[1\]"),
        ({"other_tasks": ("quadratic",)}, "other_tasks must be a list, each item of type Composed"),
        ({"num_tasks": "7"}, "num_tasks must be a whole number, got '7'"),
        ({"json": "."}, "is a folder, not a file"),
        ({"recipe": "quadratic-gruu"}, "Did you mean 'quadratic-gru'"),
        # The optimizer is for one loss.
        ({"recipe": "pairs-ml2o"}, "GRU is for tasks with one loss, and these .* have 2"),
    ],
)
def test_what_an_evaluation_does_not_take(changes, sentence, run):
    with pytest.raises(ValueError, match=sentence):
        runs.evaluate(run, **changes)


def test_an_optimizer_of_other_settings_is_not_that_of_the_run(run, tmp_path):
    """As where a folder was copied over another run's."""
    swapped = RunFolder(tmp_path / "run")
    shutil.copytree(run, swapped.path)
    save(GRU(4, key=jax.random.key(0)), swapped.optimizer)
    verbs = (runs.evaluate, runs.distill, runs.explain)
    for verb in verbs:
        with pytest.raises(ValueError, match=r"its hidden_size is 4, and in .*config.json it is 3"):
            verb(swapped)
    save(RNNProp(3, key=jax.random.key(0)), swapped.optimizer)
    with pytest.raises(ValueError, match=r"its name is RNNProp, and in .* it is GRU"):
        runs.evaluate(swapped)
    with pytest.raises(ValueError, match="optimizer is the folder of a saved optimizer, not that"):
        runs.distill(run / "optimizer")


def test_options_of_an_evaluation_are_its_settings():
    assert runs.EvaluationChanges.__annotations__.keys() == EvaluationSettings().__dict__.keys()
    changed = RECIPE.with_evaluation(seed=5, num_tasks=7)
    assert changed == replace(RECIPE, seed=5, evaluation=replace(RECIPE.evaluation, num_tasks=7))


def test_what_an_interruption_says(tmp_path, run):
    nothing = Train(RECIPE, tmp_path).interruption_hint
    assert nothing.startswith(
        " There is no checkpoint yet to go on from; to begin again: l2o train"
    )
    assert Train(RECIPE, run).interruption_hint.startswith(" Go on with: l2o train")
    (tmp_path / "stage-1" / "checkpoints").mkdir(parents=True)
    (tmp_path / "stage-1" / "checkpoints" / ".2.zip.l2o.tmp").touch()
    assert not RunFolder(tmp_path).can_be_resumed()
    (tmp_path / "stage-1" / "checkpoints" / "2.zip").touch()
    assert RunFolder(tmp_path).can_be_resumed()
