"""Estimators whose inner problems are each at a window of their own, against closed forms."""

import math
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from l2o.metatraining import (
    ES,
    GPES,
    NRES,
    PES,
    Exact,
    ForwardMode,
    InnerProblems,
    MetaGradient,
    MetaLoss,
    Part,
    metatrain,
)
from l2o.metatraining.devices import device_mesh, on_devices
from l2o.metatraining.staggered import StaggeredProblem, averaged
from l2o.objectives import FinalLoss, MeanLoss
from l2o.tasks import SingleTask

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(11)
RATE, SIGMA, CURVATURE, START, STEPS, WINDOWS = 0.3, 0.1, 1.0, 1.5, 2, 3
NUM_TASKS = 100_000


def expected_power(power, curvature=CURVATURE, sigma=SIGMA):
    """The mean of `(1 - (RATE + sigma e) curvature)^power` over `e ~ N(0, 1)`."""
    points, weights = np.polynomial.hermite_e.hermegauss(20)
    moved = (1 - (RATE + sigma * points) * curvature) ** power
    return np.sum(weights * moved) / math.sqrt(2 * math.pi)


def gradient(period=1, sigma=SIGMA, *, steps=STEPS, windows=WINDOWS, truncated=False):
    """Of the mean loss along the horizon, with noise of its own in every so many windows.

    Truncated, it is that with respect to the rate in the loss's own window alone.
    """

    def slope_of_loss(window, step):
        # How many steps were made with each noise; in the loss's own window with the last.
        counts = [0] * (window // period + 1)
        for before in range(window):
            counts[before // period] += steps
        counts[-1] += step
        factors = [expected_power(2 * count, sigma=sigma) for count in counts]
        return sum(
            -2
            * count
            * CURVATURE
            * expected_power(2 * count - 1, sigma=sigma)
            * math.prod(factors[:noise] + factors[noise + 1 :])
            for noise, count in enumerate(counts)
            if count and not (truncated and noise < window)
        )

    slopes = [slope_of_loss(window, step) for window in range(windows) for step in range(steps + 1)]
    return CURVATURE * START**2 / 2 * np.mean(slopes)


def truncated_variance():
    """Of a problem's estimate in any of its windows, where pairs begin a window together."""
    points, weights = np.polynomial.hermite_e.hermegauss(20)
    powers = 2 * np.arange(STEPS + 1)[:, None]
    plus, minus = (
        np.mean((1 - (RATE + move) * CURVATURE) ** powers, axis=0)
        for move in (SIGMA * points, -SIGMA * points)
    )
    slopes = (plus - minus) * points / (2 * SIGMA)
    mean, square = (np.sum(weights * slopes**n) / math.sqrt(2 * math.pi) for n in (1, 2))
    # What is left of the first loss where a window begins.
    lefts = [
        np.mean([expected_power(2 * n * STEPS) ** window for window in range(WINDOWS)])
        for n in (1, 2)
    ]
    size = CURVATURE * START**2 / 2
    return size**2 * (lefts[1] * square - (lefts[0] * mean) ** 2)


@pytest.fixture
def optimizer(learnable_rate):
    return learnable_rate(jnp.asarray(RATE))


@pytest.fixture(scope="module")
def estimates(learnable_rate, parabola):
    """The meta-gradients of the first meta-steps, with the meta-parameters as they are."""

    @cache
    def run(estimator, num_tasks=NUM_TASKS, *, steps=STEPS, windows=WINDOWS, count=7):
        task = parabola(jnp.asarray(CURVATURE), jnp.asarray(START))
        problems = InnerProblems(SingleTask(task), num_tasks, windows, steps)

        @eqx.filter_jit
        def all_steps(optimizer):
            def step(state, number):
                key = jax.random.fold_in(KEY, number)
                found, state = estimator(
                    optimizer, MetaLoss(MeanLoss()), problems, state, key, number
                )
                return state, (found.gradient.rate, found.diagnostics)

            start = estimator.begin(optimizer, problems, KEY)
            return jax.lax.scan(step, start, jnp.arange(count))[1]

        return all_steps(learnable_rate(jnp.asarray(RATE)))

    return run


UNBIASED = {
    "PES": (PES(SIGMA), {"period": 1}),
    "GPES": (GPES(SIGMA, period=2), {"period": 2}),
    "NRES": (NRES(SIGMA), {"period": WINDOWS}),
    "ES": (ES(SIGMA), {"steps": STEPS * WINDOWS, "windows": 1}),
}


def assert_gradient(found, step, expected, others):
    """Of one meta-step: it agrees with what is expected, and with none of the others."""
    rates, diagnostics = found
    error = math.sqrt(diagnostics["gradient_variance"][step])
    assert error < 0.01 * abs(expected)
    assert abs(rates[step] - expected) < 3.5 * error
    assert all(abs(rates[step] - other) > 5 * error for other in others)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", UNBIASED)
def test_evolution_strategies_over_the_horizon_have_no_bias(name, estimates):
    estimator, of = UNBIASED[name]
    lengths = {key: value for key, value in of.items() if key != "period"}
    found = estimates(estimator, **lengths)
    others = [gradient(truncated=True), gradient(sigma=0.0, truncated=True)]
    if not lengths:
        others += [gradient(period) for period in range(1, WINDOWS + 1) if period != of["period"]]
    # From the third meta-step on, as many inner problems are in each window.
    for step in range(WINDOWS - 1, 7):
        assert_gradient(found, step, gradient(**of), others)


@pytest.mark.usefixtures("x64")
def test_truncated_evolution_strategies_have_the_bias_of_truncation(estimates):
    """It is the gradient of what they see: windows with their starts held constant."""
    found = estimates(ES(SIGMA))
    others = [gradient(), gradient(sigma=0.0)]
    for step in range(WINDOWS - 1, 7):
        assert_gradient(found, step, gradient(truncated=True), others)
    # Nor have they noise of earlier windows.
    variances = found[1]["gradient_variance"][WINDOWS - 1 :]
    np.testing.assert_allclose(NUM_TASKS * variances, truncated_variance(), rtol=0.04)


@pytest.mark.usefixtures("x64")
def test_truncated_back_propagation_has_it_too_and_forward_mode_has_none(estimates):
    rates, _ = estimates(Exact(), 2, count=WINDOWS)
    np.testing.assert_allclose(np.mean(rates), gradient(sigma=0.0, truncated=True), rtol=1e-12)
    rates, diagnostics = estimates(ForwardMode(), 2 * WINDOWS)
    np.testing.assert_allclose(rates[WINDOWS - 1 :], gradient(sigma=0.0), rtol=1e-12)
    assert np.all(diagnostics["gradient_variance"] > 0)


@pytest.mark.usefixtures("x64")
def test_estimates_of_parts_are_averaged_with_their_weights(optimizer, parabola):
    """Of one window over the whole horizon; the parts' noise is not the same."""
    curvatures, starts, weights = np.array([2.0, 0.5]), np.array([1.5, 2.0]), np.array([1.0, 3.0])
    result = metatrain(
        optimizer,
        [
            Part(SingleTask(parabola(jnp.asarray(curvature), jnp.asarray(start))), weight=weight)
            for curvature, start, weight in zip(curvatures, starts, weights.tolist(), strict=True)
        ],
        key=KEY,
        meta_steps=1,
        num_tasks=20_000,
        horizon=STEPS,
        truncation=STEPS,
        estimator=PES(SIGMA),
        meta_optimizer=optax.sgd(1.0),
        validation_tasks=2,
    )
    steps = np.arange(1, STEPS + 1)
    powers = [[expected_power(2 * t - 1, c) for t in steps] for c in curvatures]
    slopes = curvatures * starts**2 / 2 * (powers @ (-2 * steps)) * curvatures / (STEPS + 1)
    (row,), shares = result.history, weights / weights.sum()
    variances = np.array([row["gradient_variance/1"], row["gradient_variance/2"]])
    error = math.sqrt(shares**2 @ variances)
    found = RATE - result.last_optimizer.rate
    assert error < 0.02 * abs(shares @ slopes)
    assert abs(found - shares @ slopes) < 3.5 * error
    assert abs(found - slopes.mean()) > 20 * error


@pytest.mark.usefixtures("x64")
def test_variance_and_signal_to_noise_by_hand(learnable_rate):
    generator = np.random.default_rng(0)
    rows = generator.normal(1.0, 2.0, (6, 3))
    mesh = device_mesh(6)
    nothing = jnp.zeros((mesh.size, 6 // mesh.size))
    rates = learnable_rate(jnp.asarray(rows).reshape(mesh.size, -1, 3))
    one = MetaGradient(jnp.zeros(()), jnp.zeros(()), learnable_rate(jnp.zeros(3)))
    found, _ = on_devices(lambda _, own: (averaged(own, 6), ()), mesh)(
        (), jax.tree.unflatten(jax.tree.structure(one), (nothing, nothing, rates.rate))
    )
    mean, variance = rows.mean(axis=0), np.sum(rows.var(axis=0, ddof=1)) / 6
    np.testing.assert_allclose(found.gradient.rate, mean, rtol=1e-12)
    np.testing.assert_allclose(found.diagnostics["gradient_variance"], variance, rtol=1e-12)
    ratio = np.linalg.norm(mean) / math.sqrt(variance)
    np.testing.assert_allclose(found.diagnostics["signal_to_noise"], ratio, rtol=1e-12)


def test_draws_of_one_window_are_not_the_same(optimizer, parabola):
    """Of the task, where it begins, the minibatches and what the estimator draws."""
    keys = [KEY, jax.random.fold_in(KEY, 3)]

    class Noted(PES):
        def start(self, optimizer, carried, key):
            return ()

        def through_window(self, optimizer, meta_loss, window, problem, key):
            keys.extend([window.key, key])
            return MetaGradient(jnp.zeros(()), jnp.zeros(()), optimizer), ()

    task = parabola(jnp.asarray(CURVATURE), jnp.asarray(START))
    problems = InnerProblems(SingleTask(task), 1, WINDOWS, STEPS)
    problem = StaggeredProblem(KEY, jnp.asarray(0), jnp.asarray(True), ())
    Noted()._go_on(optimizer, MetaLoss(MeanLoss()), problems, jnp.asarray(0), problem, KEY)
    assert len({tuple(jax.random.key_data(key).tolist()) for key in keys}) == 4


@pytest.mark.parametrize("sigma", [0.0, -1.0, 1e-30, 1e30, math.nan])
def test_noise_whose_square_is_no_number(sigma):
    for estimator in (PES, NRES, ES):
        with pytest.raises(ValueError, match="sigma must be a finite number of at least 1e-18"):
            estimator(sigma)


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


@pytest.mark.parametrize("estimator", [GPES(period=2), ES(), ForwardMode()], ids=str)
def test_it_resumes_bit_for_bit(estimator, optimizer, parabolas, tmp_path, assert_trees_close):
    """In the middle of trajectories; `test_parts` has PES, with all that a run may have.

    `NRES` carries what `GPES` does.
    """

    def run(meta_steps, folder=None, resume=False):
        return metatrain(
            optimizer,
            parabolas(),
            key=KEY,
            meta_steps=meta_steps,
            num_tasks=2,
            horizon=4,
            truncation=1,
            estimator=estimator,
            validation_every=1,
            validation_tasks=2,
            folder=folder,
            resume=resume,
        )

    straight = run(7)
    run(2, tmp_path)
    resumed = run(7, tmp_path, resume=True)
    assert_trees_close(straight.last_optimizer, resumed.last_optimizer, rtol=0)
    assert straight.history == resumed.history
