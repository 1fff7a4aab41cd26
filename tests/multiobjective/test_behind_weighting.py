"""Learned optimizers for one gradient behind weightings, and the settings of weightings."""

from dataclasses import replace
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import l2o
from l2o import multiobjective as mo, runs
from l2o.composition import LEARNED_OPTIMIZER, Composed
from l2o.multiobjective import BehindWeighting
from l2o.multiobjective.problems import ConflictingQuadraticsFamily
from l2o.optimizers import LearnedOptimizer, RNNProp
from l2o.runs import find_hand_designed, find_recipe, make_optimizer
from l2o.tasks import QuadraticFamily

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)
FAMILY = ConflictingQuadraticsFamily()
INNER = RNNProp(4, max_step=0.1, key=KEY)
JACOBIANS = np.random.default_rng(0).standard_normal((2, 3, 5)).astype(np.float32)
LOSSES = jnp.array([[1.0, 2.0, 3.0], [0.5, 1.5, 3.5]])


@pytest.mark.parametrize(
    ("name", "settings", "aggregator"),
    [
        ("upgrad", {}, lambda: mo.aggregate(mo.upgrad)),
        ("cagrad", {"c": 0.2}, lambda: mo.aggregate(partial(mo.cagrad, c=0.2))),
        ("famo", {"learning_rate": 0.5}, lambda: mo.aggregate(mo.FAMO(0.5), num_objectives=3)),
        ("moco", {"decay": 0.1}, lambda: mo.moco(3, decay=0.1)),
        ("graddrop", {}, lambda: mo.aggregate_jacobian(mo.graddrop, key=KEY)),
    ],
)
def test_it_is_the_one_after_the_other(name, settings, aggregator, assert_trees_close):
    both = BehindWeighting(INNER, name, settings, 3)
    first = optax.with_extra_args_support(aggregator())
    params = jnp.zeros(5)
    state, kept, inner = both.init(params), first.init(params), INNER.init(params)
    for jacobian, losses in zip(JACOBIANS, LOSSES, strict=True):
        update, state = both.update(jnp.asarray(jacobian), state, params, value=losses)
        combined, kept = first.update(jnp.asarray(jacobian), kept, params, value=losses)
        expected, inner = INNER.update(combined, inner, params)
        assert_trees_close(update, expected, rtol=1e-6)

    with jax.enable_x64(True):
        for dtype in (jnp.float16, jnp.float32):
            half = jnp.zeros(5, dtype)
            before = jax.eval_shape(both.init, half)
            given = jnp.zeros((3, 5), dtype), before, half
            _, after = jax.eval_shape(partial(both.update, value=jnp.ones(3, dtype)), *given)
            assert jax.tree.leaves(before) == jax.tree.leaves(after)


class Told(LearnedOptimizer):
    """Passes on what it is told of the loss."""

    def init(self, params):
        return ()

    def update(self, grads, state, params=None, *, value, grad, value_fn, **extra):
        return jnp.stack([value, value_fn(params), grad[0], grads[0]]), state


def test_the_optimizer_is_told_the_mean_and_the_combined_gradient():
    both, params = BehindWeighting(Told(), "upgrad"), jnp.arange(5.0)
    told, _ = both.update(
        jnp.asarray(JACOBIANS[0]),
        both.init(params),
        params,
        value=LOSSES[0],
        value_fn=lambda params: jnp.array([1.0, 2.0, 6.0]) + params[1],
    )
    np.testing.assert_allclose(told[:2], [2.0, 4.0])
    weights = mo.upgrad(mo.gramian(jnp.asarray(JACOBIANS[0])))
    np.testing.assert_allclose(told[2:], (weights @ JACOBIANS[0])[0], rtol=1e-5)


def losses_of(optimizer, first_order):
    task = FAMILY.sample(KEY)
    return jnp.mean(l2o.unroll(optimizer, task, KEY, 3, first_order=first_order).losses)


def test_the_first_order_meta_gradient_holds_gradients_and_weights_constant(
    random_like, assert_trees_close
):
    inner = random_like(INNER, scale=0.3)
    optimizer = BehindWeighting(inner, "upgrad")
    task = FAMILY.sample(KEY)
    found = eqx.filter_jit(eqx.filter_grad(partial(losses_of, first_order=True)))(optimizer)
    # By hand: combined gradients as plain numbers, and losses of the places that they lead to.
    start = task.init(jax.random.split(KEY, 3)[0])
    combined = []

    def walk(inner, gradients):
        params, state, total = start, inner.init(start), jnp.mean(task.losses(start, None))
        for step in range(3):
            if len(gradients) <= step:
                jacobian = jax.jacrev(lambda x: task.losses(x, None))(params)
                gradients.append(
                    mo.stacked(lambda x: task.losses(x, None), params).combine(
                        mo.upgrad(mo.gramian(jacobian))
                    )
                )
            update, state = inner.update(gradients[step], state, params)
            params = optax.apply_updates(params, update)
            total += jnp.mean(task.losses(params, None))
        return total / 4

    walk(inner, combined)
    expected = eqx.filter_jit(eqx.filter_grad(walk))(inner, combined)
    assert_trees_close(found.optimizer, expected, rtol=1e-3, atol=1e-6)


def test_the_exact_meta_gradient_goes_through_the_weighting(random_like):
    optimizer = BehindWeighting(random_like(INNER, scale=0.3), "upgrad")
    gradient = eqx.filter_jit(eqx.filter_grad(partial(losses_of, first_order=False)))(optimizer)
    direction = random_like(eqx.filter(optimizer, eqx.is_array), 1)
    slope = sum(
        jnp.sum(g * d)
        for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True)
    )
    run = eqx.filter_jit(partial(losses_of, first_order=False))
    step = 2e-3
    ends = [
        float(
            run(eqx.apply_updates(optimizer, jax.tree.map(lambda d, s=s: s * step * d, direction)))
        )
        for s in (1, -1)
    ]
    assert float(slope) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=0.03)


def test_by_name_with_the_settings_of_both(tmp_path):
    composed = Composed("CAGrad-rnnprop", {"hidden_size": 4, "weighting_c": 0.2})
    completed = composed.completed(LEARNED_OPTIMIZER)
    assert completed.name == "cagrad-RNNProp"
    assert completed.keywords == {
        "hidden_size": 4,
        "decay": 0.95,
        "max_step": 0.01,
        "weighting_c": 0.2,
        "num_objectives": None,
    }
    described = composed.settings(LEARNED_OPTIMIZER)
    assert "weighting" in described["weighting_c"].description
    made, _ = completed.make(LEARNED_OPTIMIZER, key=KEY)
    assert made.title == "cagrad-RNNProp"
    l2o.save(made, tmp_path)
    assert eqx.tree_equal(l2o.load(tmp_path), made)


def test_losses_are_counted():
    famo = make_optimizer(Composed("famo-DM"), KEY, FAMILY)
    assert famo.num_objectives == 2
    with pytest.raises(ValueError, match="give num_objectives"):
        make_optimizer(Composed("famo-DM"), KEY)
    with pytest.raises(ValueError, match="have one: take DM"):
        make_optimizer(Composed("famo-DM"), KEY, QuadraticFamily())
    with pytest.raises(ValueError, match="as in upgrad-DM"):
        make_optimizer(Composed("DM"), KEY, FAMILY)


@pytest.mark.parametrize(
    ("name", "keywords", "match"),
    [
        ("cagrad-DM", {"weighting_c": -1.0}, "c must be"),
        ("cagrad-DM", {"c": 1.0}, "weighting_c"),
        ("modo-DM", {"weighting_step_size": "x", "num_objectives": 2}, "finite number"),
        ("upgrad-RNProp", {}, "Did you mean 'upgrad-RNNProp'"),
        ("upgrad-ML2O", {}, "one for one gradient behind a weighting"),
    ],
)
def test_what_is_wrong_is_said(name, keywords, match):
    with pytest.raises(ValueError, match=match):
        Composed(name, keywords).make(LEARNED_OPTIMIZER, key=KEY)


def test_a_hand_designed_one_with_settings_of_its_weighting(assert_trees_close):
    made = find_hand_designed("cagrad(c=0.2)-sgd", 3).with_hyperparameters(learning_rate=1.0)
    params, jacobian = jnp.zeros(5), jnp.asarray(JACOBIANS[0])
    update, _ = made.update(jacobian, made.init(params), params)
    weights = mo.cagrad(mo.gramian(jacobian), c=0.2)
    assert_trees_close(update, -weights @ jacobian, rtol=1e-6)
    assert find_hand_designed("famo(weight_decay=0, least=-1.5)-adam", 2).name.startswith("famo(")


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("cagrad(c=-1)-adam", "c must be"),
        ("cagrad(d=1)-adam", "one of c; got 'd'"),
        ("cagrad(c)-adam", "name=number"),
        ("cagrad(c=1,c=2)-adam", "name=number"),
        ("upgrad(c=1)-adam", "upgrad takes no settings"),
        ("cagrad(c=1)-sam", "behind a weighting"),
        ("cagrad(c=1)", "then the optimizer"),
    ],
)
def test_what_is_wrong_with_its_settings_is_said(name, match):
    with pytest.raises(ValueError, match=match):
        find_hand_designed(name, 2)


def test_a_run_of_one(tmp_path):
    recipe = find_recipe("conflicting-quadratics-ml2o")
    recipe = replace(
        recipe,
        optimizer=Composed("upgrad-DM", {"hidden_size": 2}),
        training=replace(
            recipe.training,
            meta_steps=2,
            num_tasks=1,
            horizon=2,
            truncation=2,
            validation_every=1,
            validation_tasks=1,
            checkpoint_every=1,
        ),
    )
    folder = runs.RunFolder(tmp_path / "run")
    result = runs.train(recipe, folder)
    again = l2o.load(folder.optimizer)
    assert eqx.tree_equal(again, result.optimizer)
    assert isinstance(again, BehindWeighting)
    resumed = runs.train(recipe, folder, resume=True)
    assert eqx.tree_equal(resumed.optimizer, result.optimizer)
