import optax
import pytest

import l2o
from l2o.mechanisms import explain
from l2o.report import Subject, write_explanation

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Of an optimizer that can be analysed and of one whose state never comes to rest."""
    path = tmp_path_factory.mktemp("page") / "explanation.html"
    subjects = {
        name: Subject(explain(l2o.from_optax(transformation), num_steps=5), f"This is {name}.")
        for name, transformation in {
            "<momentum>": optax.sgd(0.25, momentum=0.5),
            # As folders may be called.
            "ada\udcff $\\frac$\ngrad": optax.adagrad(0.1, initial_accumulator_value=0.0),
        }.items()
    }
    write_explanation(subjects, path, command="l2o explain <momentum>")
    return path


def test_every_finding_is_a_sentence_with_its_number(page):
    text = page.read_text()
    assert "beta = 0.5, alpha = 0.25" in text
    assert "No clipping" in text
    assert "No schedule: left to itself, its learning rate stays at 0.25" in text
    assert "No adaptation: whatever constant gradient was met, its learning rate is 0.25" in text


def test_a_summary_comes_first_and_says_what_an_effective_learning_rate_is(page):
    text = page.read_text()
    summary = text.index("It has momentum, but no clipping and no schedule and no adaptation.")
    assert (
        summary < text.index("The <b>effective learning rate</b> is") < text.index("<h2>Momentum")
    )


def test_names_are_text_rather_than_markup(page):
    text = page.read_text()
    assert "<momentum>" not in text
    assert "How &lt;momentum&gt; works" in text


def test_figures_lie_beside_the_page(page):
    for name in ("momentum", "gradient-clipping", "learning-rate-schedule"):
        assert (page.parent / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_names_of_folders_need_be_neither_unicode_nor_formulas(page):
    assert r"ada\udcff $\frac$" in page.read_text()
