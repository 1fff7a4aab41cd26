import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.flatness import filter_normalised_direction, loss_slice, loss_surface


def test_filters_of_a_direction_are_as_large_as_those_of_the_parameters(key):
    generator = np.random.default_rng(0)
    kernel = jnp.asarray(generator.standard_normal((3, 3, 2, 4)), jnp.float32)
    weight = jnp.asarray(generator.standard_normal((8, 5)), jnp.float32)
    params = ((5 * kernel, jnp.ones(4)), (weight, jnp.ones(5)))
    (conv, conv_bias), (linear, bias) = filter_normalised_direction(params, key)
    np.testing.assert_allclose(
        jnp.linalg.norm(conv.reshape(-1, 4), axis=0),
        5 * jnp.linalg.norm(kernel.reshape(-1, 4), axis=0),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        jnp.linalg.norm(linear, axis=0), jnp.linalg.norm(weight, axis=0), rtol=1e-5
    )
    np.testing.assert_array_equal(conv_bias, 0)
    np.testing.assert_array_equal(bias, 0)


def test_slices_along_given_directions():
    def loss(params):
        return params["a"] ** 2 + 3 * params["b"]

    params = {"a": jnp.array(1.0), "b": jnp.array(2.0)}
    first = {"a": jnp.array(1.0), "b": jnp.array(0.0)}
    second = {"a": jnp.array(0.0), "b": jnp.array(-2.0)}
    line = loss_slice(loss, params, (first,), radius=2.0, num_points=5)
    np.testing.assert_allclose(line.coordinates, [-2, -1, 0, 1, 2])
    np.testing.assert_allclose(line.losses, [7, 6, 7, 10, 15])
    plane = loss_slice(loss, params, (first, second), radius=1.0, num_points=3)
    np.testing.assert_allclose(plane.losses, [[12, 6, 0], [13, 7, 1], [16, 10, 4]])


@pytest.mark.parametrize("dimensions", [1, 2])
def test_random_slices_of_a_network(small_network, key, dimensions):
    loss, params, _ = small_network
    surface = loss_surface(loss, params, key, dimensions=dimensions, num_points=5, radius=0.5)
    assert surface.losses.shape == (5,) * dimensions
    np.testing.assert_allclose(surface.losses[(2,) * dimensions], loss(params), rtol=1e-5)
    corner = jax.tree.map(lambda p, *d: p + 0.5 * sum(d), params, *surface.directions)
    np.testing.assert_allclose(surface.losses[(4,) * dimensions], loss(corner), rtol=1e-5)


def test_what_is_asked_for_is_checked(key):
    with pytest.raises(ValueError, match="dimensions must be 1 or 2"):
        loss_surface(jnp.sum, jnp.ones(3), key, dimensions=3)
    with pytest.raises(ValueError, match="1 or 2 directions"):
        loss_slice(jnp.sum, jnp.ones(3), ())
    with pytest.raises(ValueError, match="num_points must be at least 2"):
        loss_surface(jnp.sum, jnp.ones(3), key, num_points=1)
