"""Gradients of a task in another form than stacked, in the inner loop."""

from dataclasses import replace
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import l2o
from l2o import multiobjective as mo
from l2o.gradients import stacked_at_trunk
from l2o.optimizers import DM, per_task
from l2o.tasks import (
    MLP,
    MultiTaskNetwork,
    Reparameterized,
    TaskBatch,
    multi_task_mlp_family,
)
from l2o.tasks.datasets import digit_attributes, read_images

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)
NUM_STEPS = 2
FORMS = {
    "stacked": mo.StackedGradients,
    "linearized": mo.LinearizedGradients,
    "trunk-split": mo.TrunkSplitGradients,
}
FEW = ["linearized", "trunk-split"]


@cache
def family(form="automatic"):
    data = digit_attributes(read_images("digits"), missing=0.75)
    return multi_task_mlp_family(data, (8,), batch_size=16, gradient_form=form)


@cache
def task(form):
    return family(form).sample(KEY)


@pytest.mark.parametrize("form", FORMS)
def test_a_network_gives_the_form_that_is_asked_for_and_the_same_numbers(form):
    params, batch = task(form).init(KEY), task(form).sample(KEY)
    gradients = task(form).gradients(params, batch)
    assert isinstance(gradients, FORMS[form])
    # The truth: the Jacobian and its products, dense and in double precision.
    with jax.enable_x64(True):
        double = [
            jax.tree.map(
                lambda leaf: (
                    jnp.asarray(np.asarray(leaf), jnp.float64)
                    if jnp.issubdtype(leaf.dtype, jnp.floating)
                    else jnp.asarray(np.asarray(leaf))
                ),
                tree,
            )
            for tree in (params, batch)
        ]
        losses, jacobian = MultiTaskNetwork.losses, jax.jacrev(MultiTaskNetwork.losses, argnums=1)
        expected = losses(task(form), *double)
        rows = [leaf.reshape(3, -1) for leaf in jax.tree.leaves(jacobian(task(form), *double))]
        dense = np.concatenate(rows, axis=1)
    weights = np.array([0.5, 0.0, 2.0])
    np.testing.assert_allclose(gradients.losses, expected, rtol=1e-5)
    scales = np.sqrt(np.diag(dense @ dense.T))
    np.testing.assert_allclose(
        gradients.gramian().matrix / np.outer(scales, scales),
        dense @ dense.T / np.outer(scales, scales),
        atol=2e-6,
    )

    def flat(tree, leading=()):
        leaves = [np.asarray(leaf).reshape(*leading, -1) for leaf in jax.tree.leaves(tree)]
        return np.concatenate(leaves, axis=-1)

    combined = flat(gradients.combine(jnp.asarray(weights, jnp.float32)))
    np.testing.assert_allclose(combined, weights @ dense, atol=2e-6 * scales.max())
    np.testing.assert_allclose(flat(gradients.stack(), (3,)), dense, atol=2e-6 * scales.max())


def test_what_has_no_weight_is_left_out_even_if_it_is_not_finite():
    network = task("trunk-split")
    params, batch = network.init(KEY), network.sample(KEY)
    inputs, values = batch
    unknown = (inputs, (*values[:1], jnp.full_like(values[1], jnp.inf), *values[2:]))
    weights = jnp.array([1.0, 0.0, 1.0])
    combined = network.gradients(params, unknown).combine(weights)
    expected = network.gradients(params, batch).combine(weights)
    for leaf, wanted in zip(jax.tree.leaves(combined), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(leaf, wanted, rtol=1e-6)


def test_gradients_are_stacked_as_long_as_that_takes_little(monkeypatch):
    small = task("automatic")
    params, batch = small.init(KEY), small.sample(KEY)
    assert isinstance(small.gradients(params, batch), mo.StackedGradients)
    _, handed_over = small.value_and_grad(params, batch)
    assert jax.tree.structure(handed_over) == jax.tree.structure(params)
    wide = replace(small, trunk=MLP((64, 20_000, 8)))
    params = jax.eval_shape(wide.init, KEY)
    gradients = jax.eval_shape(wide.gradients, params, batch)
    assert isinstance(gradients, mo.TrunkSplitGradients)


@pytest.mark.usefixtures("unchecked_annotations")
@pytest.mark.parametrize("differentiate", [mo.trunk_split, stacked_at_trunk])
def test_what_is_no_network_with_heads_is_refused(differentiate):
    def refused(trunk, heads, loss=lambda index, head, z: head * z):
        with pytest.raises(ValueError, match=r"floating-point"):
            differentiate(lambda trunk: trunk, loss, l2o.tasks.TrunkAndHeads(trunk, heads))

    refused(jnp.ones(()), ())
    refused(jnp.ones((), int), (jnp.ones(()),))
    refused(jnp.ones(2), (jnp.ones(2),))


def test_gradients_with_respect_to_no_number():
    losses = mo.gradients(lambda x: jnp.stack([jnp.sum(x), 1.0]), jnp.zeros(0)).losses
    np.testing.assert_array_equal(losses, [0.0, 1.0])


@pytest.mark.usefixtures("unchecked_annotations")
def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match=r"gradient_form.*trunk-split"):
        family("trunk split")


OPTIMIZERS = {
    "upgrad": lambda: mo.aggregate(mo.upgrad),
    "famo": lambda: mo.aggregate(mo.FAMO(), num_objectives=3),
    "graddrop": lambda: mo.aggregate_jacobian(mo.graddrop, key=KEY),
    "moco": lambda: mo.moco(3),
    "db-mtl": lambda: mo.db_mtl(3),
    "excess-mtl": lambda: mo.excess_mtl(3),
    "guard": lambda: mo.guard(optax.chain(mo.aggregate(mo.mgda), optax.sgd(0.1))),
    "ml2o": lambda: mo.ML2O(3, 4, key=KEY),
    "plain ml2o": lambda: mo.PlainML2O(3, 4, key=KEY),
}


@cache
def course(name, form):
    """The losses of two networks at once, and the last parameters."""
    made = OPTIMIZERS[name]()
    if not isinstance(made, l2o.LearnedOptimizer):
        made = l2o.from_optax(optax.chain(made, optax.sgd(0.1)))
    tasks = TaskBatch.draw(family(form), KEY, 2)
    trajectory = eqx.filter_jit(l2o.unroll)(per_task(made), tasks, KEY, NUM_STEPS)
    return trajectory.losses, trajectory.state.params


@pytest.mark.parametrize(
    ("name", "form"),
    [*((name, "trunk-split") for name in OPTIMIZERS), ("upgrad", "linearized")],
)
def test_every_optimizer_takes_every_form(name, form, assert_trees_close):
    assert_trees_close(course(name, form), course(name, "stacked"), rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("form", FEW)
def test_parameters_in_other_units(form, random_like, assert_trees_close):
    params, batch = task(form).init(KEY), task(form).sample(KEY)
    scale = random_like(params)
    losses, gradients = Reparameterized(task(form), scale).value_and_grad(params, batch)
    expected = Reparameterized(task("stacked"), scale).value_and_grad(params, batch)
    assert_trees_close((losses, gradients.stack()), expected, rtol=1e-4, atol=1e-6)
    assert_trees_close(gradients.gramian().matrix, mo.gramian(expected[1]).matrix, rtol=1e-4)


def test_memory_does_not_grow_by_a_gradient_for_every_loss():
    data = digit_attributes(read_images("digits"))

    def gradients_in_memory(form, m):
        repeated = eqx.tree_at(
            lambda data: (data.values, data.targets),
            data,
            ({split: v[:1] * m for split, v in data.values.items()}, data.targets[:1] * m),
        )
        heads = (MLP((16, 10)),) * m
        network = MultiTaskNetwork(repeated, MLP((64, 512, 16)), heads, 4, gradient_form=form)
        optimizer = l2o.from_optax(optax.chain(mo.aggregate(jnp.diagonal), optax.sgd(0.1)))
        compiled = jax.jit(lambda: l2o.unroll(optimizer, network, KEY, 1).losses).lower().compile()
        return compiled.memory_analysis().temp_size_in_bytes / (4 * 512 * (64 + 16))

    def growth(form):
        return gradients_in_memory(form, 12) - gradients_in_memory(form, 4)

    assert growth("stacked") >= 8
    assert growth("trunk-split") < 1


@pytest.mark.parametrize("form", FEW)
def test_an_optimizer_for_one_gradient_says_what_it_needs(form):
    with pytest.raises(ValueError, match="aggregate"):
        l2o.unroll(l2o.from_optax(optax.adam(0.1)), task(form), KEY, 1)
    with pytest.raises(ValueError, match="aggregate"):
        l2o.unroll(DM(4, key=KEY), task(form), KEY, 1)
