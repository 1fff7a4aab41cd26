"""Every measure of s f is known from those of f, also where s^2 is no number of this precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.flatness import (
    curvature,
    eigenvalue_bound,
    entropy_gap,
    entropy_gap_bounds,
    entropy_gap_by_sgld,
    expected_sharpness,
    filter_norms,
    hessian_product,
    lanczos,
    loss_slice,
    parameter_sizes,
    power_iteration,
    quadratic_entropy_gap,
    ritz_pairs,
    sharpness,
    spectral_density,
    spectral_norm,
    top_eigenvalue,
    trace,
)

SCALES = [1e-25, 1e-12, 1.0, 1e12, 1e20, 1e25]
VALUES = np.array([-4.0, -1.0, 0.5, 2.0, 5.0])
BASIS = np.linalg.qr(np.random.default_rng(3).standard_normal((5, 5)))[0]
MATRIX = (BASIS * VALUES) @ BASIS.T
CONVEX = (BASIS * np.abs(VALUES)) @ BASIS.T
SLOPE = np.array([1.0, -2.0, 0.5, 0.0, 3.0])
GAMMA = 2.0


def scaled_loss(matrix, scale):
    """s (x'Ax / 2 + b'x), never larger than it has to be on the way."""
    matrix, slope = (
        scale * jnp.asarray(matrix, jnp.float32),
        scale * jnp.asarray(SLOPE, jnp.float32),
    )
    return lambda x: x @ (matrix @ x) / 2 + slope @ x


@jax.jit
def measures(scale, key):
    """Those that are proportional to the loss."""
    loss, x = scaled_loss(MATRIX, scale), jnp.zeros(5)
    power, vector = power_iteration(loss, x, key, num_iterations=80)
    density = spectral_density(loss, x, key, num_probes=3, num_products=5)
    line = loss_slice(loss, x, (jnp.ones(5),), num_points=3)
    return {
        "spectral norm": spectral_norm(loss, x, key),
        "top eigenvalue": top_eigenvalue(loss, x, key),
        "Ritz values": ritz_pairs(loss, x, key, 5).values,
        "power iteration": power,
        "curvature along it": curvature(loss, x, vector),
        "product": hessian_product(loss, x)(jnp.ones(5)),
        "trace": trace(loss, x, key, num_probes=8),
        "nodes": density.nodes,
        "first moment": density.moment(1),
        "grid": density.grid[:: len(density.grid) - 1],
        "sharpness": sharpness(loss, x, radius=0.5, num_steps=3),
        "sharpness from elsewhere": sharpness(loss, x, key, radius=0.5, num_steps=3),
        "expected sharpness": expected_sharpness(loss, x, key, sigma=0.5, num_samples=8),
        "slice": line.losses,
    }, density.density * scale


@pytest.fixture(scope="module")
def at_one():
    return measures(jnp.float32(1), jax.random.key(0))


@pytest.mark.parametrize("scale", SCALES)
def test_measures_are_proportional_to_the_loss(at_one, assert_trees_close, key, scale):
    proportional, density = measures(jnp.float32(scale), key)
    unscaled = jax.tree.map(lambda leaf: np.asarray(leaf, float) / scale, proportional)
    assert_trees_close(unscaled, jax.tree.map(np.asarray, at_one[0]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(density, at_one[1], rtol=1e-3, atol=1e-4)


def test_measures_of_the_loss_itself_are_those_of_its_matrix(at_one):
    found, density = at_one
    for name, truth in {
        "spectral norm": 5,
        "top eigenvalue": 5,
        "Ritz values": VALUES,
        "power iteration": 5,
        "curvature along it": 5,
        "product": MATRIX @ np.ones(5),
        "slice": [np.sum(MATRIX) / 2 + s * np.sum(SLOPE) for s in (-1, 0, 1)],
    }.items():
        if name == "slice":
            truth[1] = 0
        np.testing.assert_allclose(found[name], truth, rtol=1e-5, atol=1e-5)
    grid = np.linspace(*np.asarray(found["grid"]), density.size)
    np.testing.assert_allclose(np.sum(density) * (grid[1] - grid[0]), 1, rtol=1e-4)


@jax.jit
def gap(scale, key):
    return entropy_gap(scaled_loss(CONVEX, scale), jnp.zeros(5), GAMMA, key, rank=5)


@pytest.mark.parametrize("scale", SCALES)
def test_entropy_gaps_of_quadratics_of_any_size(key, scale):
    value, error = gap(jnp.float32(scale), key)
    curvatures, slopes = scale * np.abs(VALUES), scale * BASIS.T @ SLOPE
    terms = np.log1p(curvatures / GAMMA) - slopes**2 / (GAMMA + curvatures)
    np.testing.assert_allclose(value, np.sum(terms) / 2, rtol=2e-5)
    # It has no variance but by rounding.
    assert error <= 1e-4 * abs(np.sum(terms) / 2)
    np.testing.assert_allclose(
        quadratic_entropy_gap(jnp.float32(curvatures), jnp.float32(slopes), GAMMA),
        np.sum(terms) / 2,
        rtol=1e-5,
    )


@pytest.mark.parametrize("scale", [1e-25, 1e-15])
def test_gaps_of_small_losses_are_their_expected_rise(key, scale):
    """Though a sum of exponentials near 1 has no digits left for them."""

    @jax.jit
    def measure(scale, key):
        loss = scaled_loss(CONVEX, scale)
        plain = entropy_gap(loss, jnp.zeros(5), GAMMA, key, rank=0, num_samples=200)
        chains = entropy_gap_by_sgld(loss, jnp.zeros(5), GAMMA, key, step_size=0.5, num_steps=400)
        return plain, chains

    truth = np.sum(np.abs(VALUES)) / (2 * GAMMA)
    for value, error in measure(jnp.float32(scale), key):
        value, error = float(value) / scale, float(error) / scale
        assert abs(value - truth) < 4 * error
        assert error < 0.2 * truth


@pytest.mark.parametrize("scale", SCALES)
def test_bounds_of_any_size(scale):
    """Of a loss and a gamma that are both multiplied by s, which changes no gap."""
    gamma, norm = jnp.float32(scale * GAMMA), jnp.float32(3 * scale**0.5)
    top, slope_term = 5 * scale, 9 / GAMMA
    lower, _ = entropy_gap_bounds(jnp.float32(top), jnp.float32(top), gamma, norm)
    np.testing.assert_allclose(lower, (np.log1p(5 / GAMMA) - slope_term) / 2, rtol=1e-5)
    np.testing.assert_allclose(eigenvalue_bound(lower, gamma, norm), top, rtol=1e-4)
    steep, _ = entropy_gap_bounds(jnp.float32(top), jnp.float32(top), gamma, jnp.float32(3 * scale))
    np.testing.assert_allclose(steep, (np.log1p(5 / GAMMA) - scale * slope_term) / 2, rtol=1e-5)
    curvatures, slopes = scale * np.abs(VALUES), scale * SLOPE
    stiff = quadratic_entropy_gap(jnp.float32(curvatures), jnp.float32(slopes), gamma)
    terms = np.log1p(np.abs(VALUES) / GAMMA) - scale * SLOPE**2 / (GAMMA + np.abs(VALUES))
    np.testing.assert_allclose(stiff, np.sum(terms) / 2, rtol=1e-5)


def test_lanczos_from_starts_of_any_size():
    for size in SCALES:
        start = jnp.asarray(size * SLOPE, jnp.float32)
        values = lanczos(lambda v: jnp.asarray(MATRIX, jnp.float32) @ v, start, 5).values
        np.testing.assert_allclose(values, VALUES, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [filter_norms, parameter_sizes])
def test_sizes_of_parameters_of_any_size(size):
    """Of filters, too, that are far smaller than others of the same leaf."""
    weight = np.random.default_rng(0).standard_normal((6, 3))
    units = np.array([1.0, 1e-15, 1e15]) if size is filter_norms else 1.0
    plain = np.sqrt(np.mean(weight**2, axis=0 if size is filter_norms else None))
    for scale in (1e-18, 1.0, 1e20):
        leaf = jnp.asarray(scale * units * weight, jnp.float32)
        expected = np.broadcast_to(scale * units * plain, (6, 3))
        np.testing.assert_allclose(size(leaf), expected, rtol=1e-5)
