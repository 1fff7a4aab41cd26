"""Reports in a browser: nothing is broken, all can be read, hovered and switched off."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from made_up import HISTORY, comparison

import l2o
from l2o.flatness import LossSurface
from l2o.mechanisms import explain
from l2o.report import Subject, write_explanation, write_flatness, write_report

pytestmark = pytest.mark.usefixtures("quick_compilation")

POINTS = np.linspace(-1, 1, 9)
BOWL = POINTS[:, None] ** 2 + 3 * POINTS**2 + 0.1


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "report.html"
    names = {"title": "A title", "description": "A test.", "config": '{"name": "test"}'}
    write_report(comparison(diverged=1), path, **names, history=HISTORY, windows=5)
    return path


@pytest.fixture(scope="module")
def explanation(tmp_path_factory):
    path = tmp_path_factory.mktemp("explanation") / "explanation.html"
    subjects = {
        name: Subject(explain(l2o.from_optax(transformation), num_steps=5), f"This is {name}.")
        for name, transformation in {
            "<momentum>": optax.sgd(0.25, momentum=0.5),
            "adagrad": optax.adagrad(0.1, initial_accumulator_value=0.0),
        }.items()
    }
    write_explanation(subjects, path, command="l2o explain <momentum>")
    return path


@pytest.fixture(scope="module")
def flatness(tmp_path_factory):
    path = tmp_path_factory.mktemp("flatness") / "flatness.html"
    numbers = np.arange(1.0, 6.0)
    values = {
        name: {"train_loss": numbers / 10, "spectral_norm": factor * numbers}
        for name, factor in {"GRU(4)": 1.0, "adam": 2.0, "sgd": 0.5, "sam": 1.0}.items()
    }
    line = LossSurface(jnp.asarray(POINTS), jnp.asarray(BOWL[:3]), (jnp.ones(2),))
    plane = LossSurface(jnp.asarray(POINTS), jnp.asarray(BOWL), (jnp.ones(2),) * 2)
    lines, planes = dict.fromkeys(values, line), dict.fromkeys(values, plane)
    write_flatness(values, lines, planes, path, title="A task, 5 steps", seed=3)
    return path


def test_flatness_begins_with_its_finding(flatness):
    text = " ".join(flatness.read_text().split("</head>")[1].split())
    assert text.index("Where GRU(4) ends, the loss is flatter than") < text.index("A task, 5 steps")
    assert (
        "flatter than at the ends of adam, sharper than at the ends of sgd, as far as can be told "
        "neither flatter nor sharper than at the ends of sam (largest curvature of the training "
        "loss, over 5 paired networks). There are only 5 networks: one of two equally good "
        "optimizers is ahead on all of them in 6 % of cases" in text
    )
    assert {path.name for path in flatness.parent.glob("*.png")} == {
        "loss-lines.png",
        "loss-planes.png",
    }


@pytest.mark.parametrize("width", [400, 1400])
def test_pages_are_readable_in_a_browser(width, viewer, report, explanation, flatness):
    assert viewer.faults([report, explanation, flatness], width) == []


@pytest.fixture
def view(viewer):
    opened = viewer.browser.new_page(viewport={"width": 1000, "height": 900})
    yield opened
    opened.close()


def test_curves_can_be_hovered_and_switched_off(view, report):
    view.goto(report.as_uri())
    plot = view.locator("#losses-0")
    curves, bands = plot.locator(".scatterlayer .js-line"), plot.locator(".scatterlayer .js-fill")
    assert (curves.count(), bands.count()) == (6, 3)
    plot.locator(".nsewdrag").hover()
    assert plot.locator(".hoverlayer .hovertext").count() == 1
    plot.locator(".legendtoggle").first.click()
    # A click could have been the first of two.
    view.wait_for_function(
        'document.querySelectorAll("#losses-0 .scatterlayer .js-fill").length == 2'
    )
    assert curves.count() == 4


def test_the_picture_is_printed_and_stands_in_for_scripts(viewer, view, report):
    view.goto(report.as_uri())
    assert not view.locator("img.print").first.is_visible()
    view.emulate_media(media="print")
    assert view.locator("img.print").first.is_visible()
    assert not view.locator(".plots").first.is_visible()
    plain = viewer.browser.new_page(java_script_enabled=False)
    plain.goto(report.as_uri())
    assert plain.locator("img.print").first.is_visible()
    plain.close()
