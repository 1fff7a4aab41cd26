"""Nonsense for any number that a command takes is refused before anything is done."""

import types
from dataclasses import fields
from typing import get_args, get_type_hints

import pytest

from l2o.cli import main
from l2o.cli.commands import Eval, Explain, Flatness, Reproduce, Tune
from l2o.cli.training import Train
from l2o.runs import RECIPES, RunFolder

# What a command needs besides.
WORDS = {
    Eval: ["eval", "run"],
    Tune: ["tune", "sgd"],
    Explain: ["explain", "sgd"],
    Flatness: ["flatness", "run"],
    Reproduce: ["reproduce", "flatness", "--out", "results"],
}
NONSENSE = ("-1", "nan", "inf", "1e300", "text", "2147483648", "1" + 20 * "0")


def numbers():
    """The flags of all commands that take a number."""
    for command, words in WORDS.items():
        hints = get_type_hints(command)
        for field in fields(command):
            hint = hints[field.name]
            kinds = get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
            if int in kinds or float in kinds:
                yield words, "--" + field.name.replace("_", "-")
    yield ["train", "demo"], "--seed"


@pytest.mark.parametrize(("words", "flag"), numbers())
def test_nonsense(words, flag, tmp_path, capsys, monkeypatch):
    def accepted(*_, **__):
        raise AssertionError("accepted")

    monkeypatch.chdir(tmp_path)
    # Where the real work would begin.
    monkeypatch.setattr("l2o.runs._compare._tune", accepted)
    monkeypatch.setattr(RunFolder, "claim", accepted)
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text(RECIPES[0].to_json())
    wrong = []
    for value in NONSENSE:
        # Seeds may be larger than anything that is counted, and gradients much larger.
        if flag == "--seed" and value == "2147483648":
            continue
        if flag == "--reference-gradient" and value.isdigit():
            continue
        code = main([*words, flag, value])
        captured = capsys.readouterr()
        said = captured.err
        assert "Traceback" not in said
        # Numbers come before what else is missing.
        if code != 2 or captured.out or "has no optimizer" in said or "no tuned" in said:
            wrong.append((value, code, said))
    assert not wrong
    assert {path.name for path in tmp_path.iterdir()} == {"run"}
    assert {path.name for path in run.iterdir()} == {"config.json"}


def test_numbers_of_all_commands_are_tried():
    assert {words[0] for words, _ in numbers()} == {
        "eval",
        "tune",
        "explain",
        "flatness",
        "reproduce",
        "train",
    }
    assert Train not in WORDS, "its fields are tried beside recipes"
