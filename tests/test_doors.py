"""One of each kind is added to a copy of the package, as CONTRIBUTING has it: a file and a line."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import l2o

FILES = {
    "optimizers/toy_rule.py": '''"""A toy."""

import jax
import jax.numpy as jnp

from l2o.optimizers.learned_optimizer import LearnedOptimizer


class ToyRule(LearnedOptimizer):
    """Gradient descent with a learned rate.

    **Arguments:**

    - `first_rate`: Rate before meta-training.
    - `key`: Not needed.
    """

    log_rate: jax.Array

    def __init__(self, first_rate: float = 0.1, *, key: jax.Array) -> None:
        del key
        self.log_rate = jnp.log(jnp.asarray(first_rate))

    def config(self):
        return {}

    def init(self, params):
        return ()

    def update(self, grads, state, params=None, *, value=None, **extra):
        return jax.tree.map(lambda g: -jnp.exp(self.log_rate) * g, grads), state
''',
    "tasks/toy_bowls.py": '''"""A toy."""

import jax
import jax.numpy as jnp

from l2o.tasks.task import Task, TaskFamily


class ToyBowl(Task):
    """One bowl."""

    steepness: jax.Array

    def init(self, key):
        return jax.random.normal(key, (2,))

    def loss(self, params, batch):
        return self.steepness * jnp.sum(params**2)


class ToyBowlFamily(TaskFamily):
    """Bowls of random steepness.

    **Arguments:**

    - `steepest`: Largest steepness.
    """

    steepest: float = 2.0

    def sample(self, key):
        return ToyBowl(self.steepest * jax.random.uniform(key))
''',
    "metatraining/regularizers/toy_size.py": '''"""A toy."""

import equinox as eqx
import jax.numpy as jnp

from l2o.metatraining.regularizers.regularizer import Regularizer


class ToySize(Regularizer):
    """The size of the parameters.

    **Arguments:** as for `Regularizer`, and `power`, of their absolute values.
    """

    power: int = eqx.field(static=True, default=2)

    def value(self, loss, params, found):
        return jnp.sum(jnp.abs(params) ** self.power)
''',
    "metatraining/toy_estimator.py": '''"""A toy."""

import equinox as eqx
import jax

from l2o.metatraining.exact import Exact
from l2o.metatraining.meta_gradient import MetaGradientEstimator


class ToyEstimator(MetaGradientEstimator):
    """The exact meta-gradient, scaled.

    **Arguments:** `factor`, of all of it.
    """

    factor: float = eqx.field(static=True, default=1.0)

    def begin(self, optimizer, problems, key):
        return Exact().begin(optimizer, problems, key)

    def __call__(self, optimizer, meta_loss, problems, state, key, meta_step):
        exact, state = Exact()(optimizer, meta_loss, problems, state, key, meta_step)
        scaled = jax.tree.map(lambda g: self.factor * g, exact.gradient)
        return eqx.tree_at(lambda found: found.gradient, exact, scaled), state

    def give_up(self, state, lost):
        return Exact().give_up(state, lost)
''',
    "multiobjective/weightings/toy_weights.py": '''"""A toy."""

import jax.numpy as jnp


def toy_weights(gramian):
    """Equal weights that sum to two.

    **Arguments:** `gramian`, of the gradients.
    """
    return jnp.full(len(gramian), 2 / len(gramian))
''',
}
LINES = {
    "optimizers/learned.py": "from l2o.optimizers.toy_rule import ToyRule as ToyRule",
    "tasks/families.py": "from l2o.tasks.toy_bowls import ToyBowlFamily as ToyBowlFamily",
    "metatraining/regularizers/__init__.py": (
        "from l2o.metatraining.regularizers.toy_size import ToySize as ToySize"
    ),
    "metatraining/estimators.py": (
        "from l2o.metatraining.toy_estimator import ToyEstimator as ToyEstimator"
    ),
    "multiobjective/weightings/listed.py": (
        "from l2o.multiobjective.weightings.toy_weights import toy_weights as toy_weights"
    ),
}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A copy of the package with one more of each kind."""
    root = tmp_path_factory.mktemp("package")
    shutil.copytree(
        Path(l2o.__file__).parent, root / "l2o", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name, text in FILES.items():
        (root / "l2o" / name).write_text(text)
    for name, line in LINES.items():
        path = root / "l2o" / name
        path.write_text(path.read_text() + line + "\n")
    return root


@pytest.fixture(scope="module")
def run(package, tmp_path_factory):
    """Runs a program with that package; gives what it prints."""
    folder = tmp_path_factory.mktemp("work")

    def program(*words):
        done = subprocess.run(
            [sys.executable, *words],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(package)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return program


def test_they_are_listed(run):
    shown = run("-m", "l2o.cli", "list")
    names = ("ToyRule", "toy-bowl", "toy-size", "toy-estimator", "toy-weights")
    sentences = ("learned rate.", "random steepness.", "size of the parameters.", "scaled.")
    for text in (*names, *sentences, "Equal weights that sum to two."):
        assert text in shown


def test_they_are_flags_and_are_saved_loaded_and_explained(run, tmp_path):
    shown = run("-m", "l2o.cli", "train", "--task", "toy-bowl", "--optimizer", "ToyRule", "--help")
    for flag in ("--first-rate", "--steepest", "--toy-size", "--toy-size.power"):
        assert flag in shown
    out = tmp_path / "run"
    small = "--meta-steps 2 --num-tasks 2 --horizon 4 --truncation 2 --validation-tasks 2"
    words = "train --task toy-bowl --steepest 1 --optimizer ToyRule --first-rate 0.3 --toy-size 0.1"
    words += f" --toy-size.power 4 --estimator toy-estimator --factor 0.5 {small} --out {out}"
    run("-m", "l2o.cli", *words.split())
    recipe = json.loads((out / "config.json").read_text())
    assert recipe["task"]["name"] == "toy-bowl"
    assert recipe["training"]["estimator"] == {"name": "toy-estimator", "keywords": {"factor": 0.5}}
    assert recipe["regularization"]["regularizers"][0]["keywords"]["power"] == 4
    assert json.loads((out / "optimizer" / "config.json").read_text())["optimizer"] == {
        "name": "ToyRule",
        "keywords": {},
    }
    assert "No momentum" in run("-m", "l2o.cli", "explain", str(out), "--steps", "5")


def test_a_weighting_is_tuned_and_all_are_in_python(run):
    few = "--configurations 2 --tuning-tasks 2 --steps 2"
    words = f"tune toy-weights-sgd --recipe conflicting-quadratics-ml2o {few}"
    assert "toy-weights-sgd" in run("-m", "l2o.cli", *words.split())
    run(
        "-c",
        "import l2o; l2o.optimizers.ToyRule, l2o.tasks.ToyBowlFamily, l2o.metatraining.ToySize, "
        "l2o.metatraining.ToyEstimator, l2o.multiobjective.toy_weights",
    )


def test_they_are_in_the_api_reference(package, monkeypatch):
    pytest.importorskip("mkdocs", reason="the group docs is not installed")
    path = Path(__file__).parents[1] / "docs" / "hooks.py"
    specification = importlib.util.spec_from_file_location("hooks", path)
    hooks = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(hooks)
    monkeypatch.setattr(hooks, "SOURCE", package)
    rooms = hooks.public_rooms()
    assert "ToyRule" in rooms["l2o.optimizers"]
    assert "ToyBowlFamily" in rooms["l2o.tasks"]
    assert {"ToySize", "ToyEstimator"} <= set(rooms["l2o.metatraining"])
    assert "toy_weights" in rooms["l2o.multiobjective"]
