"""States that are replayed, against those of the inner loop itself."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import l2o
from l2o import tasks
from l2o.inner_loop import unroll
from l2o.mechanisms import (
    coordinate_dynamics,
    dynamics_among_others,
    principal_components,
    visited_states,
)
from l2o.mechanisms.precision import double_precision

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)


@pytest.mark.parametrize("make", [l2o.optimizers.DM, lambda key: l2o.optimizers.GRU(4, key=key)])
def test_visited_states_are_those_of_the_inner_loop(make, random_like):
    """Also pairs of LSTM states, and also updates themselves."""
    optimizer = random_like(make(key=KEY), scale=0.3)
    task = tasks.QuadraticFamily(3).sample(KEY)
    run = unroll(
        optimizer,
        task,
        KEY,
        6,
        probe=lambda step: (step.grads, step.updates, step.opt_state.coordinates),
    )
    grads, updates, states = run.probes
    record = l2o.mechanisms.GradientRecord(
        np.asarray(grads, float), np.asarray(updates, float), np.zeros(3, int)
    )
    visited = visited_states(coordinate_dynamics(optimizer), record)
    # Parameters lie on the last axis of every leaf.
    leaves = [np.asarray(leaf).reshape(6, -1, 3).swapaxes(1, 2) for leaf in jax.tree.leaves(states)]
    np.testing.assert_allclose(visited, np.concatenate(leaves, axis=2), rtol=1e-4, atol=1e-6)


def test_principal_components_are_singular_vectors():
    states = np.random.default_rng(0).standard_normal((40, 5)) @ np.diag([3.0, 2.0, 1.0, 0.5, 0.1])
    states[7, 2] = np.nan
    found = principal_components(states)
    centred = np.delete(states, 7, axis=0)
    centred = centred - centred.mean(0)
    _, sizes, directions = np.linalg.svd(centred)
    np.testing.assert_allclose(found.variance_explained, sizes**2 / np.sum(sizes**2), rtol=1e-9)
    np.testing.assert_allclose(np.abs(np.sum(found.directions * directions, axis=1)), 1, rtol=1e-9)
    np.testing.assert_allclose(
        np.abs(found.project(states[0])), np.abs(directions[:2] @ (states[0] - found.mean)), 1e-9
    )


def test_a_parameter_among_others_has_the_rest_held():
    """A clip of the norm of all gradients, of which all but one are held at (3, 4)."""
    optimizer = l2o.from_optax(
        optax.chain(optax.clip_by_global_norm(1.0), optax.trace(0.5), optax.scale(-0.1))
    )
    params, grads = jnp.zeros(3), jnp.array([3.0, 4.0, 7.0])
    opt_state = optimizer.init(params)

    def own(where):
        return dynamics_among_others(optimizer, params, opt_state, grads, where=where, index=2)

    dynamics = own(jax.tree.leaves)
    with double_precision():
        update, following = dynamics(jnp.array([2.0]), jnp.asarray(12.0))
    np.testing.assert_allclose(following, [0.5 * 2.0 + 12.0 / 13.0], rtol=1e-9)
    np.testing.assert_allclose(update, -0.1 * (1.0 + 12.0 / 13.0), rtol=1e-9)
    with pytest.raises(ValueError, match="last axis has 3 entries, one for each parameter"):
        own(lambda state: [leaf[:2] for leaf in jax.tree.leaves(state)])


def test_a_coordinate_of_a_hierarchy_is_looked_at_with_its_tensors_state_held(random_like):
    """One step of it among the others is a step of the whole optimizer."""
    optimizer = random_like(l2o.optimizers.Hierarchical(3, 4, 5, key=KEY), scale=0.2)
    params = {"a": jnp.zeros((2, 2)), "b": jnp.zeros(3)}
    grads = random_like(params, seed=1)
    opt_state = optimizer.init(params)
    for _ in range(2):
        updates, opt_state_after = optimizer.update(grads, opt_state, params)
        before, opt_state = opt_state, opt_state_after
    dynamics = dynamics_among_others(
        optimizer,
        params,
        before,
        grads,
        where=lambda state: [state.coordinate_states],
        index=5,
    )
    with double_precision():
        update, following = dynamics(dynamics.initial_state, grads["b"][1].astype(float))
    np.testing.assert_allclose(update, updates["b"][1], rtol=1e-4)
    np.testing.assert_allclose(following, opt_state.coordinate_states[:, 5], rtol=1e-4)
