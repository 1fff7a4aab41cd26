"""Tasks and optimizers of a person's own, from the command line."""

import json
from pathlib import Path

import pytest

from l2o.cli import main
from l2o.composition import Composed
from l2o.runs import RunFolder, make_family

EXAMPLES = Path(__file__).parents[2] / "examples"
TASK = f"{EXAMPLES / 'own_task.py'}:OscillationFits"
RULE = f"{EXAMPLES / 'own_optimizer.py'}:WithFriction"
SHORT = "--meta-steps 2 --num-tasks 2 --horizon 4 --truncation 2 --validation-tasks 2"
SMALL = "--tasks 2 --steps 3 --configurations 2 --tuning-tasks 2 --baselines sgd"

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture
def refused(capsys):
    def check(*arguments):
        capsys.readouterr()
        assert main(list(map(str, arguments))) == 2
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return captured.err

    return check


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of somebody's own optimizer on their own tasks."""
    out = tmp_path_factory.mktemp("runs") / "own"
    words = f"train --task {TASK} --num-points 5 --optimizer {RULE} --friction 0.5 {SHORT}"
    assert main([*words.split(), "--out", str(out)]) == 0
    return out


def test_its_settings_are_flags_and_are_remembered(run):
    recipe = json.loads((run / "config.json").read_text())
    assert recipe["task"]["name"] == TASK
    assert recipe["task"]["keywords"] == {"max_log_scale": 0.0, "num_points": 5, "noise": 0.05}
    assert recipe["optimizer"] == {
        "name": RULE,
        "keywords": {"learning_rate": 0.1, "friction": 0.5},
    }


def test_its_help_says_what_its_docstring_says(capsys):
    assert main(["train", "--task", TASK, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Standard deviation of a measurement. (default: 0.05)" in shown
    assert "Fits of damped oscillations, every one with constants of its own." in shown


@pytest.mark.parametrize("command", [f"eval {{}} {SMALL}", "explain {}", "flatness {}"])
def test_code_is_run_only_where_it_is_named(command, run, refused):
    words = command.format(run).split()
    before = sorted(run.rglob("*"))
    assert f"add --task {TASK} --optimizer {RULE}." in refused(*words)
    assert f"add --optimizer {RULE}." in refused(*words, "--task", TASK)
    assert f"is {TASK}, not other.py:Fits" in refused(*words, "--task", "other.py:Fits")
    assert sorted(run.rglob("*")) == before


def test_evaluating_measuring_and_explaining(run, capsys):
    named = ["--task", TASK, "--optimizer", RULE]
    assert main(["show", str(run)]) == 0
    assert main(["eval", str(run), *SMALL.split(), *named]) == 0
    assert "only 2 configurations were tried for sgd" in " ".join(capsys.readouterr().out.split())
    assert "Only 2 configurations" in (run / "report.html").read_text()
    assert RunFolder(run).read_evaluation()["results"][0]["name"] == "WithFriction"
    assert main(["explain", str(run), "--steps", "20", *named]) == 0
    assert "beta = 0.5" in capsys.readouterr().out
    tune = f"tune sgd --task {TASK} --num-points 4 --steps 3 --configurations 2 --tuning-tasks 2"
    assert main(tune.split()) == 0
    # The code that tasks are made by is among what decides a tuning.
    tuned = json.loads((run / "tuned" / "sgd.json").read_text())
    assert len(tuned["conditions"]["code"]) == 64


def test_resuming_names_the_code_again(run, refused, capsys):
    words = ["train", run / "config.json", "--out", run, "--resume"]
    assert f"add --task {TASK}" in refused(*words)
    assert main([*map(str, words), "--task", TASK, "--optimizer", RULE]) == 0
    assert "at meta-step" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Family = 3", "must be"),
        ("def Family(size): return size", "needs size"),
        ("def Family(): raise KeyError('rate')", "cannot be made: KeyError: 'rate'"),
        ("", "An object in"),
    ],
)
def test_what_is_no_family_ends_in_a_sentence(text, message, tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(text + "\n")
    said = refused("train", "--task", "mine.py:Family", *SHORT.split(), "--out", "run")
    assert message in said or "required" in said.lower()
    assert not (tmp_path / "run").exists()


def test_an_optimizer_that_cannot_be_saved_is_refused_before_it_is_meta_trained(
    tmp_path, refused, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    text = (EXAMPLES / "own_optimizer.py").read_text().replace("def config(", "def settings(")
    (tmp_path / "mine.py").write_text(text)
    words = f"train --task quadratic --optimizer mine.py:WithFriction {SHORT} --out run"
    assert "has no method `config()`" in refused(*words.split())
    assert not (tmp_path / "run").exists()


def test_code_that_changed_is_not_resumed(tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.py"
    text = "from l2o.tasks import QuadraticFamily\ndef Family():\n    return QuadraticFamily(2)\n"
    path.write_text(text)
    words = f"train --task mine.py:Family {SHORT} --out run".split()
    assert main(words) == 0
    path.write_text(text + "# Something else.\n")
    assert "the file of its --task has changed" in refused(*words, "--resume")
    path.write_text(text)
    assert main([*words, "--resume"]) == 0


def test_from_another_folder_the_same_file_is_named_otherwise(run, tmp_path, monkeypatch):
    monkeypatch.chdir(EXAMPLES)
    named = ["--task", "own_task.py:OscillationFits", "--optimizer", RULE]
    assert main(["explain", str(run), "--steps", "5", "--out", str(tmp_path / "x"), *named]) == 0


def test_settings_of_a_regularizer_without_weight_are_refused(refused):
    assert "add --hessian-norm 0.1" in refused(*["train", "demo", "--hessian-norm.every", "2"])


@pytest.mark.parametrize("returned", ["{'lr': 0.1}", "{'friction': float('nan')}", "None"])
def test_weights_that_could_not_be_made_again_are_refused_before(
    returned, tmp_path, refused, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    text = (EXAMPLES / "own_optimizer.py").read_text()
    (tmp_path / "mine.py").write_text(text.replace('{"friction": self.friction}', returned))
    words = f"train --task quadratic --optimizer mine.py:WithFriction {SHORT} --out run"
    assert refused(*words.split()).count("\n") <= 2
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise KeyError('noise')", "KeyError: 'noise' (line 4)"),
        ("raise SystemExit(0)", "SystemExit: 0 (line 4)"),
        ("return None", "cannot be run"),
    ],
)
def test_errors_of_own_code_while_it_is_traced_are_a_sentence(
    body, told, tmp_path, refused, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    text = (
        "from l2o.tasks import TaskFamily\n"
        "class Family(TaskFamily):\n"
        "    def sample(self, key):\n"
        f"        {body}\n"
    )
    (tmp_path / "mine.py").write_text(text)
    words = f"train --task mine.py:Family --optimizer RNNProp {SHORT} --out run"
    assert told in refused(*words.split())
    assert not (tmp_path / "run").exists()


def test_the_split_to_judge_on_is_given_and_a_task_is_a_family(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "from l2o.tasks import Rosenbrock\n"
        "def task(dimension: int = 2, judge_on='none'):\n"
        "    assert judge_on in ('validation', 'test')\n"
        "    return Rosenbrock(dimension + (judge_on == 'test'))\n"
    )
    made = {on: make_family(Composed("mine.py:task"), on) for on in ("validation", "test")}
    assert [made[on].task.dimension for on in made] == [2, 3]


def test_a_setting_called_like_a_flag_has_its_room_in_front(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "from l2o.tasks import QuadraticFamily\n"
        "def Family(horizon: int = 3, decay: float = 1.0):\n"
        "    return QuadraticFamily(horizon)\n"
    )
    words = f"train --task mine.py:Family {SHORT} --task.horizon 2 --optimizer.decay 0.5 --out run"
    assert main(words.split()) == 0
    recipe = json.loads((tmp_path / "run" / "config.json").read_text())
    assert recipe["task"]["keywords"] == {"max_log_scale": 0.0, "horizon": 2, "decay": 1.0}
    assert recipe["optimizer"]["keywords"]["decay"] == 0.5
    assert recipe["training"]["horizon"] == 4
