"""Commands print to whatever they are given, and say little where nobody reads."""

import io
import json
import os
import subprocess
import sys
import warnings
from dataclasses import replace

import pytest

from l2o.cli import main
from l2o.cli.terminal import prepare_terminal
from l2o.runs import RECIPES

SHELL = f"exec {sys.executable} -m l2o.cli "


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """What is set for the whole process is set back."""
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def run_folder(tmp_path):
    """A run that was evaluated, with characters that not all encodings have."""
    recipe = replace(RECIPES[0], description="Größe → 1")
    (tmp_path / "config.json").write_text(recipe.to_json())
    result = {
        "name": "sgd",
        "hyperparameters": {},
        "mean_train_loss": {"mean": 1.5, "sem": 0.25},
        "diverged": 0,
    }
    evaluation = {"setting": "x", "num_tasks": 2, "results": [result]}
    (tmp_path / "evaluation.json").write_text(json.dumps(evaluation))
    return tmp_path


@pytest.mark.parametrize("columns", ["1", "5"])
def test_help_ends_however_narrow_the_screen(columns):
    """tyro never ends below 6 columns, and takes ever more memory."""
    done = subprocess.run(
        [sys.executable, "-m", "l2o.cli", "train", "digits-rnnprop", "--help"],
        env=os.environ | {"COLUMNS": columns},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0
    assert "--meta-steps" in done.stdout
    assert {len(line) for line in done.stdout.splitlines() if line[:1] == "│"} == {40}


@pytest.mark.parametrize(
    ("given", "held"),
    [
        ("1", "40"),
        ("39", "40"),
        ("40", "40"),
        ("0200", "200"),
        ("1000", "1000"),
        ("100000000", "1000"),
        *((nonsense, None) for nonsense in ("", "0", "-4", "wide", "²", "9" * 5000)),
    ],
)
def test_widths_are_held(given, held, monkeypatch):
    monkeypatch.setenv("COLUMNS", given)
    prepare_terminal()
    assert os.environ.get("COLUMNS") == held


def test_a_narrow_terminal(monkeypatch):
    """Its own width may change, as long as it is none of those that are too narrow."""
    monkeypatch.delenv("COLUMNS")
    for width, held in ((3, "40"), (90, None)):
        os.environ.pop("COLUMNS", None)
        size = os.terminal_size((width, 20))
        monkeypatch.setattr(os, "get_terminal_size", lambda *_, size=size: size)
        prepare_terminal()
        assert os.environ.get("COLUMNS") == held


@pytest.mark.parametrize(
    ("words", "code"),
    [("list >&-", 0), ("show nowhere >&- 2>&- <&-", 2), ("show nowhere 2>&-", 2)],
)
def test_closed_streams(words, code):
    done = subprocess.run(["sh", "-c", SHELL + words], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8:strict"])
def test_every_encoding_does(encoding, run_folder):
    done = subprocess.run(
        ["sh", "-c", SHELL + f"show {run_folder}; exit $?"],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": encoding, "COLUMNS": "160"},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    name = encoding.partition(":")[0]
    for text in ("1.5 ± 0.25", "Größe → 1"):
        assert text.encode(name, "backslashreplace") in done.stdout


def test_names_that_are_no_unicode(capsys, tmp_path):
    folder = os.fsdecode(bytes(tmp_path) + b"/\xff")
    assert main(["show", folder]) == 2
    assert r"\udcff: it has no config.json" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["list", "train demo --help", "show nowhere 2>&1"])
def test_a_reader_who_goes_away(words):
    """As with `l2o list | head -1`."""
    done = subprocess.run(
        ["bash", "-c", f"{SHELL.removeprefix('exec ')}{words} | true; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (141, "", "")


def test_only_a_reader_who_goes_away_is_left_in_peace(monkeypatch):
    class Gone(io.StringIO):
        def write(self, _):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Gone())
    assert main(["list"]) == 141


def test_warnings_are_lines():
    program = (
        "import warnings, l2o.cli, l2o.cli.commands as commands\n"
        "def warn(): warnings.warn('something\\n  is strange')\n"
        "commands.print_lists = warn\n"
        "l2o.cli.main(['list'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr == "Warning: something is strange\n"
