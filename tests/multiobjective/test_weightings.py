import math
from functools import partial

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conflicting_gradients import draw, gramians, least_cosines
from hypothesis import given, settings

from l2o import multiobjective as mo

pytestmark = pytest.mark.usefixtures("quick_compilation")

M, D = 4, 9
WEIGHTINGS = {
    "mean": mo.mean,
    "mgda": mo.mgda,
    "upgrad": mo.upgrad,
    "dualproj": mo.dualproj,
    "cagrad": mo.cagrad,
    "imtl_g": mo.imtl_g,
    "nash_mtl": mo.nash_mtl,
    "fairgrad": lambda gramian: mo.fairgrad(gramian, alpha=2.0),
    "aligned_mtl": mo.aligned_mtl,
    "config": mo.config,
}
COMPILED = {name: jax.jit(weighting) for name, weighting in WEIGHTINGS.items()}
NON_CONFLICTING = ("mgda", "upgrad", "dualproj", "nash_mtl", "fairgrad", "config")
# The combination is J'w; these weightings do not change its direction where all are scaled.
SEEDS = st.integers(0, 10_000)


def gramian_of(seed, decades=2.0):
    return jnp.asarray(gramians(draw(seed, 1, M, D, conflict=0.7, decades=decades))[0], jnp.float32)


@pytest.mark.parametrize("name", WEIGHTINGS)
@given(seed=SEEDS)
@settings(max_examples=15)
def test_an_order_of_the_objectives_does_not_matter(name, seed):
    gramian = gramian_of(seed)
    order = np.random.default_rng(seed).permutation(M)
    permuted = COMPILED[name](gramian[order][:, order])
    norms = np.sqrt(np.diag(gramian))
    expected = (COMPILED[name](gramian) * norms)[order]
    np.testing.assert_allclose(
        permuted * norms[order], expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max()
    )


@pytest.mark.parametrize("name", NON_CONFLICTING)
@given(seed=SEEDS)
@settings(max_examples=15)
def test_conflicts_with_no_gradient(name, seed):
    jacobian = draw(seed, 1, M, D, conflict=0.7, decades=4.0)
    weights = COMPILED[name](jnp.asarray(gramians(jacobian)[0], jnp.float32))
    assert least_cosines(jacobian, weights[None])[0] > -1e-5


@pytest.mark.parametrize("name", ["mean", "upgrad", "config"])
@given(seed=SEEDS)
@settings(max_examples=10)
def test_is_linear_in_the_scale_of_every_gradient(name, seed):
    # Weights of scaled gradients, times the scales, are then linear in the scales.
    generator = np.random.default_rng(seed)
    gramian = gramian_of(seed, decades=0.0)
    one, other = 10 ** generator.uniform(-1, 1, (2, M))

    def scaled(scales):
        scales = jnp.asarray(scales, jnp.float32)
        return scales * COMPILED[name](gramian * scales[:, None] * scales)

    together = scaled(one) + scaled(other)
    np.testing.assert_allclose(scaled(one + other), together, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_zero_and_nan_make_no_trouble(name):
    assert jnp.isfinite(COMPILED[name](jnp.zeros((M, M)))).all()
    one_zero = gramian_of(0).at[1].set(0.0).at[:, 1].set(0.0)
    assert jnp.isfinite(COMPILED[name](one_zero)).all()
    if name != "mean":
        assert not jnp.isfinite(COMPILED[name](jnp.full((M, M), jnp.nan))).all()


@pytest.mark.parametrize("name", ["cagrad", "imtl_g", "nash_mtl", "fairgrad", "aligned_mtl"])
def test_derivatives_are_those_of_finite_differences(name, x64):
    jacobian = jnp.asarray(draw(5, 1, M, D, conflict=0.6, decades=1.0)[0])
    change = jnp.asarray(np.random.default_rng(1).standard_normal((M, D)))

    @jax.jit
    def weights(t):
        moved = jacobian + t * change
        return WEIGHTINGS[name](moved @ moved.T)

    step = 1e-5
    expected = (weights(step) - weights(-step)) / (2 * step)
    np.testing.assert_allclose(jax.jit(jax.jacrev(weights))(0.0), expected, rtol=1e-4, atol=1e-6)


def test_imtl_g_has_equal_projections():
    gramian = gramian_of(1, decades=4.0)
    projections = gramian @ COMPILED["imtl_g"](gramian) / jnp.sqrt(jnp.diag(gramian))
    np.testing.assert_allclose(projections, projections[0], rtol=1e-3)


def test_aligned_mtl_makes_all_singular_values_equal(x64):
    jacobian = draw(2, 1, M, D)[0]
    balanced = jnp.stack(
        [mo.aligned_mtl(jnp.asarray(jacobian @ jacobian.T), preference=row) for row in np.eye(M)]
    )
    singular_values = np.linalg.svd(balanced @ jacobian, compute_uv=False)
    np.testing.assert_allclose(
        singular_values, np.linalg.svd(jacobian, compute_uv=False).min(), rtol=1e-9
    )


def test_nash_mtl_and_fairgrad_solve_their_equations(x64):
    gramian = jnp.asarray(gramians(draw(3, 1, M, D, conflict=0.9, decades=4.0))[0])
    weights = mo.nash_mtl(gramian, max_norm=None)
    np.testing.assert_allclose(gramian @ weights * weights, jnp.linalg.norm(gramian), rtol=1e-8)
    assert mo.fairness_gap(gramian, weights) < 1e-8
    for alpha in (0.5, 1.0, 4.0):
        weights = mo.fairgrad(gramian, alpha=alpha)
        np.testing.assert_allclose(gramian @ weights, weights ** (-1 / alpha), rtol=1e-6)
        assert mo.fairness_gap(gramian, weights, alpha=alpha) < 1e-5


@pytest.mark.parametrize("name", ["nash_mtl", "fairgrad"])
def test_mgda_stands_in_where_there_is_no_solution(name):
    jacobian = np.array([[1.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
    gramian = jnp.asarray(jacobian @ jacobian.T, jnp.float32)
    weights = COMPILED[name](gramian)
    np.testing.assert_allclose(weights, mo.mgda(gramian), atol=1e-6)
    np.testing.assert_allclose(weights @ jacobian, 0.0, atol=1e-6)
    assert mo.fairness_gap(gramian, weights) > 1.0


def test_nash_mtl_is_shortened():
    jacobian = draw(0, 1, M, D, decades=2.0)[0]
    weights = COMPILED["nash_mtl"](jnp.asarray(jacobian @ jacobian.T, jnp.float32))
    assert np.linalg.norm(weights @ jacobian) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("c", [0.5, 1.5])
def test_cagrad_is_the_best_for_the_worst(c, x64):
    jacobian = draw(4, 1, 3, 5, conflict=0.8)[0]
    mean = jacobian.mean(axis=0)
    found = np.asarray(mo.cagrad(jnp.asarray(jacobian @ jacobian.T), c=c)) @ jacobian
    radius = c * np.linalg.norm(mean)
    assert np.linalg.norm(found - mean) == pytest.approx(radius, rel=1e-8)
    value = (jacobian @ found).min()
    others = np.random.default_rng(0).standard_normal((20_000, 5)) * 0.3 + (found - mean)
    others = mean + radius * others / np.linalg.norm(others, axis=1)[:, None]
    assert value >= (others @ jacobian.T).min(axis=1).max() - 1e-9


def test_cagrad_without_a_radius_is_the_mean():
    np.testing.assert_allclose(mo.cagrad(gramian_of(0), c=0.0), 1 / M, rtol=1e-6)


def test_two_gradients_are_projected_by_pcgrad_and_turned_by_gradvac(x64):
    jacobian = np.array([[1.0, 0.0], [-30.0, 40.0]])
    gramian = jnp.asarray(jacobian @ jacobian.T)
    first = jacobian[0] + 30 / 2500 * jacobian[1]
    second = jacobian[1] + 30 * jacobian[0]
    expected = first + second
    np.testing.assert_allclose(mo.pcgrad(gramian) @ jacobian, expected, rtol=1e-12)
    # A cosine of 0.5 is wanted, and there is one of -0.6.
    weights = np.asarray(mo.gradvac(gramian, targets=0.5))
    factor = (0.5 * 0.8 + 0.6 * math.sqrt(0.75)) / math.sqrt(0.75)
    turned = jacobian[0] + factor / 50 * jacobian[1]
    cosine = turned @ jacobian[1] / np.linalg.norm(turned) / 50
    assert cosine == pytest.approx(0.5)
    np.testing.assert_allclose(weights, [1 + 50 * factor, 1 + factor / 50], rtol=1e-6)


def test_pcgrad_takes_the_others_in_random_order():
    gramian = gramian_of(3)
    drawn = jax.jit(jax.vmap(lambda key: mo.pcgrad(gramian, key=key)))(
        jax.random.split(jax.random.key(0), 20)
    )
    assert len(np.unique(np.asarray(drawn), axis=0)) > 1


def test_gradvac_learns_its_targets(x64):
    jacobian = np.array([[1.0, 0.0], [3.0, 4.0]])
    weighting = mo.GradVac(decay=0.25)
    weights, targets = weighting.update(jnp.asarray(jacobian @ jacobian.T), weighting.init(2))
    np.testing.assert_allclose(weights, 1.0)
    np.testing.assert_allclose(targets, [[0.0, 0.15], [0.15, 0.0]], rtol=1e-6)


def test_random_weights_are_of_the_simplex():
    weights = mo.random_weighting(jnp.eye(M), key=jax.random.key(0))
    assert jnp.sum(weights) == pytest.approx(1.0)
    assert jnp.any(weights != mo.random_weighting(jnp.eye(M), key=jax.random.key(1)))


def test_graddrop_keeps_one_sign_of_every_coordinate():
    jacobian = {"a": jnp.array([[1.0, 2.0], [-3.0, 5.0]]), "b": jnp.zeros((2, 1))}
    drawn = jax.vmap(lambda key: mo.graddrop(jacobian, key=key))(
        jax.random.split(jax.random.key(0), 400)
    )
    firsts, counts = np.unique(np.asarray(drawn["a"][:, 0]), return_counts=True)
    np.testing.assert_allclose(firsts, [-3.0, 1.0])
    assert counts[1] == pytest.approx(100, abs=35)
    np.testing.assert_allclose(drawn["a"][:, 1], 7.0)
    np.testing.assert_allclose(drawn["b"], 0.0)


@pytest.mark.parametrize("leak", [0.25, np.array([0.5, 0.0])])
def test_graddrop_leaks_what_it_does_not_keep(leak):
    jacobian = jnp.array([[1.0, 2.0], [-3.0, 5.0]])
    drawn = jax.vmap(lambda key: mo.graddrop(jacobian, leak=leak, key=key))(
        jax.random.split(jax.random.key(0), 50)
    )
    first, second = np.broadcast_to(leak, 2)
    np.testing.assert_allclose(np.unique(drawn[:, 0]), [-3 + first, 1 - 3 * second])
    np.testing.assert_allclose(drawn[:, 1], 7.0)
    with pytest.raises(ValueError, match="one leak or 2"):
        mo.graddrop(jacobian, leak=np.ones(3), key=jax.random.key(0))


@pytest.mark.parametrize(("num_byzantine", "num_selected"), [(0, 1), (2, 3), (4, 7)])
def test_krum_selects_those_that_are_nearest_to_the_others(num_byzantine, num_selected):
    jacobian = draw(1, 1, 7, 4)[0]
    distances = np.sum((jacobian[:, None] - jacobian) ** 2, axis=2)
    scores = [
        np.sort(np.delete(row, i))[: 5 - num_byzantine].sum() for i, row in enumerate(distances)
    ]
    expected = np.zeros(7)
    expected[np.argsort(scores, kind="stable")[:num_selected]] = 1 / num_selected
    weighting = partial(mo.krum, num_byzantine=num_byzantine, num_selected=num_selected)
    found = jax.jit(weighting)(jnp.asarray(jacobian @ jacobian.T, jnp.float32))
    np.testing.assert_allclose(found, expected)


def test_krum_and_the_trimmed_mean_withstand_faulty_workers():
    jacobian = 1 + 0.1 * draw(0, 1, 8, 5)[0]
    jacobian[[2, 6]] = [[1e3], [-1e4]]
    weights = mo.krum(jnp.asarray(jacobian @ jacobian.T, jnp.float32), num_byzantine=2)
    assert np.abs(weights @ jacobian - 1).max() < 0.4
    assert np.abs(mo.trimmed_mean(jnp.asarray(jacobian), num_trimmed=2) - 1).max() < 0.2


def test_the_trimmed_mean_is_taken_in_every_coordinate():
    jacobian = draw(0, 1, 5, 6)[0]
    expected = np.sort(jacobian, axis=0)[1:4].mean(axis=0)
    tree = {"a": jnp.asarray(jacobian[:, :4].reshape(5, 2, 2)), "b": jnp.asarray(jacobian[:, 4:])}
    optimizer = mo.aggregate_jacobian(partial(mo.trimmed_mean, num_trimmed=1))
    params = jax.tree.map(lambda leaf: leaf[0], tree)
    found, _ = optimizer.update(tree, optimizer.init(params))
    np.testing.assert_allclose(found["a"].ravel(), expected[:4], rtol=1e-6)
    np.testing.assert_allclose(found["b"], expected[4:], rtol=1e-6)


def test_constants():
    np.testing.assert_allclose(mo.sum_(jnp.eye(3)), 1.0)
    np.testing.assert_allclose(
        mo.constant(jnp.eye(3), weights=np.array([1.0, 0.0, 2.0])), [1.0, 0.0, 2.0]
    )
    with pytest.raises(ValueError, match="3 weights"):
        mo.constant(jnp.eye(3), weights=np.ones(2))
    with pytest.raises(ValueError, match="at least 0"):
        mo.cagrad(jnp.eye(3), c=-1.0)
    with pytest.raises(ValueError, match="at least 0"):
        mo.fairgrad(jnp.eye(3), alpha=-1.0)
    with pytest.raises(ValueError, match="at most 0 may be faulty"):
        mo.krum(jnp.eye(3), num_byzantine=1)
    with pytest.raises(ValueError, match="1 to 3 can be selected"):
        mo.krum(jnp.eye(3), num_byzantine=0, num_selected=4)
    with pytest.raises(ValueError, match="at most 1 can be left out"):
        mo.trimmed_mean(jnp.eye(3), num_trimmed=2)
