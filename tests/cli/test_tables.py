import json
import re
from dataclasses import replace

import pytest

from l2o.cli import main
from l2o.runs import RECIPES, find_recipe

METRICS = ("mean_train_loss", "final_train_loss", "test_loss", "test_accuracy")


@pytest.fixture
def evaluated_run(tmp_path):
    """The folder of a run that was evaluated, as far as `l2o show` looks at it."""
    folder = tmp_path / "a[/b]c"
    folder.mkdir(parents=True)
    recipe = replace(RECIPES[0], description="[red]Everything[/red] [/b] as it is.")
    (folder / "config.json").write_text(recipe.to_json())
    names = ("RNNProp", "momentum")
    results = [
        {
            "name": name,
            "hyperparameters": {},
            "diverged": number,
            **{
                metric: {"mean": 1.125 + number + index / 100, "sem": 0.0625}
                for index, metric in enumerate(METRICS)
            },
        }
        for number, name in enumerate(names)
    ]
    evaluation = {"setting": "digits", "num_tasks": 4, "results": results}
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
    return folder


@pytest.mark.parametrize("columns", [40, 60, 80, 160])
def test_no_number_is_cut_however_narrow_the_screen(evaluated_run, columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["show", str(evaluated_run)]) == 0
    shown = capsys.readouterr().out
    assert "…" not in shown
    for number in range(2):
        for index in range(len(METRICS) - 1):
            assert f"{1.125 + number + index / 100:.4g} ± 0.062" in shown
        assert f"{112.5 + 100 * number + 3:.1f} ± 6.2 %" in shown
    is_list = "optimizer: momentum" in shown
    assert is_list == (columns < 120)
    if is_list:
        assert re.search(r"optimizer: RNNProp\n  mean training loss: 1.125 ± 0.062\n", shown)
        assert re.search(r"  test accuracy: 215.5 ± 6.2 %\n  diverged: 1\n", shown)
    words = re.sub(r"[\s│]+", "", shown)
    assert "[red]Everything[/red][/b]asitis." in words
    assert "a[/b]c" in words
    assert "training.meta_steps" in words


@pytest.mark.parametrize("columns", [40, 52, 80])
def test_a_setting_is_a_line(columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["show", "quadratic-gru"]) == 0
    shown = capsys.readouterr().out
    for name, value in find_recipe("quadratic-gru").flat().items():
        if name not in ("name", "description"):
            if isinstance(value, list | tuple):
                value = value[0] if value else "none"
            of = re.escape(name.replace(".keywords", ""))
            line = f"{of}(?: *│ |: ){re.escape(str(value))}"
            assert re.search(line, shown), name
    assert "l2o train quadratic-gru" in shown
    assert main(["show", "quadratic-gru", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "quadratic-gru"
    assert main(["show", "quadratic-gr"]) == 2
    said = capsys.readouterr().err
    assert "no run in quadratic-gr, either" in said
    assert "Did you mean 'quadratic-gru'?" in said


@pytest.mark.parametrize("columns", [40, 60, 160])
def test_lists_are_not_cut(columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["list"]) == 0
    assert main(["list", "--spaces"]) == 0
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert "0.999, OneMinusLogUniform" in shown
