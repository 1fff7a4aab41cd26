"""Laws of schedules, against curves made by their formulas."""

import numpy as np
import pytest

from l2o.mechanisms.laws import law_of

STEPS = np.arange(200)


def after_warmup(shape, steps):
    """A linear rise over some steps, then the shape."""
    return np.where(steps > STEPS, STEPS / max(steps, 1), shape(np.maximum(STEPS - steps, 0)))


SHAPES = {
    "linear": (lambda t: 1 - 0.8 * np.minimum(t / 120, 1), {"steps": 120, "peak": 1, "end": 0.2}),
    "cosine": (
        lambda t: 0.1 + 0.45 * (1 + np.cos(np.pi * np.minimum(t / 90, 1))),
        {"steps": 90, "peak": 1, "end": 0.1},
    ),
    "exponential": (lambda t: 0.2 + 0.8 * 0.95**t, {"factor": 0.95, "peak": 1, "end": 0.2}),
    "power": (lambda t: (1 + t / 5) ** -0.8, {"exponent": 0.8, "offset": 5, "peak": 1}),
}


@pytest.mark.parametrize("warmup_steps", [0, 25])
@pytest.mark.parametrize("name", SHAPES)
def test_a_law_is_given_back_with_its_parameters(name, warmup_steps):
    shape, parameters = SHAPES[name]
    law = law_of(STEPS, 3e-4 * after_warmup(shape, warmup_steps))
    assert law.name == name
    assert law.warmup_steps == warmup_steps
    for parameter, value in parameters.items():
        scale = 3e-4 if parameter in ("peak", "end") else 1
        assert law.parameters[parameter] == pytest.approx(scale * value, rel=1e-2)


def test_a_warm_up_to_a_constant_rate():
    law = law_of(STEPS, 0.2 * np.minimum((STEPS + 1) / 40, 1))
    assert (law.name, law.warmup_steps) == ("constant", 39)
    assert law.parameters["peak"] == pytest.approx(0.2, rel=1e-6)


@pytest.mark.parametrize(
    "rates",
    [
        # Steps of a stair, a wave, and a slow decay, rounded, which could be any of several.
        0.5 ** (STEPS // 50),
        1 + 0.5 * np.sin(STEPS / 7),
        np.round(0.9995**STEPS, 3),
        # A power law with noise of 2 %.
        (1 + STEPS / 5) ** -0.8 + 0.02 * np.random.default_rng(0).standard_normal(200),
    ],
    ids=["stairs", "wave", "slow", "noise"],
)
def test_no_law_is_named_where_none_fits_clearly_better(rates):
    assert law_of(STEPS, rates) is None
