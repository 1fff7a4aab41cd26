"""Learned optimizers as Optax transformations, and Optax transformations as optimizers."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from l2o.optimizers import DM, GRU, Hierarchical, PerTask, RNNProp, as_optax, from_optax

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)
PARAMS = {
    "matrix": jnp.ones((2, 3)),
    "scalar": jnp.asarray(2.0),
    "empty": jnp.zeros((0, 4)),
    "half": jnp.ones(4, jnp.bfloat16),
    "nothing": None,
}


def gradients(seed, scale=1.0, like=PARAMS):
    generator = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: jnp.asarray(scale * generator.standard_normal(leaf.shape), leaf.dtype), like
    )


@pytest.fixture(scope="module", params=["dm", "rnnprop", "gru", "hierarchical"])
def optimizer(request, random_like):
    return random_like(
        {
            "dm": lambda: DM(3, key=KEY),
            "rnnprop": lambda: RNNProp(3, key=KEY),
            "gru": lambda: GRU(3, key=KEY),
            "hierarchical": lambda: Hierarchical(3, 4, 5, key=KEY),
        }[request.param]()
    )


@partial(jax.jit, static_argnums=0)
def first_state(transformation, params):
    return transformation.init(params)


@partial(jax.jit, static_argnums=0)
def one_step(transformation, params, state, grads, extra):
    updates, state = transformation.update(grads, state, params, **extra)
    return updates, optax.apply_updates(params, updates), state


def run(transformation, steps, params=PARAMS, **extra):
    """The updates of every step, as a user's own training loop would make them."""
    state = first_state(transformation, params)
    all_updates = []
    for grads in steps:
        updates, params, state = one_step(transformation, params, state, grads, extra)
        all_updates.append(updates)
    return all_updates, params


@pytest.fixture(scope="module")
def plain(optimizer):
    """The updates of the optimizer by itself."""
    return run(as_optax(optimizer), [gradients(seed) for seed in range(4)])[0]


def test_updates_have_the_parameters_shapes_and_types(plain):
    for updates in plain:
        assert jax.tree.structure(updates) == jax.tree.structure(PARAMS)
        for update, param in zip(jax.tree.leaves(updates), jax.tree.leaves(PARAMS), strict=True):
            assert (update.shape, update.dtype) == (param.shape, param.dtype)
            assert np.all(np.asarray(update, np.float32))


def test_neither_parameters_nor_extra_arguments_are_needed(optimizer, plain):
    transformation = as_optax(optimizer)
    assert isinstance(transformation, optax.GradientTransformationExtraArgs)
    state = transformation.init(PARAMS)
    updates, state = transformation.update(gradients(0), state)
    same(updates, plain[0])
    updates, _ = transformation.update(
        gradients(1),
        state,
        PARAMS,
        value=jnp.asarray(1.0),
        value_fn=lambda params: params["scalar"],
        something_else="ignored",
    )
    same(updates, plain[1])


def same(actual, desired, rtol=2e-5):
    assert jax.tree.structure(actual) == jax.tree.structure(desired)
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(desired), strict=True):
        assert one.dtype == other.dtype
        tolerance = 0.01 if one.dtype == jnp.bfloat16 else rtol
        np.testing.assert_allclose(
            np.asarray(one, np.float32), np.asarray(other, np.float32), tolerance, 1e-7
        )


def test_in_a_chain(optimizer):
    schedule = optax.exponential_decay(1.0, 1, 0.5)
    chain = optax.chain(
        optax.clip_by_global_norm(0.5),
        as_optax(optimizer),
        optax.scale_by_schedule(schedule),
        optax.add_decayed_weights(-0.1),
    )
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), PARAMS)
    steps = [gradients(seed, like=params) for seed in range(3)]
    updates, _ = run(chain, steps, params)

    def clipped(grads):
        norm = np.sqrt(sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(grads)))
        return jax.tree.map(lambda leaf: leaf * min(1, 0.5 / norm), grads)

    alone, _ = run(as_optax(optimizer), [clipped(grads) for grads in steps], params)
    for index, (chained, own) in enumerate(zip(updates, alone, strict=True)):
        expected = jax.tree.map(lambda u, p, i=index: 0.5**i * u - 0.1 * p, own, params)
        same(chained, expected)
        params = jax.tree.map(jnp.add, params, expected)


def test_masked(optimizer):
    mask = {"matrix": True, "scalar": False, "empty": True, "half": True, "nothing": None}
    steps = [gradients(seed) for seed in range(2)]
    updates, _ = run(optax.masked(as_optax(optimizer), mask), steps)
    kept = ("matrix", "empty", "half")
    alone, _ = run(
        as_optax(optimizer),
        [{name: grads[name] for name in kept} for grads in steps],
        {name: PARAMS[name] for name in kept},
    )
    for grads, masked, own in zip(steps, updates, alone, strict=True):
        same(masked, {**own, "scalar": grads["scalar"], "nothing": None})


@pytest.mark.parametrize("optimizer", ["rnnprop"], indirect=True)
def test_accumulation_over_several_minibatches(optimizer):
    params = {"matrix": PARAMS["matrix"], "scalar": PARAMS["scalar"]}
    steps = [gradients(seed, like=params) for seed in range(4)]
    transformation = optax.MultiSteps(as_optax(optimizer), every_k_schedule=2)
    updates, _ = run(transformation.gradient_transformation(), steps, params)
    means = [
        jax.tree.map(lambda x, y: (x + y) / 2, one, two) for one, two in (steps[:2], steps[2:])
    ]
    alone, _ = run(as_optax(optimizer), means, params)
    zeros = jax.tree.map(jnp.zeros_like, params)
    for actual, expected in zip(updates, [zeros, alone[0], zeros, alone[1]], strict=True):
        same(actual, expected, rtol=1e-4)


def test_gradients_that_are_not_finite_can_be_passed_over(optimizer, plain):
    transformation = optax.apply_if_finite(as_optax(optimizer), max_consecutive_errors=3)
    bad = {**gradients(0), "scalar": jnp.asarray(jnp.nan)}
    updates, _ = run(transformation, [gradients(0), bad, gradients(1)])
    same(updates[0], plain[0])
    same(updates[1], jax.tree.map(jnp.zeros_like, PARAMS))
    same(updates[2], plain[1])


def test_parameters_may_be_python_numbers(optimizer):
    transformation = as_optax(optimizer)
    updates, _ = transformation.update(
        {"x": 0.5, "y": -1.0}, transformation.init({"x": 1.0, "y": 2.0})
    )
    as_arrays, _ = transformation.update(
        {"x": jnp.asarray(0.5), "y": jnp.asarray(-1.0)}, transformation.init({"x": 1.0, "y": 2.0})
    )
    same(updates, as_arrays)


def test_an_optax_transformation_comes_through_both_ways():
    adam = optax.adam(0.1)
    steps = [gradients(seed) for seed in range(3)]
    there, _ = run(adam, steps)
    back, _ = run(as_optax(from_optax(adam)), steps, value=1.0)
    jax.tree.map(np.testing.assert_array_equal, back, there)
    assert not jax.tree.leaves(from_optax(adam))


def test_an_optax_transformation_sees_the_loss():
    # It scales updates by the average loss since it last looked, if that did not fall.
    plateau = optax.contrib.reduce_on_plateau(factor=0.5, patience=1, accumulation_size=1)
    optimizer = from_optax(plateau)
    state = optimizer.init(PARAMS)
    scales = []
    for _ in range(4):
        _, state = optimizer.update(PARAMS, state, PARAMS, value=jnp.asarray(1.0))
        scales.append(float(state.scale))
    assert scales == [1.0, 0.5, 0.25, 0.125]


@pytest.mark.parametrize("rule", ["adam", "dm"])
def test_per_task_is_a_loop_over_tasks(rule, random_like):
    inner = from_optax(optax.adam(0.1)) if rule == "adam" else random_like(DM(3, key=KEY))
    transformation = as_optax(inner)
    stacked = {"x": jnp.arange(6.0).reshape(3, 2), "y": jnp.ones(3)}
    steps = [gradients(seed, 10.0**seed, stacked) for seed in range(2)]
    together, last = run(as_optax(PerTask(inner)), steps, stacked, value=np.arange(3.0))
    for task in range(3):

        def own(tree, task=task):
            return jax.tree.map(lambda leaf: np.asarray(leaf)[task], tree)

        alone, own_last = run(transformation, [own(grads) for grads in steps], own(stacked))
        for index in range(2):
            same(own(together[index]), alone[index])
        same(own(last), own_last)
