"""What every weighting with a state is by its definition, step by step in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from l2o import multiobjective as mo

pytestmark = pytest.mark.usefixtures("quick_compilation")

LOSSES = np.random.default_rng(0).uniform(0.5, 2.0, (5, 3))
GRAMIAN = np.diag([1.0, 4.0, 9.0]) - 0.5


def weights_over_steps(weighting, losses=LOSSES):
    state, weights = weighting.init(3), []
    for row in losses:
        new, state = weighting.update(
            jnp.asarray(GRAMIAN, jnp.float32), state, losses=jnp.asarray(row, jnp.float32)
        )
        weights.append(new)
    return np.stack(weights)


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum()


def onto_simplex(point):
    """By bisection for the number that is taken from all."""
    low, high = point.min() - 1.0, point.max()
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(point - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(point - low, 0.0)


def test_famo():
    rate, decay, least = 0.1, 0.5, 0.25
    logits, first, second, expected = np.zeros(3), np.zeros(3), np.zeros(3), []
    for step, losses in enumerate(LOSSES):
        if step:
            fall = np.log(LOSSES[step - 1] - least) - np.log(losses - least)
            shares = softmax(logits)
            slope = shares * (fall - shares @ fall) + decay * logits
            first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
            corrected = first / (1 - 0.9**step), second / (1 - 0.999**step)
            logits = logits - rate * corrected[0] / (np.sqrt(corrected[1]) + 1e-8)
        weights = softmax(logits) / (losses - least)
        expected.append(weights / weights.sum())
    weighting = mo.FAMO(learning_rate=rate, weight_decay=decay, least=least)
    np.testing.assert_allclose(weights_over_steps(weighting), expected, rtol=1e-4)


def test_dwa():
    expected = [np.ones(3), np.ones(3)]
    expected += [3 * softmax(LOSSES[i] / LOSSES[i - 1] / 0.7) for i in range(1, 4)]
    np.testing.assert_allclose(weights_over_steps(mo.DWA(temperature=0.7)), expected, rtol=1e-5)


def test_modo():
    weights, expected = np.full(3, 1 / 3), []
    for _ in LOSSES:
        weights = onto_simplex(weights - 0.2 * (GRAMIAN + 0.3 * np.eye(3)) @ weights)
        expected.append(weights)
    weighting = mo.MoDo(step_size=0.2, regularization=0.3)
    np.testing.assert_allclose(weights_over_steps(weighting), expected, rtol=1e-4, atol=1e-6)


def test_sdmgrad():
    strength, rate, momentum = 0.4, 0.1, 0.6
    scaled = GRAMIAN / np.sqrt(np.diag(GRAMIAN)).mean() ** 2
    weights, expected = np.full(3, 1 / 3), []
    for _ in LOSSES:
        velocity = np.zeros(3)
        for _ in range(4):
            velocity = momentum * velocity + scaled @ (weights + strength / 3)
            weights = onto_simplex(weights - rate * velocity)
        expected.append((weights + strength / 3) / (1 + strength))
    weighting = mo.SDMGrad(strength, rate, momentum, num_steps=4)
    np.testing.assert_allclose(weights_over_steps(weighting), expected, rtol=1e-4, atol=1e-6)


def test_uncertainty_and_imtl_l():
    scales, expected = np.zeros(3), []
    for losses in LOSSES:
        expected.append(np.exp(-scales) / 2)
        scales = scales - 0.5 * (0.5 - np.exp(-scales) * losses / 2)
    found = weights_over_steps(mo.UncertaintyWeighting(optax.sgd(0.5)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    scales, expected = np.zeros(3), []
    for losses in LOSSES:
        expected.append(np.exp(scales))
        scales = scales - 0.3 * (np.exp(scales) * losses - 1)
    found = weights_over_steps(mo.IMTLL(optax.sgd(0.3)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_initial_losses():
    losses = LOSSES * np.array([1.0, -3.0, 10.0])
    found = weights_over_steps(mo.InitialLoss(), losses)
    np.testing.assert_allclose(found, np.tile(1 / (3 * np.abs(losses[0])), (5, 1)), rtol=1e-6)


def test_the_weights_that_a_scalarization_amounts_to():
    found = weights_over_steps(mo.Scalarized(mo.geometric_mean))
    expected = np.prod(LOSSES, axis=1, keepdims=True) ** (1 / 3) / (3 * LOSSES)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_scalarizations():
    losses, mu, preference = LOSSES[0], 0.3, np.array([0.2, 0.7, 0.1])
    value = mo.geometric_mean(jnp.asarray(losses))
    assert value == pytest.approx(np.prod(losses) ** (1 / 3), rel=1e-5)
    expected = mu * np.log(np.exp(preference * (losses - 0.1) / mu).sum())
    found = mo.stch(jnp.asarray(losses), mu=mu, preference=preference, reference=0.1)
    assert found == pytest.approx(expected, rel=1e-5)
    # The smaller mu, the closer to the maximum.
    found = mo.stch(jnp.asarray(losses), mu=1e-4)
    assert found == pytest.approx(losses.max() / 3, rel=1e-3)
    np.testing.assert_allclose(
        jax.grad(mo.geometric_mean)(jnp.array([0.0, 4.0, 9.0])), [0.0, 0.75, 1 / 3], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda x: mo.FAMO(learning_rate=x), "learning_rate"),
        (lambda x: mo.FAMO(weight_decay=x), "weight_decay"),
        (lambda x: mo.DWA(temperature=x), "temperature"),
        (lambda x: mo.MoDo(step_size=x), "step_size"),
        (lambda x: mo.SDMGrad(momentum=x), "momentum"),
        (lambda x: mo.GradNorm(alpha=x), "alpha"),
        (lambda x: mo.GradVac(decay=x), "decay"),
        (lambda x: mo.CRMOGM(mo.mgda, decay=x), "decay"),
        (lambda x: mo.PCD(progress=x), "progress"),
        (lambda x: mo.PCD(offset=x), "offset"),
        (lambda x: mo.moco(3, tracking_rate=x), "tracking_rate"),
        (lambda x: mo.db_mtl(3, decay=x), "decay"),
        (lambda x: mo.excess_mtl(3, step_size=x), "step_size"),
        (lambda x: mo.cagrad(jnp.eye(3), c=x), "c"),
        (lambda x: mo.fairgrad(jnp.eye(3), alpha=x), "alpha"),
        (lambda x: mo.nash_mtl(jnp.eye(3), max_norm=x), "max_norm"),
        (lambda x: mo.stch(jnp.ones(3), mu=x), "mu"),
        (lambda x: mo.pbi(jnp.ones(3), penalty=x), "penalty"),
    ],
)
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_settings_have_ranges(make, name, value):
    with pytest.raises(ValueError, match=f"^{name} must be"):
        make(value)


def test_other_numbers_of_objectives_and_what_is_no_weighting():
    weighting = mo.DWA()
    with pytest.raises(ValueError, match="DWA needs 3 losses"):
        weighting.update(jnp.eye(3), weighting.init(3), losses=jnp.ones(()))
    with pytest.raises(ValueError, match="state of DWA is not that of 3 objectives"):
        weighting.update(jnp.eye(3), weighting.init(2), losses=jnp.ones(3))
    for transformation in (mo.moco(2), mo.excess_mtl(2), mo.db_mtl(2)):
        state = transformation.init(jnp.zeros(4))
        with pytest.raises(ValueError, match=r"2 (objectives|losses)"):
            transformation.update(jnp.ones((3, 4)), state, value=jnp.ones(3))
    with pytest.raises(ValueError, match="averages a function"):
        mo.CRMOGM(mo.FAMO)
    with pytest.raises(ValueError, match="takes no key"):
        mo.CRMOGM(mo.mean).update(jnp.eye(3), jnp.zeros(3), key=jax.random.key(0))
