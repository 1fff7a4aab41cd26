"""Whatever stands in the JSON files of a run's folder, reading it ends in a sentence, or is right.

Every number and text of every file is replaced by nonsense, one at a time.
"""

import json
import traceback
from dataclasses import replace

import jax
import numpy as np
import pytest

import l2o
from l2o.cli.tables import print_run
from l2o.composition import Composed
from l2o.runs import RECIPES, EvaluationSettings, RunFolder, TrainingSettings
from l2o.runs.hand_designed import HAND_DESIGNED
from l2o.runs.making import build_hand_designed, make_family, make_optimizer

NONSENSE = ("[]", "{}", "null", "-1", "0", "1" + 400 * "0", "1e999", '"x"', "true", '"\\ud800"')

RECIPE = replace(
    RECIPES[0],
    task=Composed("quadratic", {"dimension": 2}),
    optimizer=Composed("GRU", {"hidden_size": 2}),
    training=TrainingSettings(curriculum=(20, 40, 60)),
    evaluation=EvaluationSettings(other_tasks=(Composed("quadratic"),)),
)


def number(mean):
    return {"mean": mean, "sem": 0.25}


def result(name, **hyperparameters):
    return {
        "name": name,
        "hyperparameters": hyperparameters,
        "mean_train_loss": number(1.5),
        "test_loss": number(None),
        "diverged": 0,
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run's folder, as complete as its files in JSON can be, and what they hold."""
    path = tmp_path_factory.mktemp("run")
    (path / "config.json").write_text(RECIPE.to_json())
    evaluation = {
        "setting": "quadratics, 100 steps",
        "num_tasks": 4,
        "results": [result("GRU(2)"), result("adam", learning_rate=0.1, b1=0.9)],
    }
    (path / "evaluation.json").write_text(json.dumps(evaluation))
    rows = [{"meta_step": step, "meta_loss": 1.5, "validation_score": 0.5} for step in (1, 2)]
    for folder in (path, path / "stage-1"):
        folder.mkdir(exist_ok=True)
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    l2o.save(make_optimizer(RECIPE.optimizer, jax.random.key(0)), path / "optimizer")
    return RunFolder(path)


def read(folder):
    """All that `show`, `eval` and `explain` read, and make of it."""
    print_run(folder)
    recipe = folder.read_recipe()
    for task in (recipe.task, *recipe.evaluation.other_tasks):
        assert make_family(task, "test").title
    recipe.evaluation.check()
    history = folder.read_history()
    np.array([row["meta_step"] for row in history], float)
    np.array([row["meta_loss"] for row in history if row.get("meta_loss") is not None], float)
    l2o.load(folder.optimizer)
    for name, hyperparameters in folder.read_tuned().items():
        if name in HAND_DESIGNED:
            build_hand_designed(name, hyperparameters, num_steps=1)


def variants(value):
    """A value with each of its leaves, and of its lists and objects, replaced by a placeholder."""
    yield "PLACEHOLDER"
    if isinstance(value, dict | list):
        for place, entry in value.items() if isinstance(value, dict) else enumerate(value):
            for changed in variants(entry):
                copy = value.copy()
                copy[place] = changed
                yield copy


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "evaluation.json",
        "metrics.jsonl",
        "stage-1/metrics.jsonl",
        "optimizer/config.json",
    ],
)
def test_nonsense_in_a_file(name, whole, monkeypatch):
    path = whole.path / name
    text = path.read_text()
    rest = ""
    if path.suffix == ".jsonl":
        text, rest = text.split("\n", 1)
        rest = "\n" + rest
    read(whole)
    # Rendering takes most of the time, and has no part in it.
    monkeypatch.setattr("rich.console.Console.print", lambda *_, **__: None)
    wrong, refused = [], 0
    try:
        for changed in variants(json.loads(text)):
            for nonsense in NONSENSE:
                path.write_text(json.dumps(changed).replace('"PLACEHOLDER"', nonsense) + rest)
                try:
                    read(whole)
                except ValueError as error:
                    refused += 1
                    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
                    is_ours = frame.f_globals["__name__"].startswith("l2o.")
                    # In tests, types of arguments are checked before us, in more than a sentence.
                    is_sentence = "\n" not in str(error) or "optimizer" in name
                    if not (is_ours and is_sentence):
                        wrong.append((changed, nonsense, repr(error)))
                except Exception as error:
                    wrong.append((changed, nonsense, repr(error)))
    finally:
        path.write_text(text + rest)
    assert not wrong, wrong[:3]
    assert refused > 20
