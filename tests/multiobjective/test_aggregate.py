import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from l2o import multiobjective as mo
from l2o.multiobjective import aggregate, gramian
from l2o.optimizers import sgd

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
    call = r"GradVac has .* num_objectives, as in aggregate\(GradVac\(...\), num_objectives=2\)"
    with pytest.raises(ValueError, match=call):
        aggregate(mo.GradVac())
    with pytest.raises(ValueError, match=call):
        mo.aggregated("mine", mo.GradVac(), sgd)
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


@pytest.fixture
def chain():
    return optax.chain(aggregate(mo.upgrad), optax.sgd(0.1))


@pytest.fixture
def plain(jacobian):
    return jax.tree.map(lambda leaf: leaf[0], jacobian)


def test_masks_and_partitions_around_an_aggregator_are_refused(chain, jacobian, plain):
    """What the mask lets through would be gradients of three objectives for one parameter."""
    masked = optax.masked(chain, {"a": True, "b": False})
    parts = optax.partition({"x": chain, "y": optax.set_to_zero()}, {"a": "x", "b": "y"})
    for wrapped in (masked, parts):
        with pytest.raises(ValueError, match="aggregate first and mask what follows"):
            wrapped.update(jacobian, wrapped.init(plain), plain)


def test_masks_accumulation_and_finiteness_go_after_an_aggregator(jacobian, plain):
    after = (
        optax.masked(optax.sgd(0.1), {"a": True, "b": False}),
        optax.MultiSteps(optax.sgd(0.1), 2).gradient_transformation(),
        optax.apply_if_finite(optax.sgd(0.1), 3),
    )
    for wrapped in after:
        optimizer = optax.chain(aggregate(mo.upgrad), wrapped)
        updates, _ = jax.jit(optimizer.update)(jacobian, optimizer.init(plain), plain)
        shapes = jax.tree.map(jnp.shape, updates)
        assert shapes == jax.tree.map(jnp.shape, plain)


def test_gradients_that_are_not_stacked_are_refused(chain, jacobian, plain):
    state = chain.init(plain)
    # Three numbers in a row pass for the gradients of three objectives.
    with pytest.raises(ValueError, match=r"shape \(3, 3\), got \(3,\)"):
        chain.update(jnp.ones(3), chain.init(jnp.ones(3)), jnp.ones(3))
    with pytest.raises(ValueError, match="structure of the parameters"):
        chain.update({"a": jacobian["a"]}, state, plain)
    drop = mo.aggregate_jacobian(mo.graddrop, key=jax.random.key(0))
    with pytest.raises(ValueError, match=r"shape \(3, 3\), got \(3,\)"):
        drop.update(jnp.ones(3), drop.init(jnp.ones(3)), jnp.ones(3))


def test_numbers_of_objectives_must_agree(jacobian, plain):
    optimizer = aggregate(mo.GradVac(), num_objectives=2)
    with pytest.raises(ValueError, match="gradients are of 3 objectives, num_objectives is 2"):
        optimizer.update(jacobian, optimizer.init(plain), plain)
    optimizer = aggregate(mo.upgrad)
    for value in (jnp.ones(()), jnp.ones(2)):
        with pytest.raises(ValueError, match="one loss for each of the 3 objectives"):
            optimizer.update(jacobian, optimizer.init(plain), plain, value=value)
    with pytest.raises(ValueError, match="num_objectives must be a whole number"):
        aggregate(mo.GradVac(), num_objectives=0)


@pytest.mark.parametrize("make", [aggregate, mo.aggregate_jacobian])
def test_a_weighting_is_an_object_with_randomness_only_where_it_wants_some(make):
    with pytest.raises(ValueError, match=r"not a class: pass GradVac\(\.\.\.\)"):
        make(mo.GradVac)
    with pytest.raises(ValueError, match="upgrad has no randomness: it takes no key"):
        make(mo.upgrad, key=jax.random.key(0))
    with pytest.raises(ValueError, match="draws random numbers: pass key"):
        make(mo.graddrop)
