import contextlib
import io
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("quick_compilation")

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("path", EXAMPLES.glob("*.py"), ids=lambda path: path.name)
def test_an_example_is_short(path):
    assert len(path.read_text().splitlines()) < 60


@pytest.mark.parametrize("name", ["multitask", "guarded_multitask"])
def test_a_network_with_two_tasks_learns_both(name):
    variables, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile((EXAMPLES / f"{name}.py").read_text(), name, "exec"), variables)
    digit, darkness = variables["losses"](variables["params"])
    assert digit < 0.1
    assert darkness < 0.1
    assert "criticality" in printed.getvalue()
