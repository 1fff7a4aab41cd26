import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from l2o.composition import find_object, is_reference
from l2o.mechanisms import coordinate_dynamics, find_mechanisms
from l2o.optimizers import LearnedOptimizer
from l2o.runs.making import make_any_optimizer

pytestmark = pytest.mark.usefixtures("quick_compilation")

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_optimizer.py"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module into the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(text, name="my_rules"):
        monkeypatch.delitem(sys.modules, name, raising=False)
        (tmp_path / f"{name}.py").write_text(text)
        return name

    return write


def test_the_example_is_what_it_says():
    momenta = find_mechanisms(
        coordinate_dynamics(make_any_optimizer(f"{EXAMPLE}:WithFriction", {"friction": 0.25}))
    ).momentum.momenta
    assert [mode.beta for mode in momenta] == pytest.approx([0.75])
    assert [mode.alpha for mode in momenta] == pytest.approx([0.1])
    assert isinstance(make_any_optimizer(f"{EXAMPLE}:clipped_momentum", {}), LearnedOptimizer)


def test_functions_get_whole_numbers_where_they_take_them(module):
    name = module(
        "import optax\n"
        "def rule(rate, steps=10):\n"
        "    assert type(steps) is int\n"
        "    return optax.sgd(optax.cosine_decay_schedule(rate, steps))\n"
    )
    optimizer = make_any_optimizer(f"{name}:rule", {"rate": 0.5, "steps": 7.0})
    params = jnp.zeros(1)
    updates, _ = optimizer.update(jnp.ones(1), optimizer.init(params), params)
    np.testing.assert_allclose(updates, -0.5)


def test_modules_are_found_in_the_current_folder(module):
    name = module("class Inner:\n    number = 3\n")
    assert find_object(f"{name}:Inner.number") == 3
    assert find_object(f"{name}.py:Inner.number") == 3
    assert is_reference(f"{name}:Inner")
    assert not is_reference("adam")


def test_a_folder_with_a_colon_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run:1").mkdir()
    assert not is_reference("run:1")


@pytest.mark.parametrize(
    ("text", "reference", "settings", "message"),
    [
        ("rule = 3", "my_rules:rule", {}, "must be an optimizer of l2o or an Optax .*, got int"),
        ("rule = 3", "my_rules:rul", {}, "Did you mean 'rule'"),
        ("rule = 3", "my_rule:rule", {}, "my_rule cannot be imported: ModuleNotFoundError"),
        ("rule = 3", "my_rule.py:rule", {}, "my_rule.py is no file"),
        ("rule = 3", "my_rules:", {}, "is named module:attribute or file.py:attribute"),
        ("1\n2 / 0", "my_rules.py:rule", {}, r"ZeroDivisionError: division by zero \(line 2\)"),
        ("def f(:", "my_rules.py:f", {}, "SyntaxError"),
        ("def f(rate): pass", "my_rules:f", {}, "my_rules:f needs rate"),
        ("def f(rate=1): pass", "my_rules:f", {"rat": 1.0}, "Did you mean 'rate'"),
        ("rule = 3", "my_rules:rule.part", {}, "An object in my_rules must be one of"),
        ("def f():\n    return 1 / 0", "my_rules:f", {}, r"f cannot be made: Zero.* \(line 2\)"),
        ("def f(): return 3", "my_rules:f", {}, "or make one, got int"),
    ],
)
def test_what_is_no_optimizer(module, text, reference, settings, message):
    module(text)
    with pytest.raises(ValueError, match=message):
        make_any_optimizer(reference, settings)


def test_a_finished_optimizer_takes_no_settings(module, monkeypatch):
    name = module("import optax\nrule = optax.sgd(0.1)\n")
    assert isinstance(find_object(f"{name}:rule"), optax.GradientTransformation)
    with pytest.raises(ValueError, match="my_rules:rule takes no settings"):
        make_any_optimizer(f"{name}:rule", {"rate": 1.0})
