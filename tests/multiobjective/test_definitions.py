"""What every weighting is by its definition, from formulas in NumPy."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from conflicting_gradients import draw, least_norm

from l2o import multiobjective as mo

pytestmark = pytest.mark.usefixtures("quick_compilation", "x64")

M, D = 4, 9


def weights_of(weighting, jacobian):
    return np.asarray(jax.jit(weighting)(mo.gramian(jnp.asarray(jacobian))), float)


@pytest.fixture(scope="module", params=[(0, 0.6, 2.0), (1, 0.95, 0.0)])
def jacobian(request):
    seed, conflict, decades = request.param
    return draw(seed, 1, M, D, conflict, decades)[0]


def projected(jacobian, gradient):
    """The nearest direction to a gradient that conflicts with none: Moreau's decomposition."""
    return gradient + jacobian.T @ scipy.optimize.nnls(jacobian.T, -gradient)[0]


def test_constants(jacobian):
    np.testing.assert_array_equal(weights_of(mo.mean, jacobian), 1 / M)
    np.testing.assert_array_equal(weights_of(mo.sum_, jacobian), 1.0)
    chosen = np.array([0.1, 0.0, 3.0, 2.0])
    np.testing.assert_array_equal(
        weights_of(partial(mo.constant, weights=chosen), jacobian), chosen
    )


def test_mgda_has_the_least_norm(jacobian):
    weights = weights_of(mo.mgda, jacobian)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1.0)
    assert np.linalg.norm(weights @ jacobian) == pytest.approx(least_norm(jacobian), rel=1e-8)


def test_upgrad_is_the_mean_of_all_projections(jacobian):
    expected = np.mean([projected(jacobian, gradient) for gradient in jacobian], axis=0)
    found = weights_of(mo.upgrad, jacobian) @ jacobian
    np.testing.assert_allclose(found, expected, atol=1e-8 * np.abs(expected).max())
    preference = np.array([0.5, 0.0, 2.0, 1.0])
    found = weights_of(partial(mo.upgrad, preference=preference), jacobian) @ jacobian
    expected = preference @ [projected(jacobian, gradient) for gradient in jacobian]
    np.testing.assert_allclose(found, expected, atol=1e-8 * np.abs(expected).max())


def test_dualproj_is_the_projection_of_the_mean(jacobian):
    expected = projected(jacobian, jacobian.mean(axis=0))
    found = weights_of(mo.dualproj, jacobian) @ jacobian
    np.testing.assert_allclose(found, expected, atol=1e-8 * np.abs(expected).max())


def assert_best_for_the_worst(jacobian, found, c, rtol=1e-6):
    """CAGrad's definition: in its ball, and as good as the dual says is possible.

    For any weights of the simplex, `g_0'J'w + c |g_0| |J'w|` is an upper bound of the worst
    objective's product, and the best of them is met.
    """
    mean = jacobian.mean(axis=0)
    radius = c * np.linalg.norm(mean)
    assert np.linalg.norm(found - mean) <= radius * (1 + rtol)

    def dual(logits):
        weights = np.exp(logits - logits.max())
        combined = weights / weights.sum() @ jacobian
        return combined @ mean + radius * np.linalg.norm(combined)

    # A certificate from our own direction: the ball's normal is the best convex combination.
    normal, *_ = np.linalg.lstsq(jacobian.T, found - mean, rcond=None)
    normal = np.maximum(normal, 0.0)
    values = [dual(np.log(normal / normal.sum() + 1e-300))] if normal.sum() > 0 else []
    start = np.zeros(len(jacobian))
    values.append(scipy.optimize.minimize(dual, start, method="Nelder-Mead").fun)
    value = (jacobian @ found).min()
    scale = np.linalg.norm(jacobian, axis=1).max() * np.linalg.norm(mean)
    assert value <= min(values) + rtol * scale
    assert value >= min(values) - rtol * max(abs(min(values)), 1e-6 * scale)


@pytest.mark.parametrize("c", [0.3, 1.0, 1.5])
def test_cagrad(jacobian, c):
    found = weights_of(partial(mo.cagrad, c=c), jacobian) @ jacobian
    assert_best_for_the_worst(jacobian, found, c)


NEARLY_OPPOSITE = jax.jit(jax.vmap(mo.cagrad))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("degrees", [0.06, 1.0, 2.0, 5.0])
def test_cagrad_of_nearly_opposite_gradients(degrees, dtype):
    """The end of every run: two gradients nearly cancel, and a third one is there, too."""
    generator = np.random.default_rng(0)
    jacobians = generator.standard_normal((20, 3, 6))
    angle = np.radians(degrees)
    for rows in jacobians:
        rows[1] -= rows[1] @ rows[0] / (rows[0] @ rows[0]) * rows[0]
        across = rows[1] / np.linalg.norm(rows[1]) * np.linalg.norm(rows[0])
        rows[1] = generator.uniform(0.3, 3.0) * (
            math.sin(angle) * across - math.cos(angle) * rows[0]
        )
    jacobians = jacobians.astype(dtype)
    gramians = jax.vmap(mo.gramian)(jnp.asarray(jacobians))
    for rows, weights in zip(jacobians, np.asarray(NEARLY_OPPOSITE(gramians)), strict=True):
        found = weights.astype(float) @ rows.astype(float)
        mean = rows.astype(float).mean(axis=0)
        radius = 0.5 * np.linalg.norm(mean)
        rtol = {np.float32: 1e-4, np.float64: 1e-8}[dtype] / angle
        # The ball is met, and the direction is that of the best convex combination.
        assert np.linalg.norm(found - mean) == pytest.approx(radius, rel=rtol)
        assert_best_for_the_worst(rows.astype(float), found, 0.5, rtol=10 * rtol)


def test_cagrad_of_the_smallest_hard_case():
    g, h, k = np.eye(3)
    jacobian = np.stack([g, -g + 1e-3 * h, k])
    found = weights_of(mo.cagrad, jacobian) @ jacobian
    radius = 0.5 * np.linalg.norm(jacobian.mean(axis=0))
    # Up to what is added to the cosines to make them definite, 1e-12, over the square of 3e-4.
    assert np.linalg.norm(found - jacobian.mean(axis=0)) == pytest.approx(radius, rel=1e-5)
    # By hand: the direction of least norm is h, but for a part of 1e-3.
    assert found[1] == pytest.approx(radius, rel=1e-2)


def test_cagrad_where_nothing_is_left():
    g, h, k = np.eye(3)
    # No step helps both of the first; nearest to the mean is the mean, which harms neither.
    exact = np.stack([g, -g, k])
    np.testing.assert_allclose(weights_of(mo.cagrad, exact), 1 / 3, atol=1e-9)
    # The third is left out where it is zero, and the others are those of themselves.
    without = np.stack([g, -0.5 * g + h])
    found = weights_of(mo.cagrad, np.stack([*without, 0 * g]))
    np.testing.assert_allclose(found[:2] * 3, weights_of(mo.cagrad, without) * 2, rtol=1e-6)


def test_imtl_g_has_equal_projections_and_weights_of_sum_one(jacobian):
    weights = weights_of(mo.imtl_g, jacobian)
    units = jacobian / np.linalg.norm(jacobian, axis=1, keepdims=True)
    projections = units @ (weights @ jacobian)
    np.testing.assert_allclose(projections, projections[0], rtol=1e-6)
    assert weights.sum() == pytest.approx(1.0)


def test_config_is_its_formula(jacobian):
    units = jacobian / np.linalg.norm(jacobian, axis=1, keepdims=True)
    direction = np.linalg.pinv(units) @ np.ones(M)
    direction /= np.linalg.norm(direction)
    expected = (jacobian @ direction).sum() * direction
    np.testing.assert_allclose(weights_of(mo.config, jacobian) @ jacobian, expected, rtol=1e-6)


@pytest.mark.parametrize(("scale", "pick"), [(jnp.nanmin, np.min), (jnp.nanmedian, np.median)])
def test_aligned_mtl_is_its_formula(jacobian, scale, pick):
    # J = U S V', and the aligned Jacobian is sqrt(s) U V'.
    left, singular, right = np.linalg.svd(jacobian, full_matrices=False)
    preference = np.array([0.4, 0.3, 0.2, 0.1])
    expected = math.sqrt(pick(singular**2)) * (preference @ left) @ right
    weighting = partial(mo.aligned_mtl, preference=preference, scale=scale)
    np.testing.assert_allclose(weights_of(weighting, jacobian) @ jacobian, expected, rtol=1e-6)


def test_nash_mtl_and_fairgrad_of_alpha_one_are_one_equation(jacobian):
    nash = weights_of(partial(mo.nash_mtl, max_norm=None), jacobian)
    fair = weights_of(partial(mo.fairgrad, alpha=1.0), jacobian)
    products = jacobian @ jacobian.T
    np.testing.assert_allclose(nash, fair * math.sqrt(np.linalg.norm(products)), rtol=1e-8)
    np.testing.assert_allclose(products @ fair * fair, 1.0, rtol=1e-8)


def pcgrad_by_hand(jacobian):
    turned = jacobian.copy()
    for i, row in enumerate(turned):
        for j, other in enumerate(jacobian):
            if i != j and row @ other < 0:
                row -= row @ other / (other @ other) * other
    return turned.sum(axis=0)


def gradvac_by_hand(jacobian, target):
    turned = jacobian.copy()
    for i, row in enumerate(turned):
        for j, other in enumerate(jacobian):
            cosine = row @ other / np.linalg.norm(row) / np.linalg.norm(other)
            if i != j and cosine < target:
                sine, target_sine = math.sqrt(1 - cosine**2), math.sqrt(1 - target**2)
                length = np.linalg.norm(row) * (target * sine - cosine * target_sine)
                row += length / (np.linalg.norm(other) * target_sine) * other
    return turned.sum(axis=0)


def test_surgery_by_hand(jacobian):
    found = weights_of(mo.pcgrad, jacobian) @ jacobian
    np.testing.assert_allclose(found, pcgrad_by_hand(jacobian), rtol=1e-6, atol=1e-9)
    for target in (0.0, 0.4):
        found = weights_of(partial(mo.gradvac, targets=target), jacobian) @ jacobian
        np.testing.assert_allclose(found, gradvac_by_hand(jacobian, target), rtol=1e-5, atol=1e-7)


def test_random_weights_are_a_softmax_of_normal_numbers():
    key = jax.random.key(3)
    numbers = np.asarray(jax.random.normal(key, (M,)))
    expected = np.exp(numbers) / np.exp(numbers).sum()
    np.testing.assert_allclose(mo.random_weighting(jnp.eye(M), key=key), expected, rtol=1e-6)


def test_krum_tells_gradients_apart_that_are_nearly_the_same():
    # Squares of norms, less twice the product, would be rounding alone.
    jacobian = np.ones((4, 3), np.float32)
    jacobian[:, 0] += np.array([0.0, 1e-5, 3e-5, 1e-4], np.float32)
    found = weights_of(partial(mo.krum, num_byzantine=1), jacobian)
    np.testing.assert_array_equal(found, [1.0, 0.0, 0.0, 0.0])
