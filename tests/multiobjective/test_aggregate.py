import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from l2o import multiobjective as mo
from l2o.multiobjective import aggregate, gramian

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture
def jacobian(random_like):
    return random_like({"a": jnp.zeros((3, 2, 2)), "b": jnp.zeros((3, 5))})


def matrix(tree):
    return np.concatenate([np.reshape(leaf, (3, -1)) for leaf in jax.tree.leaves(tree)], axis=1)


def test_gramian_is_of_inner_products(jacobian):
    rows = matrix(jacobian)
    np.testing.assert_allclose(gramian(jacobian), rows @ rows.T, rtol=1e-5)


@pytest.mark.parametrize("tree", [{}, {"a": jnp.ones((2, 3)), "b": jnp.ones((3, 3))}, jnp.ones(())])
def test_says_what_stacked_gradients_are(tree):
    with pytest.raises(ValueError, match="leading axis"):
        gramian(tree)


def test_chains_with_any_optimizer(jacobian):
    params = jax.tree.map(lambda leaf: leaf[0], jacobian)
    optimizer = optax.chain(aggregate(mo.upgrad), optax.sgd(0.1))
    updates, _ = jax.jit(optimizer.update)(jacobian, optimizer.init(params), params)
    rows = matrix(jacobian)
    expected = -0.1 * mo.upgrad(gramian(jacobian)) @ rows
    found = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(updates)])
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert jax.tree.structure(updates) == jax.tree.structure(params)


def test_a_key_gives_every_step_its_own_randomness(jacobian):
    params = jax.tree.map(lambda leaf: leaf[0], jacobian)
    optimizer = aggregate(mo.random_weighting, key=jax.random.key(0))
    first, state = optimizer.update(jacobian, optimizer.init(params))
    second, _ = optimizer.update(jacobian, state)
    again, _ = optimizer.update(jacobian, optimizer.init(params))
    assert jnp.any(first["b"] != second["b"])
    np.testing.assert_array_equal(first["b"], again["b"])


def test_keeps_the_state_of_a_weighting(jacobian):
    params = jax.tree.map(lambda leaf: leaf[0], jacobian)
    with pytest.raises(ValueError, match="num_objectives"):
        aggregate(mo.GradVac())
    optimizer = aggregate(mo.GradVac(), num_objectives=3)
    _, state = optimizer.update(jacobian, optimizer.init(params))
    np.testing.assert_allclose(
        state.weighting, mo.GradVac().update(gramian(jacobian), jnp.zeros((3, 3)))[1]
    )


def test_an_aggregator_of_jacobians(jacobian):
    params = jax.tree.map(lambda leaf: leaf[0], jacobian)
    optimizer = mo.aggregate_jacobian(mo.graddrop, key=jax.random.key(0))
    updates, _ = optimizer.update(jacobian, optimizer.init(params))
    assert jax.tree.structure(updates) == jax.tree.structure(params)
