import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.flatness import (
    entropy_gap,
    expected_sharpness,
    filter_norms,
    parameter_sizes,
    rescaled,
    sharpness,
    spectral_norm,
    trace,
)


def test_sizes_of_leaves_and_of_filters():
    kernel = np.random.default_rng(0).standard_normal((3, 3, 2, 4)).astype(np.float32)
    params = ((jnp.asarray(kernel), jnp.array([1.0, -2.0, 0.0, 3.0])),)
    (sizes, bias_sizes), *_ = parameter_sizes(params)
    np.testing.assert_allclose(sizes, np.full(kernel.shape, np.sqrt(np.mean(kernel**2))), rtol=1e-5)
    np.testing.assert_allclose(bias_sizes, np.full(4, np.sqrt(14 / 4)), rtol=1e-6)
    (norms, bias_norms), *_ = filter_norms(params)
    for unit in range(4):
        expected = np.linalg.norm(kernel[..., unit]) / np.sqrt(18)
        np.testing.assert_allclose(norms[..., unit], np.full((3, 3, 2), expected), rtol=1e-5)
    np.testing.assert_allclose(bias_norms, [1, 2, 0, 3])


def test_the_loss_of_relative_deviations():
    params = {"a": jnp.array([1.0, 2.0]), "b": jnp.array(3.0)}
    loss, zero = rescaled(
        lambda p: jnp.sum(p["a"]) * p["b"],
        params,
        {"a": jnp.array([2.0, 4.0]), "b": jnp.array(1.0)},
    )
    assert loss(zero) == 9
    assert loss({"a": jnp.array([1.0, 0.5]), "b": jnp.array(-1.0)}) == (3 + 4) * 2


def relu_network(factor):
    """A network whose layers are multiplied by `factor` and its inverse: always the same one."""
    generator = np.random.default_rng(1)

    def normal(*shape):
        return jnp.asarray(generator.standard_normal(shape), jnp.float32)

    inputs, targets = normal(15, 4), normal(15, 2)
    params = (
        (factor * normal(4, 6), factor * normal(6)),
        (normal(6, 2) / factor, normal(2)),
    )

    def loss(params):
        (weight, bias), (output, shift) = params
        hidden = jax.nn.relu(inputs @ weight + bias)
        return jnp.mean((hidden @ output + shift - targets) ** 2)

    return loss, params


@pytest.mark.parametrize("size", [filter_norms, parameter_sizes])
def test_measures_without_units_do_not_see_how_layers_are_scaled(key, size):
    def relative(factor):
        loss, params = relu_network(factor)
        loss, zero = rescaled(loss, params, size(params))
        return jnp.stack(
            [
                spectral_norm(loss, zero, key, num_products=20),
                trace(loss, zero, key, num_probes=8).value,
                sharpness(loss, zero, radius=0.1, num_steps=2),
                expected_sharpness(loss, zero, key, sigma=0.1, num_samples=8).value,
                entropy_gap(loss, zero, 100.0, key, num_samples=8, rank=5).value,
            ]
        )

    plain, other = jax.jit(jax.vmap(relative))(jnp.array([1.0, 8.0]))
    assert jnp.all(plain > 0)
    np.testing.assert_allclose(other, plain, rtol=1e-2)


def test_measures_with_units_do(key):
    def norm(factor):
        return spectral_norm(*relu_network(factor), key, num_products=20)

    plain, other = jax.jit(jax.vmap(norm))(jnp.array([1.0, 8.0]))
    assert other > 3 * plain
