import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings, strategies as st

from l2o.flatness import eigenvalue_bound, entropy_gap, entropy_gap_bounds, trace_bound

seeds = st.integers(0, 2**31 - 1)
SLACK = 1 + 1e-9


def draw(seed):
    """A random convex quadratic: Hessian, gradient, gamma, and the exact gap."""
    generator = np.random.default_rng(seed)
    size, rank = generator.integers(1, 12), generator.integers(1, 12)
    factor = generator.standard_normal((size, rank)) * 10 ** generator.uniform(-2, 1)
    hessian = factor @ factor.T
    gradient = generator.standard_normal(size) * 10 ** generator.uniform(-2, 1)
    gamma = 10 ** generator.uniform(-2, 2)
    shifted = hessian + gamma * np.eye(size)
    gap = (np.linalg.slogdet(shifted)[1] - size * np.log(gamma)) / 2
    return hessian, gradient, gamma, gap, gap - gradient @ np.linalg.solve(shifted, gradient) / 2


@given(seeds)
@settings(max_examples=60)
def test_convex_quadratics_keep_to_the_bounds(seed):
    hessian, gradient, gamma, stationary_gap, gap = draw(seed)
    top, trace, norm = np.linalg.eigvalsh(hessian)[-1], np.trace(hessian), np.linalg.norm(gradient)
    with jax.enable_x64(True):
        for value, slope in ((stationary_gap, 0.0), (gap, norm)):
            assert eigenvalue_bound(value, gamma, slope) * SLACK >= top
            assert trace_bound(value, gamma) <= trace * SLACK
            lower, upper = entropy_gap_bounds(top, trace, gamma, slope)
            assert lower <= value + 1e-9 * (abs(value) + slope**2 / gamma)
            assert value <= upper * SLACK


@given(seeds)
@settings(max_examples=20)
def test_rank_one_attains_the_bound(seed):
    generator = np.random.default_rng(seed)
    top, gamma = 10 ** generator.uniform(-2, 2, 2)
    with jax.enable_x64(True):
        gap = np.log1p(top / gamma) / 2
        np.testing.assert_allclose(eigenvalue_bound(gap, gamma), top, rtol=1e-9)
        np.testing.assert_allclose(entropy_gap_bounds(top, top, gamma)[0], gap, rtol=1e-9)


def test_a_measured_gap_bounds_the_eigenvalue(quadratic, key):
    matrix = np.diag([3.0, 0.4, 0.1, 0.0, 0.0])
    gap = entropy_gap(quadratic(matrix), jnp.zeros(5), 1.0, key, rank=5).value
    bound = eigenvalue_bound(gap, 1.0)
    # (1 + 3)(1 + 0.4)(1 + 0.1) - 1
    np.testing.assert_allclose(bound, 5.16, rtol=1e-3)
