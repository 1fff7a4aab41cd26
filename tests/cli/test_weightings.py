"""Weightings of several losses on the command line."""

import json
from dataclasses import replace

import pytest

from l2o import runs
from l2o.cli import main
from l2o.composition import WEIGHTING, Composed, members
from l2o.runs.making import baselines_for, hand_designed_for

FEW = ["--configurations", "2", "--tuning-tasks", "1", "--steps", "2"]
SEVERAL = ["--task", "conflicting-quadratics", "--dimension", "2"]


def refused(capsys, *arguments):
    """The one sentence that a command ends in."""
    assert main(list(arguments)) == 2
    (sentence,) = [
        line for line in capsys.readouterr().err.splitlines() if line.startswith("l2o: ")
    ]
    return sentence


@pytest.mark.parametrize("num_quadratics", ["2", "3"])
def test_losses_are_counted_by_the_task(num_quadratics, tmp_path):
    out = tmp_path / "tuned.json"
    more = ["--num-quadratics", num_quadratics, "--json", str(out)]
    assert main(["tune", "famo-sgd", *SEVERAL, *FEW, *more]) == 0
    assert json.loads(out.read_text())["name"] == "famo-sgd"


def test_what_does_not_go_with_the_task_is_refused(capsys, monkeypatch, tmp_path):
    def run(*arguments, **keywords):
        raise AssertionError("Nothing is to be run.")

    monkeypatch.setattr("l2o.runs._compare.tune", run)
    said = refused(capsys, "tune", "upgrad-lion", "--task", "quadratic", *FEW)
    assert said.endswith("have one: take lion.")
    assert "as in upgrad-lion" in refused(capsys, "tune", "lion", *SEVERAL, *FEW)
    assert "Did you mean 'nash-mtl-adam'?" in refused(capsys, "tune", "nash_mtl-adam", *SEVERAL)
    words = ["train", "pairs-ml2o", "--out", str(tmp_path / "run"), "--evaluation.baselines"]
    assert "Did you mean 'famo-adam'?" in refused(capsys, *words, "famo-adm")
    assert "c must be a finite number" in refused(capsys, *words, "cagrad(c=-1)-adam")
    assert "several objectives" in refused(capsys, "explain", "upgrad-adam")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("train --task quadratic --optimizer upgrad-adam", "baselines upgrad-adam compares with"),
        ("train --task quadratic --optimizer adam", "`l2o tune adam` tunes it"),
        ("train --task quadratic --optimizer upgrad-ML2O", "ML2O goes behind no weighting."),
        ("train --task quadratic --optimizer upgrd-RNNprop", "Did you mean 'upgrad-RNNProp'?"),
        ("train --task quadratic --optimizer upgrad-foo", "There is no foo among them."),
        ("train demo --evaluation.baselines krum-adam", "krum is none of the weightings"),
        ("tune upgrad-ML2O", "There is no ML2O among them."),
        ("tune upgrad-sam", "sam goes behind no weighting."),
        ("tune upgrad-RNNProp", "train --task TASK --optimizer upgrad-RNNProp`."),
        ("explain RNNProp", "RNNProp is a learned optimizer"),
        ("reproduce multiobjective", "Did you mean 'multi-objective'?"),
    ],
)
def test_what_is_suggested_works_there(command, said, capsys):
    assert said in refused(capsys, *command.split())


def test_the_tasks_that_are_tuned_on_are_named_first(capsys):
    assert main(["tune", "sgd", "--recipe", "quadratic-gru", *FEW]) == 0
    note = capsys.readouterr().err.splitlines()[0]
    assert note.startswith("Tuning sgd on quadratic over 2 steps, the tasks of the recipe quad")


def test_names_with_settings_that_are_not_closed(capsys):
    for name in ("cagrad(c=0.2-adam", "cagrad(c=0.2)"):
        assert name in refused(capsys, "tune", name, *SEVERAL, *FEW)
    words = ["train", "--task", "attributes", "--optimizer"]
    assert "--weighting-c" in refused(capsys, *words, "cagrad(c=0.2)-RNNProp")


def test_customary_baselines_go_with_the_number_of_losses():
    settings = runs.EvaluationSettings()
    one = runs.make_family(Composed("quadratic", {}), "test")
    several = runs.make_family(Composed("conflicting-quadratics", {}), "test")
    assert baselines_for(one, settings) == ("momentum", "rmsprop", "adam")
    assert baselines_for(several, settings) == ("mean-adam", "upgrad-adam", "imtl-g-adam")
    assert hand_designed_for(baselines_for(several, settings), several)
    chosen = replace(settings, baselines=("adam",))
    assert baselines_for(several, chosen) == ("adam",)


def test_weightings_are_listed(capsys):
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    assert "WEIGHTING-OPTIMIZER" in shown
    assert all(f"│ {name} " in shown for name in members(WEIGHTING))
    assert "mean-adam" not in shown
    assert main(["list", "--spaces"]) == 0
    assert "has the ranges of OPTIMIZER" in capsys.readouterr().out
