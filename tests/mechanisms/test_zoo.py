"""No mechanism is invented and none denied: a zoo of optimizers with planted ones."""

import functools

import numpy as np
import pytest
from planted_hard import HARD
from planted_zoo import BY_HAND, OPTAX

from l2o.mechanisms import coordinate_dynamics
from l2o.mechanisms.findings import Mechanisms, Presence, find_mechanisms

pytestmark = pytest.mark.usefixtures("quick_compilation")

ZOO = {
    f"{kind}: {name}": planted
    for kind, planted_ones in (("optax", OPTAX), ("by hand", BY_HAND), ("hard", HARD))
    for name, planted in planted_ones.items()
}

# How often it may be said that something cannot be told.
MOST_UNCLEAR = 5


@functools.cache
def found(name) -> Mechanisms:
    return find_mechanisms(coordinate_dynamics(ZOO[name].optimizer))


def expected_presence(planted):
    there = {
        "momentum": bool(planted.betas or planted.window or planted.goes_on),
        "clipping": planted.clip is not None
        or planted.clipped_update is not None
        or planted.sides is not None
        or planted.rejects,
        "schedule": planted.law is not None,
        "adaptation": planted.adapts,
    }
    return {
        name: Presence.PRESENT if present else Presence.ABSENT for name, present in there.items()
    }


@pytest.mark.parametrize("name", ZOO)
def test_planted_mechanisms(name):
    planted, mechanisms = ZOO[name], found(name)
    for mechanism, expected in expected_presence(planted).items():
        presence = mechanisms.presence[mechanism]
        if presence is Presence.UNCLEAR and mechanism in planted.unclear:
            continue
        assert presence is expected, mechanism
    if planted.betas and mechanisms.momentum.presence is Presence.PRESENT:
        modes = sorted(mechanisms.momentum.momenta, key=lambda mode: mode.beta.real)
        order = np.argsort(planted.betas)
        betas = np.array(planted.betas)[order]
        np.testing.assert_allclose([mode.beta for mode in modes], betas, rtol=1e-2)
        np.testing.assert_allclose([1 - mode.beta for mode in modes], 1 - betas, rtol=1e-2)
        if planted.alphas is not None:
            alphas = np.array(planted.alphas)[order]
            np.testing.assert_allclose([mode.alpha for mode in modes], alphas, rtol=1e-2)
    assert mechanisms.momentum.window == planted.window
    if planted.goes_on:
        assert not mechanisms.momentum.momenta
    if planted.sides is not None:
        assert mechanisms.clipping.sides == pytest.approx(planted.sides, rel=1e-2)
    if planted.clip is not None:
        assert mechanisms.clipping.threshold == pytest.approx(planted.clip, rel=1e-2)
    if planted.clipped_update is not None:
        assert mechanisms.clipping.largest_update == pytest.approx(planted.clipped_update, rel=1e-2)
    law = mechanisms.schedule.law
    assert ("" if law is None else law.name) == (planted.law or "")
    if law is not None:
        got = law.parameters | {"warmup_steps": law.warmup_steps}
        for parameter, value in planted.parameters.items():
            assert got[parameter] == pytest.approx(value, rel=1e-2), parameter


def test_it_is_rarely_said_that_something_cannot_be_told():
    assert len(ZOO) >= 40
    unclear = [
        (name, mechanism)
        for name in ZOO
        for mechanism, presence in found(name).presence.items()
        if presence is Presence.UNCLEAR
    ]
    assert len(unclear) <= MOST_UNCLEAR, unclear


@pytest.mark.parametrize("name", [name for name, planted in ZOO.items() if planted.rates])
def test_planted_rates(name):
    """A bias correction is no part of them."""
    schedule = found(name).schedule
    at = {int(time): rate for time, rate in zip(schedule.times, schedule.rates, strict=True)}
    for time, rate in ZOO[name].rates.items():
        assert at[time] == pytest.approx(rate, rel=1e-2, abs=1e-6), time
