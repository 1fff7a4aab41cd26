import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import l2o
from l2o.metatraining import metatrain
from l2o.multiobjective import ML2O, PlainML2O, aggregate, aggregated, guard, mean, upgrad
from l2o.multiobjective.problems import ConflictingQuadraticsFamily, ProblemTask, random_quadratics
from l2o.optimizers import per_task, sgd
from l2o.tasks import SingleTask, TaskBatch

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)
OPTIMIZERS = {"ml2o": ML2O(3, 4, key=KEY), "plain": PlainML2O(3, 4, key=KEY)}


@pytest.fixture
def jacobians(random_like):
    """Gradients of three objectives of very different scales, at two steps."""
    scales = jnp.array([1e-2, 1.0, 30.0])

    def draw(seed):
        tree = random_like({"a": jnp.zeros((3, 2, 2)), "b": jnp.zeros((3, 5))}, seed)
        return jax.tree.map(lambda leaf: jnp.einsum("m...,m->m...", leaf, scales), tree)

    return [draw(0), draw(1)]


def updates_of(optimizer, jacobians):
    params = jax.tree.map(lambda leaf: leaf[0], jacobians[0])
    state = optimizer.init(params)
    update_once = eqx.filter_jit(optimizer.update)
    found = []
    for jacobian in jacobians:
        update, state = update_once(jacobian, state, params)
        found.append(update)
    return found


@pytest.fixture
def trained(random_like):
    """ML2O with read-outs that are not zero."""
    return random_like(OPTIMIZERS["ml2o"], scale=0.3)


def in_their_units(jacobians):
    """Every objective's gradient over its root mean square so far."""
    mean, scaled = jnp.zeros(3), []
    for step, jacobian in enumerate(jacobians):
        rows = jnp.concatenate([leaf.reshape(3, -1) for leaf in jax.tree.leaves(jacobian)], axis=1)
        mean = (step * mean + jnp.mean(rows**2, axis=1)) / (step + 1)
        scaled.append(
            jax.tree.map(lambda x, u=mean: jnp.einsum("m...,m->m...", x, u**-0.5), jacobian)
        )
    return scaled


def adam_after(weighting):
    return l2o.from_optax(optax.chain(aggregate(weighting), optax.adam(0.01, 0.95, 0.95)))


def test_begins_as_adam_after_upgrad(jacobians, assert_trees_close):
    expected = updates_of(adam_after(upgrad), in_their_units(jacobians))
    assert_trees_close(updates_of(OPTIMIZERS["ml2o"], jacobians), expected, rtol=1e-3, atol=1e-7)


def test_the_update_is_the_formula_for_constant_read_outs(jacobians, assert_trees_close):
    growth, residual, coefficient = 0.3, 0.2, -0.7
    constant = eqx.tree_at(
        lambda ml2o: (ml2o.specific_readout.bias, ml2o.shared_readout.bias),
        OPTIMIZERS["ml2o"],
        (jnp.array([coefficient]), jnp.array([growth, residual])),
    )
    scaled = in_their_units(jacobians)
    together = updates_of(adam_after(upgrad), scaled)
    each = [updates_of(adam_after(lambda gramian, i=i: jnp.eye(3)[i]), scaled) for i in range(3)]
    for step, found in enumerate(updates_of(constant, jacobians)):
        expected = jax.tree.map(
            lambda a, *own: jnp.exp(growth) * a - 0.01 * residual + coefficient * sum(own) / 3,
            together[step],
            *(own[step] for own in each),
        )
        assert_trees_close(found, expected, rtol=1e-3, atol=1e-6)


def test_does_not_depend_on_order_or_scale(trained, jacobians, assert_trees_close):
    expected = updates_of(trained, jacobians)
    permuted = jax.tree.map(lambda leaf: leaf[jnp.array([2, 0, 1])], jacobians)
    assert_trees_close(updates_of(trained, permuted), expected, rtol=1e-3, atol=1e-6)
    factors = jnp.array([1e3, 1e-3, 7.0])
    scaled = jax.tree.map(lambda leaf: jnp.einsum("m...,m->m...", leaf, factors), jacobians)
    assert_trees_close(updates_of(trained, scaled), expected, rtol=1e-3, atol=1e-6)


def test_takes_any_number_of_objectives(trained, jacobians, assert_trees_close):
    two = jax.tree.map(lambda leaf: leaf[:2], jacobians)
    with pytest.raises(ValueError, match="made for 3 objectives, got gradients of 2"):
        updates_of(trained, two)
    other = trained.for_objectives(2)
    assert other.num_objectives == 2
    assert_trees_close(other.specific, trained.specific, rtol=0)
    for update in updates_of(other, two):
        assert all(jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(update))
    with pytest.raises(ValueError, match="num_objectives"):
        trained.for_objectives(0)
    with pytest.raises(ValueError, match="made for 3 objectives"):
        updates_of(OPTIMIZERS["plain"], two)


def test_an_objective_given_twice_counts_once(trained, jacobians, assert_trees_close):
    one = jax.tree.map(lambda leaf: leaf[:1], jacobians)
    two = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), one)
    twice = updates_of(trained.for_objectives(2), two)
    once = updates_of(trained.for_objectives(1), one)
    assert_trees_close(twice, once, rtol=1e-3, atol=1e-6)


def test_gradients_that_vanish_do_no_harm(trained, jacobians):
    for row in (slice(0, 1), slice(0, 3)):
        still = jax.tree.map(lambda leaf, row=row: leaf.at[row].set(0.0), jacobians)
        for update in updates_of(trained, still):
            assert all(jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(update))


def test_plain_modules_have_their_own_weights_and_order(jacobians):
    plain = OPTIMIZERS["plain"]
    expected = updates_of(plain, jacobians)
    permuted = jax.tree.map(lambda leaf: leaf[::-1], jacobians)
    assert jnp.any(updates_of(plain, permuted)[1]["b"] != expected[1]["b"])
    assert len({float(module.weight[0, 0]) for module in plain.specific}) == 3


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_is_saved_and_loaded(name, tmp_path, assert_trees_close, jacobians):
    l2o.save(OPTIMIZERS[name], tmp_path)
    loaded = l2o.load(tmp_path)
    assert type(loaded) is type(OPTIMIZERS[name])
    assert_trees_close(
        updates_of(loaded, jacobians), updates_of(OPTIMIZERS[name], jacobians), rtol=0
    )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_meta_gradients_are_those_of_finite_differences(name, x64):
    """Exact ones, in double precision, along a random direction."""
    optimizer = jax.tree.map(
        lambda leaf: leaf.astype(jnp.float64) if eqx.is_inexact_array(leaf) else leaf,
        OPTIMIZERS[name],
    )
    task = TaskBatch.draw(ConflictingQuadraticsFamily(3, 4), KEY, 2)

    def meta_loss(shift):
        shifted = jax.tree.map(lambda x, v: x + shift * v, optimizer, direction)
        return jnp.mean(l2o.unroll(per_task(shifted), task, KEY, 3).losses)

    keys = jax.random.split(jax.random.key(1), len(jax.tree.leaves(optimizer)))
    direction = jax.tree.unflatten(
        jax.tree.structure(optimizer),
        [
            jax.random.normal(key, leaf.shape, leaf.dtype)
            for key, leaf in zip(keys, jax.tree.leaves(optimizer), strict=True)
        ],
    )
    slope = jax.grad(meta_loss)(0.0)
    step = 1e-5
    difference = (meta_loss(step) - meta_loss(-step)) / (2 * step)
    np.testing.assert_allclose(slope, difference, rtol=1e-4)


def test_meta_training_helps():
    family = ConflictingQuadraticsFamily(2, 4)
    result = metatrain(
        ML2O(2, 4, key=KEY),
        family,
        key=KEY,
        meta_steps=40,
        num_tasks=8,
        horizon=20,
        truncation=5,
        meta_optimizer=optax.adam(1e-2),
        validation_every=20,
        validation_tasks=8,
        validate_first=True,
    )
    scores = [row["validation_score"] for row in result.history if "validation_score" in row]
    assert result.best_score < 0.9 * scores[0]


def test_tasks_with_several_losses_are_tuned_and_compared(tmp_path):
    family = ConflictingQuadraticsFamily(2, 4)
    baseline = aggregated("upgrad and sgd", upgrad, sgd)
    tuned = l2o.tune(baseline, family, key=KEY, num_steps=10, num_configurations=8, num_tasks=2)
    assert np.isfinite(tuned.score)
    optimizers = {"learned": ML2O(2, 4, key=KEY), "tuned": tuned.optimizer}
    evaluation = l2o.evaluate(optimizers, family, key=KEY, num_tasks=3, num_steps=10)
    runs = evaluation.runs["tuned"]
    assert runs.losses.shape == (3, 11, 2)
    np.testing.assert_allclose(runs.objective, runs.losses.mean((1, 2)), rtol=1e-5)
    metrics = runs.metrics
    np.testing.assert_allclose(metrics["final_train_loss"], runs.losses[:, -1].mean(1), rtol=1e-5)
    np.testing.assert_array_equal(metrics["final_train_loss_2"], runs.losses[:, -1, 1])
    assert runs.diverged.shape == (3,)
    assert evaluation.compare("learned", "tuned", "mean_train_loss_1").num_tasks == 3


def test_divergence_of_one_loss_counts():
    losses = np.ones((2, 3, 2), np.float32)
    losses[1, -1, 0] = 100.0
    from l2o.evaluation import Runs

    runs = Runs(losses, losses.mean((1, 2)), {})
    np.testing.assert_array_equal(runs.diverged, [False, True])


def test_what_takes_one_gradient_is_told_so():
    task = ProblemTask(random_quadratics(KEY, 2, 3))
    with pytest.raises(ValueError, match="aggregator"):
        l2o.unroll(l2o.from_optax(optax.sgd(0.1)), task, KEY, 2)


def test_guarded_learned_optimizers_never_let_a_loss_rise(random_like):
    """GML2O, with meta-parameters that are noise."""
    wild = random_like(ML2O(2, 4, initial_step=1.0, key=KEY), scale=2.0)
    task = ProblemTask(random_quadratics(KEY, 2, 5, condition=10.0))
    trajectory = l2o.unroll(guard(wild), task, KEY, 200)
    assert jnp.all(jnp.diff(trajectory.losses, axis=0) <= 1e-6)
    assert trajectory.state.opt_state.criticality < 1e-2
    free = l2o.unroll(wild, task, KEY, 200)
    assert jnp.any(jnp.diff(free.losses, axis=0) > 1e-2)


def test_a_family_may_be_a_single_problem():
    family = SingleTask(ProblemTask(random_quadratics(KEY, 2, 3)))
    evaluation = l2o.evaluate(
        {"mean": l2o.from_optax(optax.chain(aggregate(mean), optax.sgd(0.1)))},
        family,
        key=KEY,
        num_tasks=2,
        num_steps=5,
    )
    assert evaluation.runs["mean"].losses.shape == (2, 6, 2)
