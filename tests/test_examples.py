import contextlib
import io
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

pytestmark = pytest.mark.usefixtures("quick_compilation")

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("path", EXAMPLES.glob("*.py"), ids=lambda path: path.name)
def test_an_example_is_short(path):
    assert len(path.read_text().splitlines()) < 40


@pytest.mark.parametrize("name", ["multitask", "guarded_multitask"])
def test_a_network_with_two_tasks_learns_both(name):
    program = (EXAMPLES / f"{name}.py").read_text()
    fewer, replaced = re.subn(r"range\(300\)", "range(30)", program)
    assert replaced == 1
    variables, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(fewer, name, "exec"), variables)
    nothing_learned = jax.tree.map(jnp.zeros_like, variables["params"])
    losses = variables["losses"]
    assert jnp.all(losses(variables["params"]) < losses(nothing_learned))
    assert "criticality" in printed.getvalue()
