import ast
import inspect
import re
import subprocess
import sys
from dataclasses import is_dataclass
from itertools import zip_longest
from pathlib import Path

import pytest

import l2o
from l2o.cli import main
from l2o.cli.commands import (
    Demo,
    Eval,
    Explain,
    Flatness,
    List,
    Reproduce,
    Show,
    Tune,
)
from l2o.cli.training import Train, TrainFlags
from l2o.composition import (
    ESTIMATOR,
    LEARNED_OPTIMIZER,
    REGULARIZER,
    TASK_FAMILY,
    Composed,
    members,
)
from l2o.runs import (
    HAND_DESIGNED,
    RECIPES,
    EvaluationSettings,
    Recipe,
    TrainingSettings,
    find_hand_designed,
    read_settings,
)
from l2o.studies import REPRODUCTIONS

COMMANDS = (Eval, Tune, Explain, Flatness, List, Show, Demo, Reproduce)


@pytest.fixture
def refused(capsys):
    """Runs a command that must end with exit code 2 and gives what it says."""

    def check(*arguments):
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 2
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        assert captured.out == ""
        return captured.err

    return check


def test_values_of_a_repeated_flag_add_up():
    command = Explain.parse(
        "explain", ["momentum", "--set", "a=1", "--steps", "7", "--set", "b=2", "c=3"]
    )
    assert command.set == ("a=1", "b=2", "c=3")
    assert command.steps == 7
    assert command.subject == "momentum"
    words = ["adam", "--against=sgd", "--json", "x", "--against", "lion", "adan"]
    assert Explain.parse("explain", words).against == ("sgd", "lion", "adan")
    assert Eval.parse(
        "eval", ["runs/x", "--baselines", "adam", "--baselines", "sgd"]
    ).baselines == (
        "adam",
        "sgd",
    )
    words = "demo --hidden 20 --evaluation.baselines adam --hidden=30 --evaluation.baselines sgd"
    recipe = Train.parse("train", words.split()).recipe
    assert recipe.task.keywords["hidden"] == (20, 30)
    assert recipe.evaluation.baselines == ("adam", "sgd")
    # None of the values by default is among them.
    assert Train.parse("train", ["demo", "--hidden"]).recipe.task.keywords["hidden"] == ()


def test_help_is_the_same_behind_whatever(capsys):
    shown = []
    for words in (["--help"], ["adam", "--steps", "3", "--help"]):
        with pytest.raises(SystemExit):
            Tune.parse("tune", words)
        shown.append(capsys.readouterr().out)
    assert "OPTIMIZER" in shown[0].splitlines()[0]
    assert shown[0] == shown[1]


def test_words_stay_with_their_flag():
    assert Explain.parse("explain", ["--distill", "adam", "--steps", "3"]).subject == "adam"
    assert Explain.parse("explain", ["adam", "--steps", "3", "--distill"]).distill


@pytest.mark.parametrize(
    "words",
    [
        "train demo --seed 1 --seed 2",
        "train demo --seed=1 --seed=1",
        "train demo --meta-steps 1 --meta_steps 2",
        "train demo --resume --resume",
        "train demo --evaluation.num-tasks 1 --evaluation.num-tasks 2",
        "train quadratic-gru --log10-eigenvalues -1 0 --log10-eigenvalues -2 0",
        "eval runs/x --tasks 1 --seed 1 --tasks 2",
        "tune adam --steps 1 --steps 2",
        "explain adam --set b1=0.5 --steps 1 --steps 2",
        "flatness runs/x --tasks 1 --tasks 2",
        "demo --out x --out y",
        "reproduce flatness --profile quick --profile cpu",
        "list --bogus --bogus",
    ],
)
def test_no_other_flag_is_given_twice(words, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert re.fullmatch(r"l2o: --[\w.-]+ is given more than once\.\n", refused(*words.split()))
    assert not list(tmp_path.iterdir())


def test_hyperparameters_are_named_once_and_finite(refused):
    assert read_settings(["learning-rate=0.07", "momentum = 0.83"]) == {
        "learning_rate": 0.07,
        "momentum": 0.83,
    }
    for words in (
        "--set b1=1 b1=2",
        "--set b1=1 --set b1=2",
        "--set learning-rate=1 learning_rate=1",
    ):
        assert "takes every name once" in refused("explain", "adam", *words.split())
    for value in ("nan", "inf", "-inf", "1e999"):
        assert "takes finite numbers" in refused(
            "explain", "adam", "--set", f"learning_rate={value}"
        )


def test_names_are_checked_before_jax_is_set_up(refused, monkeypatch):
    def set_up(**_):
        raise AssertionError("JAX is set up")

    monkeypatch.setattr("l2o.runs.set_up_jax", set_up)
    assert "did you mean 'adam'" in refused("explain", "adm").lower()
    assert "did you mean 'adam'" in refused("explain", "sgd", "--against", "adm").lower()
    assert "'lion' again" in refused("explain", "sgd", "--against", "lion", "lion")
    assert "--distill is for runs" in refused("explain", "sgd", "--distill")
    assert "did you mean 'adam'" in refused("tune", "adm").lower()


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"l2o {l2o.__version__}\n"


@pytest.mark.parametrize(
    "words", ["--help", "--version", "list", "train --help", "tune --help", "explain adm"]
)
def test_jax_is_left_alone(words):
    """It takes most of the time of a command that has nothing to compute."""
    program = (
        f"import sys, l2o.cli; l2o.cli.main({words.split()!r}); "
        "assert not {'jax', 'sklearn', 'scipy', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)


def fields_with_help(kind):
    """The fields that a dataclass declares itself, each with the text that stands below it."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    for field, below in zip_longest(definition.body, definition.body[1:]):
        if isinstance(field, ast.AnnAssign):
            is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
            yield field.target.id, below.value.value if is_text else ""


def all_settings():
    """Every dataclass that flags are made of, with its ancestors."""
    kinds = (*COMMANDS, TrainFlags, TrainingSettings, EvaluationSettings)
    return sorted(
        {base for kind in kinds for base in kind.__mro__ if is_dataclass(base)},
        key=lambda kind: kind.__name__,
    )


@pytest.mark.parametrize("kind", all_settings(), ids=lambda kind: kind.__name__)
def test_every_flag_is_explained_by_a_sentence_of_its_own(kind):
    for name, text in fields_with_help(kind):
        # Those without a text are made of others, and have no flags of their own.
        if text or (kind, name) not in WITHOUT_FLAGS:
            assert_is_a_sentence(f"{kind.__name__}.{name}", text)


WITHOUT_FLAGS = {
    (TrainFlags, "training"),
    (TrainFlags, "evaluation"),
    (Tune, "composed"),
    *((kind, name) for kind in (Eval, Explain, Flatness) for name in ("task", "optimizer")),
    (EvaluationSettings, "other_tasks"),
}


def assert_is_a_sentence(name, text):
    words = text.split()
    assert len(words) >= 2, f"{name}: {text!r}"
    assert text.rstrip().endswith("."), f"{name}: {text!r}"
    assert words[0][0].isupper(), f"{name}: {text!r}"
    assert words[0] not in {"And", "Its", "Their", "This", "These"}, f"{name}: {text!r}"


@pytest.mark.parametrize("kind", [TASK_FAMILY, LEARNED_OPTIMIZER, REGULARIZER, ESTIMATOR])
def test_every_setting_of_what_has_a_name_is_explained(kind):
    for name in members(kind):
        for setting in Composed(name).settings(kind).values():
            assert_is_a_sentence(f"{name}.{setting.name}", setting.description)


def test_one_thing_has_one_name():
    names = {}
    for kind in COMMANDS:
        for name, text in fields_with_help(kind):
            # The last words may tell the default, which is the command's own.
            assert not text or names.setdefault(text.split(";")[0], name) == name


@pytest.mark.parametrize("recipe", ["digits-scale", "pairs-ml2o", "quadratic-gru"])
def test_help_shows_no_comments_of_the_source(recipe, capsys):
    assert main(["train", recipe, "--help"]) == 0
    words = re.sub(r"[\s│]+", " ", capsys.readouterr().out)
    assert "How the optimizer is meta-trained." in words
    folder = Path(inspect.getfile(Recipe)).parent
    for path in folder.glob("*.py"):
        for comment in re.findall(r"^ *# (.+)$", path.read_text(), re.MULTILINE):
            assert comment.rstrip(".") not in words


def test_descriptions_are_plain_text():
    """They stand in pages and tables, which know no markup."""
    descriptions = [each.description for each in (*RECIPES, *REPRODUCTIONS)]
    descriptions += [size for each in REPRODUCTIONS for size in each.profiles.values()]
    assert not [
        text for text in (*descriptions, *HAND_DESIGNED.values()) if re.search("[`*]", text)
    ]


def test_hand_designed_optimizers_are_known_by_name_without_jax():
    from l2o.optimizers import ALL_HAND_DESIGNED

    assert list(HAND_DESIGNED) == [each.name for each in ALL_HAND_DESIGNED]
    assert [find_hand_designed(name).name for name in HAND_DESIGNED] == list(HAND_DESIGNED)
