"""Persistent evolution strategies, against closed forms."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from l2o.metatraining import PES, Exact, InnerProblems, MetaLoss, metatrain
from l2o.metatraining.devices import device_mesh, on_devices
from l2o.metatraining.pes import _averaged
from l2o.objectives import FinalLoss, MeanLoss
from l2o.optimizers import GRU
from l2o.tasks import QuadraticFamily, SingleTask

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(11)
RATE, SIGMA, CURVATURE, START, STEPS, WINDOWS = 0.3, 0.1, 1.0, 1.5, 2, 3


def expected_power(power):
    """The mean of `(1 - (RATE + SIGMA e) CURVATURE)^power` over `e ~ N(0, 1)`."""
    points, weights = np.polynomial.hermite_e.hermegauss(20)
    moved = (1 - (RATE + SIGMA * points) * CURVATURE) ** power
    return np.sum(weights * moved) / math.sqrt(2 * math.pi)


def smoothed_gradient():
    """Of the mean loss along the whole horizon, with noise of its own in every window."""

    def moment(steps):
        return expected_power(2 * steps)

    def slope(steps):
        return -2 * steps * CURVATURE * expected_power(2 * steps - 1) if steps else 0.0

    terms = [
        moment(STEPS) ** window * slope(step)
        + (window * moment(STEPS) ** (window - 1) * slope(STEPS) * moment(step) if window else 0)
        for window in range(WINDOWS)
        for step in range(STEPS + 1)
    ]
    return CURVATURE * START**2 / 2 * np.mean(terms)


def truncated_gradient():
    """Of the same without noise, each window's start held constant."""
    factor = 1 - RATE * CURVATURE
    terms = [
        factor ** (2 * STEPS * window) * -2 * step * CURVATURE * factor ** max(2 * step - 1, 0)
        for window in range(WINDOWS)
        for step in range(STEPS + 1)
    ]
    return CURVATURE * START**2 / 2 * np.mean(terms)


@pytest.fixture
def optimizer(learnable_rate):
    return learnable_rate(jnp.asarray(RATE))


def estimates(estimator, optimizer, task, num_tasks, count):
    """The meta-gradients of the first meta-steps, with the meta-parameters as they are."""
    problems = InnerProblems(SingleTask(task), num_tasks, WINDOWS, STEPS)
    meta_loss = MetaLoss(MeanLoss())
    state = eqx.filter_jit(estimator.begin)(optimizer, problems, KEY)
    step = eqx.filter_jit(lambda *given: estimator(optimizer, meta_loss, problems, *given))
    made = []
    for number in range(count):
        found, state = step(state, jax.random.fold_in(KEY, number), jnp.asarray(number))
        made.append(found)
    return made


@pytest.mark.usefixtures("x64")
def test_it_has_no_bias_where_truncated_back_propagation_has(optimizer, parabola):
    task = parabola(jnp.asarray(CURVATURE), jnp.asarray(START))
    # From the third meta-step on, as many inner problems are in each window.
    for found in estimates(PES(SIGMA), optimizer, task, 60_000, 7)[WINDOWS - 1 :]:
        error = math.sqrt(found.diagnostics["gradient_variance"])
        assert error < 0.02 * abs(smoothed_gradient())
        assert abs(found.gradient.rate - smoothed_gradient()) < 3.5 * error
        assert abs(found.gradient.rate - truncated_gradient()) > 20 * error
    exact = estimates(Exact(), optimizer, task, 2, WINDOWS)
    mean = np.mean([found.gradient.rate for found in exact])
    np.testing.assert_allclose(mean, truncated_gradient(), rtol=1e-12)


@pytest.mark.usefixtures("x64")
def test_variance_and_signal_to_noise_by_hand(learnable_rate):
    generator = np.random.default_rng(0)
    rows = generator.normal(1.0, 2.0, (6, 3))
    mesh = device_mesh(6)
    nothing = jnp.zeros((mesh.size, 6 // mesh.size))
    rates = learnable_rate(jnp.asarray(rows).reshape(mesh.size, -1, 3))
    given = (nothing, nothing, rates)
    found, _ = on_devices(lambda _, own: (_averaged(*own, 6), ()), mesh)((), given)
    mean, variance = rows.mean(axis=0), np.sum(rows.var(axis=0, ddof=1)) / 6
    np.testing.assert_allclose(found.gradient.rate, mean, rtol=1e-12)
    np.testing.assert_allclose(found.diagnostics["gradient_variance"], variance, rtol=1e-12)
    ratio = np.linalg.norm(mean) / math.sqrt(variance)
    np.testing.assert_allclose(found.diagnostics["signal_to_noise"], ratio, rtol=1e-12)


def test_it_finds_the_best_learning_rate(learnable_rate, parabolas):
    result = metatrain(
        learnable_rate(jnp.asarray(0.1)),
        parabolas(curvature=2.0),
        key=KEY,
        meta_steps=150,
        num_tasks=8,
        horizon=2,
        truncation=1,
        objective=FinalLoss(),
        estimator=PES(0.05),
        meta_optimizer=optax.adam(optax.exponential_decay(0.05, 30, 0.5)),
        validation_tasks=2,
    )
    np.testing.assert_allclose(result.optimizer.rate, 0.5, atol=0.03)
    assert {"gradient_variance", "signal_to_noise"} <= set(result.history[0])


def test_a_coordinate_wise_optimizer_resumes_bit_for_bit(tmp_path):
    def run(meta_steps, folder=None, **more):
        return metatrain(
            GRU(3, key=KEY),
            QuadraticFamily(2),
            key=KEY,
            meta_steps=meta_steps,
            num_tasks=4,
            horizon=6,
            truncation=2,
            estimator=PES(),
            validation_tasks=2,
            folder=folder,
            **more,
        )

    straight = run(5)
    run(3, tmp_path)
    resumed = run(5, tmp_path, resume=True)
    for one, other in zip(
        jax.tree.leaves(straight.last_optimizer),
        jax.tree.leaves(resumed.last_optimizer),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    assert straight.history[3:] == [
        {name: pytest.approx(value, rel=0, abs=0) for name, value in row.items()}
        for row in resumed.history[3:]
    ]


def test_lost_problems_are_drawn_anew(learnable_rate, parabolas):
    result = metatrain(
        learnable_rate(jnp.asarray(0.1)),
        parabolas(share_of_nan=0.3),
        key=KEY,
        meta_steps=30,
        num_tasks=2,
        horizon=20,
        truncation=2,
        estimator=PES(),
        validation_family=parabolas(),
        validation_tasks=2,
    )
    # Kept to the end, they would spoil ten windows each.
    assert 0 < result.num_skipped < 12
