"""Objectives without labels, with losses that cannot be judged, or that are not finite."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conflicting_gradients import draw

from l2o import multiobjective as mo

pytestmark = pytest.mark.usefixtures("quick_compilation")

M, D, ABSENT = 4, 7, 2
OTHERS = [0, 1, 3]
STEPS = 6
STATEFUL = {
    "InitialLoss": mo.InitialLoss(),
    "GradNorm": mo.GradNorm(optax.adam(0.1)),
    "FAMO": mo.FAMO(learning_rate=0.1),
    "UncertaintyWeighting": mo.UncertaintyWeighting(optax.adam(0.1)),
    "IMTLL": mo.IMTLL(optax.adam(0.1)),
    "DWA": mo.DWA(),
    "MoDo": mo.MoDo(),
    "SDMGrad": mo.SDMGrad(learning_rate=0.3),
    "CRMOGM": mo.CRMOGM(mo.mgda),
    "GradVac": mo.GradVac(),
    "PCD": mo.PCD(),
}
TRANSFORMATIONS = {"moco": mo.moco, "db_mtl": mo.db_mtl, "excess_mtl": mo.excess_mtl}
JUDGES_LOSSES = ("GradNorm", "FAMO", "UncertaintyWeighting", "IMTLL", "DWA", "db_mtl")
ON_SIMPLEX = ("MoDo", "SDMGrad", "moco")
WITHOUT_GRADIENTS = ("InitialLoss", "FAMO", "UncertaintyWeighting", "IMTLL", "DWA")
NAMES = [*STATEFUL, *TRANSFORMATIONS]


def optimizer_of(name, m):
    if name in TRANSFORMATIONS:
        return TRANSFORMATIONS[name](m)
    return mo.aggregate(STATEFUL[name], num_objectives=m)


def problem():
    jacobians = draw(0, STEPS, M, D, conflict=0.5, decades=1.0)
    losses = np.random.default_rng(1).uniform(0.5, 2.0, (STEPS, M))
    return jacobians, losses


def run(name, jacobians, losses):
    optimizer = optimizer_of(name, jacobians.shape[1])
    update = jax.jit(lambda g, state, value: optimizer.update(g, state, value=value))
    state, updates, states = optimizer.init(jnp.zeros(D)), [], []
    for jacobian, values in zip(jacobians, losses, strict=True):
        step = jnp.asarray(jacobian, jnp.float32), state, jnp.asarray(values, jnp.float32)
        new, state = update(*step)
        updates.append(np.asarray(new))
        states.append(state)
    return updates, states


@pytest.mark.parametrize("name", NAMES)
def test_an_absent_objective_is_left_out_and_spoils_nothing(name):
    jacobians, losses = problem()
    kinds = ["NaN loss and gradient", "no labels", "infinite gradient"]
    if name in JUDGES_LOSSES:
        kinds.append("negative loss")
    if name in WITHOUT_GRADIENTS:
        kinds.remove("infinite gradient")
    for kind in kinds:
        spoiled, values = jacobians.copy(), losses.copy()
        at, gradient, loss = {
            "NaN loss and gradient": (2, np.nan, np.nan),
            "no labels": (3, 0.0, 0.0),
            "infinite gradient": (2, np.inf, 1.0),
            "negative loss": (3, 1.0, -1.0),
        }[kind]
        spoiled[at, ABSENT], values[at, ABSENT] = gradient, loss
        updates, states = run(name, spoiled, values)
        for update in updates:
            assert np.isfinite(update).all(), kind
        # What is remembered of it stays as it was.
        before, after = states[at - 1], states[at]
        for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
            if old.shape[:1] == (M,):
                np.testing.assert_array_equal(new[ABSENT], old[ABSENT], err_msg=kind)
            if old.shape == (M, M):
                np.testing.assert_array_equal(new[:, ABSENT], old[:, ABSENT], err_msg=kind)
            if old.shape == (M,) and name in ON_SIMPLEX:
                assert jnp.sum(new) == pytest.approx(1.0, rel=1e-5)
            assert jnp.isfinite(new).all() or name in ("InitialLoss", "DWA"), kind


@pytest.mark.parametrize("name", NAMES)
def test_the_others_are_weighted_as_if_it_did_not_exist(name):
    """Absent from the first step on, it changes nothing but a constant factor."""
    jacobians, losses = problem()
    spoiled, values = jacobians.copy(), losses.copy()
    spoiled[:, ABSENT], values[:, ABSENT] = np.nan, np.nan
    with_it, _ = run(name, spoiled, values)
    without, _ = run(name, jacobians[:, OTHERS], losses[:, OTHERS])
    for one, other in zip(with_it, without, strict=True):
        factor = one @ other / (other @ other)
        np.testing.assert_allclose(one, factor * other, rtol=1e-3, atol=1e-4 * np.abs(one).max())
        assert 0.7 <= factor <= 1.0 + 1e-4


def test_nobody_is_present():
    for name in NAMES:
        updates, states = run(name, np.full((1, M, D), np.nan), np.full((1, M), np.nan))
        np.testing.assert_array_equal(updates[0], 0.0, err_msg=name)
        start = optimizer_of(name, M).init(jnp.zeros(D))
        for old, new in zip(
            jax.tree.leaves(start)[name not in TRANSFORMATIONS :],
            jax.tree.leaves(states[0])[name not in TRANSFORMATIONS :],
            strict=True,
        ):
            np.testing.assert_array_equal(new, old, err_msg=name)


def test_weights_begin_where_an_objective_begins():
    update = eqx.filter_jit(mo.InitialLoss().update)
    state = mo.InitialLoss().init(2)
    weights, state = update(jnp.eye(2), state, losses=jnp.array([2.0, 0.0]))
    np.testing.assert_allclose(weights, [0.25, 0.0])
    weights, state = update(jnp.eye(2), state, losses=jnp.array([1.0, 5.0]))
    np.testing.assert_allclose(weights, [0.25, 0.1])
    weights, state = update(jnp.eye(2), state, losses=jnp.array([jnp.nan, 1.0]))
    np.testing.assert_allclose(weights, [0.0, 0.1])
    np.testing.assert_allclose(state, [2.0, 5.0])


STATELESS = {
    "upgrad": mo.upgrad,
    "dualproj": mo.dualproj,
    "cagrad": mo.cagrad,
    "imtl_g": mo.imtl_g,
    "nash_mtl": mo.nash_mtl,
    "fairgrad": mo.fairgrad,
    "aligned_mtl": mo.aligned_mtl,
    "config": mo.config,
    "pcgrad": mo.pcgrad,
    "gradvac": mo.gradvac,
    "mean": mo.mean,
}


@pytest.mark.parametrize("name", STATELESS)
def test_a_gradient_of_zero_leaves_the_others_to_themselves(name):
    jacobian = draw(0, 1, M, D, conflict=0.5, decades=1.0)[0]
    jacobian[ABSENT] = 0.0
    weighting = STATELESS[name]
    with_it = np.asarray(weighting(mo.gramian(jnp.asarray(jacobian, jnp.float32))))
    without = np.asarray(weighting(mo.gramian(jnp.asarray(jacobian[OTHERS], jnp.float32))))
    one, other = with_it[OTHERS] @ jacobian[OTHERS], without @ jacobian[OTHERS]
    factor = one @ other / (other @ other)
    np.testing.assert_allclose(one, factor * other, rtol=1e-4, atol=1e-5 * np.abs(one).max())
    assert 0.7 <= factor <= 1.0 + 1e-5


def test_mgda_stands_still_and_the_docs_way_around_it():
    jacobian = jnp.asarray(draw(0, 1, M, D)[0], jnp.float32).at[ABSENT].set(0.0)
    np.testing.assert_allclose(mo.mgda(mo.gramian(jacobian)), np.eye(M)[ABSENT], atol=1e-6)
    weights = jax.jit(mo.mgda_of_present)(mo.gramian(jacobian))
    expected = mo.mgda(mo.gramian(jacobian[np.array(OTHERS)]))
    np.testing.assert_allclose(weights[np.array(OTHERS)], expected, atol=1e-5)
    assert weights[ABSENT] == 0.0
