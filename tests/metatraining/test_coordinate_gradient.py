import importlib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.metatraining import coordinate_gradient
from l2o.optimizers import DM, GRU, RNNProp

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(5)
COUNT = 150


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 64 coordinates, as there would be for large networks."""
    module = importlib.import_module("l2o.metatraining._coordinate_gradient")
    monkeypatch.setitem(module._RECORD_BYTES, "cpu", 1)


MAKERS = {
    "dm": lambda: DM(3, key=KEY),
    "rnnprop": lambda: RNNProp(3, key=KEY),
    "gru": lambda: GRU(3, key=KEY),
    "gru, log": lambda: GRU(3, "log", 0.5, 2.0, key=KEY),
}


@eqx.filter_jit
def both_derivatives(optimizer, state, step, fresh, gradients, cotangents):
    """Block by block, and through all steps and coordinates at once."""

    def product(optimizer):
        network = jax.tree.map(
            lambda own, given: jnp.where(fresh, own, given),
            optimizer.network.init_state(gradients.shape[1]),
            state.network,
        )

        def one_step(carry, gradient):
            state, step = carry
            update, state = optimizer.step(gradient, state, step)
            return (state, step + 1), update

        start = eqx.tree_at(lambda state: state.network, state, network)
        _, updates = jax.lax.scan(one_step, (start, step), gradients)
        return jnp.sum(cotangents * updates)

    by_blocks = coordinate_gradient(optimizer, state, step, fresh, gradients, cotangents)
    return by_blocks, eqx.filter_grad(product)(optimizer)


def check(maker, num_steps, dtype, tolerance, random_like):
    optimizer = random_like(eqx.filter_eval_shape(maker), scale=0.5)
    generator = np.random.default_rng(0)
    gradients, cotangents = generator.standard_normal((2, num_steps, COUNT)).astype(dtype)
    gradients[:, 0] = 0
    begun = optimizer.init_coordinates(COUNT)
    carried = jax.tree.map(
        lambda leaf: jnp.asarray(generator.uniform(0.1, 1, leaf.shape), dtype), begun
    )
    for state, step, fresh in ((begun, 0, True), (carried, 17, False)):
        by_blocks, at_once = both_derivatives(
            optimizer, state, jnp.asarray(step), jnp.asarray(fresh), gradients, cotangents
        )
        assert jax.tree.structure(by_blocks) == jax.tree.structure(optimizer)
        for one, other in zip(jax.tree.leaves(by_blocks), jax.tree.leaves(at_once), strict=True):
            assert one.dtype == dtype
            assert np.linalg.norm(one - other) <= tolerance * np.linalg.norm(other)
        if "GRU" in type(optimizer).__name__:
            # Only what begins afresh depends on the initial state.
            assert np.any(by_blocks.network.layers[0].initial_state) == fresh


# 60 steps are three segments; 150 coordinates are three blocks, the last of them not full.
@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.usefixtures("small_blocks", "x64")
def test_in_blocks_and_segments(name, random_like):
    check(MAKERS[name], 60, np.float64, 1e-9, random_like)


# The only divisor of a prime number of steps is one.
@pytest.mark.parametrize("num_steps", [10, 29])
def test_in_single_precision(num_steps, random_like):
    check(MAKERS["rnnprop"], num_steps, np.float32, 1e-5, random_like)


@pytest.mark.usefixtures("small_blocks", "x64")
@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(
    ("weights", "params"), [("float32", "float32"), ("float32", "float64"), ("float64", "float32")]
)
def test_weights_and_parameters_may_differ_in_precision(name, weights, params):
    """The gradient has the precision of the weights; nothing is compiled."""
    optimizer = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, weights), eqx.filter_eval_shape(MAKERS[name])
    )
    params = jax.ShapeDtypeStruct((COUNT,), params)
    state = eqx.filter_eval_shape(
        lambda optimizer, params: optimizer.init(params), optimizer, params
    )
    steps = jax.ShapeDtypeStruct((60, COUNT), params.dtype)
    gradient = eqx.filter_eval_shape(
        coordinate_gradient,
        optimizer,
        state.coordinates,
        state.step,
        jax.ShapeDtypeStruct((), bool),
        steps,
        steps,
    )
    assert jax.tree.leaves(gradient) == jax.tree.leaves(optimizer)
