"""Parameters among integers and functions, and parameters of half precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.flatness import (
    curvature,
    entropy_gap,
    entropy_gap_by_sgld,
    expected_sharpness,
    filter_normalised_direction,
    filter_norms,
    hessian_product,
    loss_surface,
    parameter_sizes,
    power_iteration,
    rescaled,
    sgld_mean,
    sharpness,
    spectral_density,
    spectral_norm,
    top_eigenvalue,
    trace,
)

GENERATOR = np.random.default_rng(5)
WEIGHT = jnp.asarray(GENERATOR.standard_normal((3, 2)), jnp.float32)
BIAS = jnp.asarray(GENERATOR.standard_normal(2), jnp.float32)
INPUTS = jnp.asarray(GENERATOR.standard_normal((8, 3)), jnp.float32)
PERMUTATION = jnp.array([2, 0, 1])


def plain_loss(params):
    hidden = jnp.tanh(INPUTS[:, PERMUTATION] @ params["weight"] + params["bias"])
    return jnp.sum((hidden - 0.3) ** 2)


def general_loss(params):
    """The same, which fails or comes out otherwise if a leaf that is no parameter is touched."""
    hidden = params["activation"](INPUTS[:, params["order"]] @ params["weight"] + params["bias"])
    return jnp.sum((hidden - 0.3) ** params["power"]) + jnp.where(params["is_on"], 0, jnp.nan)


PLAIN = {"weight": WEIGHT, "bias": BIAS}
OTHERS = {
    "activation": jnp.tanh,
    "order": PERMUTATION,
    "power": jnp.array(2, jnp.int8),
    "is_on": jnp.array(True),
    "name": "a string",
    "none": None,
}


def scalars(loss, params, key):
    """All measures that are numbers."""
    relative = rescaled(loss, params, filter_norms(params))
    return {
        "norm": spectral_norm(loss, params, key),
        "top": top_eigenvalue(loss, params, key),
        "power": power_iteration(loss, params, key)[0],
        "along it": curvature(loss, params, power_iteration(loss, params, key)[1]),
        "trace": trace(loss, params, key, num_probes=4),
        "moment": spectral_density(loss, params, key, num_probes=2, num_products=4).moment(2),
        "sharpness": sharpness(loss, params, radius=0.3),
        "expected": expected_sharpness(loss, params, key, sigma=0.3, num_samples=4),
        "gap": entropy_gap(loss, params, 4.0, key, rank=3, num_samples=4),
        "by chains": entropy_gap_by_sgld(
            loss, params, 4.0, key, step_size=0.05, num_steps=4, num_chains=2, num_temperatures=2
        ),
        "relative": trace(*relative, key, num_probes=4),
        "relative gap": entropy_gap(*relative, 4.0, key, rank=2, num_samples=4),
        "surface": loss_surface(loss, params, key, dimensions=1, num_points=3).losses,
    }


@pytest.fixture(scope="module")
def plain():
    measured = jax.jit(lambda params, key: scalars(plain_loss, params, key))
    return measured(PLAIN, jax.random.key(0))


def test_leaves_that_are_no_parameters_stay_as_they_are(plain, key, assert_trees_close):
    measured = jax.jit(lambda params, key: scalars(general_loss, OTHERS | params, key))
    assert_trees_close(measured(PLAIN, key), plain, rtol=1e-4, atol=1e-6)


def parts(tree):
    """The parameters of a tree, after a look at all that is none."""
    assert tree["activation"] is jnp.tanh
    assert tree["name"] == "a string"
    for name in ("order", "power", "is_on"):
        assert tree[name].dtype == OTHERS[name].dtype
        np.testing.assert_array_equal(tree[name], jnp.zeros_like(OTHERS[name]))
    return {name: tree[name] for name in PLAIN}


def test_directions_along_leaves_that_are_no_parameters_are_zero(key, assert_trees_close):
    params = OTHERS | PLAIN
    for function in (filter_norms, parameter_sizes, lambda p: filter_normalised_direction(p, key)):
        assert_trees_close(parts(function(params)), function(PLAIN), rtol=1e-6)
    _, zero = rescaled(general_loss, params, filter_norms(params))
    assert_trees_close(parts(zero), jax.tree.map(jnp.zeros_like, PLAIN), rtol=0)
    _, vector = power_iteration(general_loss, params, key, num_iterations=3)
    expected = power_iteration(plain_loss, PLAIN, key, num_iterations=3)[1]
    assert_trees_close(parts(vector), expected, rtol=1e-4, atol=1e-6)
    product = hessian_product(general_loss, params)(vector)
    expected = hessian_product(plain_loss, PLAIN)(expected)
    assert_trees_close(parts(product), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("filtered", [True, False])
def test_langevin_dynamics_moves_parameters_alone(key, assert_trees_close, filtered):
    """Gradients may have anything where there is no parameter."""

    def gradient(params, key):
        moving = {name: params[name] for name in PLAIN}
        rest = {name: params.get(name) for name in OTHERS}
        slopes = jax.grad(lambda moving: general_loss(rest | moving))(moving)
        return slopes | {name: None if filtered else leaf for name, leaf in rest.items()}

    def plain_gradient(params, key):
        return jax.grad(plain_loss)(params)

    mean = sgld_mean(gradient, OTHERS | PLAIN, 1.0, 0.1, 3, 0.1, 0.5, key)
    assert all(mean[name] is OTHERS[name] for name in OTHERS)
    expected = sgld_mean(plain_gradient, PLAIN, 1.0, 0.1, 3, 0.1, 0.5, key)
    assert_trees_close({name: mean[name] for name in PLAIN}, expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_is_measured_in_single_precision(key, assert_trees_close, dtype):
    half = jax.tree.map(lambda leaf: leaf.astype(dtype), PLAIN)
    single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), half)
    measured = jax.jit(lambda params, key: scalars(plain_loss, params, key))
    # Where scales, directions and v are of half precision themselves, so is the measure.
    rounded = ("along it", "relative", "relative gap", "surface")
    ours, truth = measured(half, key), measured(single, key)
    for name in truth:
        tolerance = 3e-2 if name in rounded else 1e-5
        assert_trees_close(ours[name], truth[name], rtol=tolerance, atol=tolerance * 1e-1)
    vector, unravel = jax.flatten_util.ravel_pytree(single)
    dense = jax.hessian(lambda vector: plain_loss(unravel(vector)))(vector)
    np.testing.assert_allclose(ours["top"], np.linalg.eigvalsh(dense)[-1], rtol=1e-4)
    for tree in (
        power_iteration(plain_loss, half, key)[1],
        filter_norms(half),
        filter_normalised_direction(half, key),
        sgld_mean(lambda p, k: jax.grad(plain_loss)(p), half, 1.0, 0.1, 3, 0.1, 0.5, key),
    ):
        assert all(leaf.dtype == dtype for leaf in jax.tree.leaves(tree))


def test_large_filters_of_half_precision(key):
    """Whose squares are no numbers of half precision."""
    weight = jnp.full((4, 2), 3000, jnp.float16)
    np.testing.assert_array_equal(filter_norms(weight), weight)


@pytest.mark.parametrize(
    "measure", [spectral_norm, trace, expected_sharpness, power_iteration, loss_surface]
)
def test_complex_parameters_are_refused(key, measure):
    with pytest.raises(ValueError, match=r"must be real numbers, got an array of complex64"):
        measure(lambda p: jnp.sum(jnp.abs(p)), jnp.ones(2, jnp.complex64), key)


def test_integers_alone_are_no_parameters(key):
    with pytest.raises(ValueError, match="at least one parameter"):
        expected_sharpness(lambda p: 1.0 * jnp.sum(p), jnp.arange(3), key)
