import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conflicting_gradients import draw, gramians, least_cosines, least_norm

from l2o import multiobjective
from l2o.multiobjective import dualproj, mgda, upgrad
from l2o.multiobjective.programs.nonnegative_program import nonnegative_program

pytestmark = pytest.mark.usefixtures("quick_compilation")

# As many as are compiled for.
CASES = 300
WEIGHTINGS = {
    weighting.__name__: jax.jit(jax.vmap(weighting)) for weighting in (mgda, upgrad, dualproj)
}


@pytest.mark.parametrize(("m", "d"), [(2, 5), (8, 20)])
def test_mgda_finds_the_least_norm_in_single_precision(m, d):
    jacobians = draw(m, CASES, m, d, conflict=0.9, decades=4.0)
    weights = WEIGHTINGS["mgda"](jnp.asarray(gramians(jacobians), jnp.float32))
    weights = np.asarray(weights, float)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-6)
    norms = np.linalg.norm(np.einsum("km,kmd->kd", weights, jacobians), axis=1)[:5]
    np.testing.assert_allclose(norms, [least_norm(one) for one in jacobians[:5]], rtol=1e-6)


def test_mgda_of_many_objectives():
    jacobians = draw(0, 4, 64, 200, conflict=0.9, decades=4.0)
    products = gramians(jacobians)
    with jax.enable_x64(True):
        exact = np.einsum("km,kmd->kd", WEIGHTINGS["mgda"](jnp.asarray(products)), jacobians)
    squares = np.sum(exact**2, axis=1)
    # min_i <g_i, A> is a lower bound of the squared least norm, by duality.
    bounds = np.einsum("kmd,kd->km", jacobians, exact).min(axis=1)
    np.testing.assert_allclose(bounds, squares, rtol=1e-6)
    weights = np.asarray(WEIGHTINGS["mgda"](jnp.asarray(products, jnp.float32)), float)
    norms = np.linalg.norm(np.einsum("km,kmd->kd", weights, jacobians), axis=1)
    np.testing.assert_allclose(norms, np.sqrt(squares), rtol=2e-6)


@pytest.mark.parametrize("name", ["mgda", "upgrad", "dualproj", "cagrad", "fairgrad"])
def test_many_at_once_do_not_wait_for_one_another(name):
    """Factors of two batches at once would, on as few threads: this would not come to an end."""
    weighting = jax.jit(jax.vmap(getattr(multiobjective, name)))
    for seed in range(4):
        jacobians = draw(seed, 300, 16, 8 if seed % 2 else 40, conflict=0.9 * (seed > 1))
        weights = weighting(jnp.asarray(gramians(jacobians), jnp.float32))
        assert jnp.isfinite(weights).all()


@pytest.mark.parametrize("name", WEIGHTINGS)
@pytest.mark.parametrize(
    ("m", "d", "conflict"), [(2, 10, 0.0), (2, 10, 0.99), (8, 20, 0.98), (16, 40, 0.9)]
)
def test_never_conflicts_at_norm_ratios_of_ten_thousand(name, m, d, conflict):
    jacobians = draw(m, CASES, m, d, conflict, decades=4.0)
    weights = WEIGHTINGS[name](jnp.asarray(gramians(jacobians), jnp.float32))
    assert least_cosines(jacobians, weights).min() > -1e-4


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_never_conflicts_in_double_precision_however_strong_the_conflict(name, x64):
    jacobians = draw(1, CASES, 8, 20, conflict=0.9999, decades=8.0)
    weights = WEIGHTINGS[name](jnp.asarray(gramians(jacobians)))
    assert least_cosines(jacobians, weights).min() > -1e-7


def test_more_objectives_than_dimensions():
    # Blocks that are exchanged go round in circles here; the interior-point method does not.
    jacobians = draw(0, CASES, 16, 5)
    jacobians[:, :, 0] = np.abs(jacobians[:, :, 0]) + 0.1
    products = jnp.asarray(gramians(jacobians), jnp.float32)
    for name, weighting in WEIGHTINGS.items():
        assert least_cosines(jacobians, weighting(products)).min() > -1e-4, name


def test_program_meets_its_optimality_condition(x64):
    generator = np.random.default_rng(0)
    roots = generator.standard_normal((50, 10, 4))
    matrices = jnp.asarray(gramians(roots) / 4)
    # In the range of the matrix, which is singular, or the program would have no solution.
    linear = jnp.einsum("kij,kj->ki", matrices, generator.standard_normal((50, 10)))
    x = jax.jit(jax.vmap(nonnegative_program))(matrices, linear)
    slopes = jnp.einsum("kij,kj->ki", matrices, x) + linear
    assert jnp.min(x) >= 0
    assert jnp.max(jnp.abs(jnp.minimum(x, slopes))) < 1e-9


def test_program_of_what_is_not_finite_is_not_finite():
    # None of these is looked at before all signs are right.
    linear = jnp.array([-1.0, 1.0, 1.0])
    solve = jax.jit(nonnegative_program)
    assert jnp.isfinite(solve(jnp.eye(3), linear)).all()
    assert jnp.isnan(solve(jnp.eye(3), linear.at[1].set(jnp.nan))).all()
    assert jnp.isnan(solve(jnp.eye(3).at[1, 2].set(jnp.nan), linear)).all()


def test_interior_point_alone_solves_the_program(x64):
    from l2o.multiobjective.programs.nonnegative_program import exchange_blocks, interior_point

    products = gramians(draw(3, 5, 8, 12, conflict=0.9))
    matrices = jnp.asarray(products / 12)
    linear = jnp.asarray(np.random.default_rng(0).standard_normal((5, 8)))
    interior = jax.jit(jax.vmap(lambda m, q: interior_point(m, q, jnp.asarray(False))))
    exchanged = jax.jit(jax.vmap(exchange_blocks))(matrices, linear)
    assert exchanged.settled.all()
    np.testing.assert_allclose(interior(matrices, linear), exchanged.x, atol=1e-8)


@pytest.mark.parametrize("weighting", [mgda, upgrad])
def test_derivatives_are_those_of_finite_differences(weighting, x64):
    jacobian = draw(5, 1, 4, 6, conflict=0.8, decades=1.0)[0]
    change = np.random.default_rng(1).standard_normal((4, 6))

    @jax.jit
    def weights(t):
        moved = jnp.asarray(jacobian) + t * change
        return weighting(moved @ moved.T)

    step = 1e-5
    expected = (weights(step) - weights(-step)) / (2 * step)
    np.testing.assert_allclose(jax.jacrev(weights)(0.0), expected, rtol=1e-5, atol=1e-7)


def test_gradients_of_zero_and_what_is_not_finite():
    jacobian = np.array([[1.0, 2.0], [0.0, 0.0], *[[-1.0, 1.0]] * 6])
    products = np.zeros((CASES, 8, 8))
    products[1] = jacobian @ jacobian.T
    products[2] = np.nan
    for name, weighting in WEIGHTINGS.items():
        nothing, one, nan = weighting(jnp.asarray(products, jnp.float32))[:3]
        assert jnp.isfinite(nothing).all()
        assert jnp.isfinite(one).all()
        assert jnp.isnan(nan).any()
        if name == "mgda":
            np.testing.assert_allclose(one, np.eye(8)[1], atol=1e-6)


def test_inside_loops_maps_and_derivatives_of_single_precision():
    products = jnp.asarray(gramians(draw(2, 3, 4, 6)), jnp.float32)

    def total(gramian):
        def step(carry, _):
            weights = upgrad(carry)
            return carry + 1e-3 * weights[:, None] * weights, mgda(carry)[0]

        carry, firsts = jax.lax.scan(jax.checkpoint(step), gramian, None, length=2)
        return jnp.sum(carry) + jnp.sum(firsts)

    slopes = jax.jit(jax.vmap(jax.grad(total)))(products)
    assert slopes.dtype == jnp.float32
    assert jnp.isfinite(slopes).all()
