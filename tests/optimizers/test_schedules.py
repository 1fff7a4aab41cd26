"""Schedules of any optimizer, and the length of the run that they go over."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import l2o
from l2o.evaluation import draw_tasks, evaluation_key
from l2o.optimizers import (
    ALL_HAND_DESIGNED,
    HandDesigned,
    LogUniform,
    RNNProp,
    Schedule,
    adam,
    adamw,
    evaluation_params,
    schedule_free_adamw,
    sgd,
)
from l2o.runs.hand_designed import SCHEDULES, WITHOUT_COSINE, split_name
from l2o.runs.making import build_hand_designed, find_hand_designed
from l2o.tasks import LeastSquaresFamily

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)
FAMILY = LeastSquaresFamily(dimension=3)


@pytest.mark.parametrize("warm_up", [0.0, 0.2, 1.0])
def test_a_schedule_is_that_of_optax(warm_up):
    num_warm = int(warm_up * 50)
    cosine = optax.cosine_decay_schedule(2.0, max(50 - num_warm, 1))
    constant = optax.constant_schedule(2.0)
    ours = {shape: Schedule(50, 2.0, warm_up, shape) for shape in ("cosine", "warm-up")}
    for shape, after in (("cosine", cosine), ("warm-up", constant)):
        # From a first step of one share of the peak.
        before = optax.linear_schedule(2.0 / max(num_warm, 1), 2.0, max(num_warm - 1, 1))
        theirs = optax.join_schedules([before, after], [num_warm])
        steps = jnp.arange(50)
        np.testing.assert_allclose(
            jax.vmap(ours[shape])(steps), jax.vmap(theirs)(steps), rtol=1e-5, atol=1e-6
        )
    assert ours["warm-up"](1000) == 2.0
    if warm_up < 1:
        assert ours["cosine"](1000) == 0.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_steps": 0}, "num_steps must be"),
        ({"num_steps": 5, "warm_up": 1.5}, "warm_up must be"),
        ({"num_steps": 5, "peak": float("nan")}, "peak must be"),
        ({"num_steps": 5, "shape": "cosin"}, "Did you mean 'cosine'"),
    ],
)
def test_nonsense_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Schedule(**settings)


def test_a_learning_rate_follows_the_schedule_whatever_else_an_optimizer_does():
    optimizer = adamw.scheduled().over(4).with_hyperparameters(learning_rate=0.1, warm_up=0.5)
    assert pickle.loads(pickle.dumps(optimizer)) == optimizer
    same = adamw.scheduled().over(4).with_hyperparameters(learning_rate=0.1, warm_up=0.5)
    assert same == optimizer
    assert adamw.scheduled().over(5).with_hyperparameters(warm_up=0.5) != optimizer
    constant = adamw.with_hyperparameters(learning_rate=0.1)
    params = jnp.asarray([1.0, -2.0])
    state, plain = optimizer.init(params), constant.init(params)
    for share in (0.5, 1.0, 1.0, 0.5, 0.0):
        updates, state = optimizer.update(params, state, params)
        expected, plain = constant.update(params, plain, params)
        np.testing.assert_allclose(updates, share * expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("hand_designed", ALL_HAND_DESIGNED, ids=lambda x: x.name)
def test_every_optimizer_has_its_schedules(hand_designed):
    for shape in hand_designed.shapes:
        scheduled = hand_designed.scheduled(shape)
        assert scheduled.name == f"{hand_designed.name}-{shape}"
        assert scheduled.space == hand_designed.space | {"warm_up": scheduled.space["warm_up"]}
        found = find_hand_designed(scheduled.name)
        assert (found.name, found.space, found.shape) == (scheduled.name, scheduled.space, shape)
        optimizer = build_hand_designed(scheduled.name, {"warm_up": 0.25}, num_steps=8)
        params = jnp.ones((2, 2))

        def first(params, optimizer=optimizer):
            return optimizer.update(
                params, optimizer.init(params), params, value_fn=lambda x: jnp.sum(x**2) / 2
            )

        assert jax.eval_shape(first, params)[0].shape == (2, 2)
    assert hand_designed.over(8) is hand_designed


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: adam.scheduled().with_hyperparameters(), r"adam-cosine .* over\(num_steps\)"),
        (lambda: adam.scheduled().over(0), "num_steps must be"),
        (lambda: adam.scheduled("cosin"), "Did you mean 'cosine'"),
        (lambda: adam.scheduled().scheduled(), "has a schedule already"),
        (lambda: schedule_free_adamw.scheduled(), "must be one of warm-up"),
        (
            lambda: adam.scheduled().over(5).with_hyperparameters(warm_up=1.5),
            "adam-cosine's warm_up must be a finite number",
        ),
        (
            lambda: schedule_free_adamw.with_hyperparameters(b1=0.01),
            "schedule-free-adamw's b1 must be a finite number of at least 0.1",
        ),
        (
            lambda: HandDesigned(
                "a", optax.sgd, {"r": LogUniform(0.1, 1.0)}, {"r": 0.5}
            ).scheduled(),
            "has no learning_rate",
        ),
    ],
)
def test_what_has_no_schedule_says_so(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_names_with_schedules():
    assert split_name("upgrad-adamw-cosine") == ("upgrad", {}, "adamw-cosine")
    assert split_name("cagrad(c=0.2)-adam-warm-up") == ("cagrad", {"c": 0.2}, "adam-warm-up")
    assert split_name("schedule-free-adamw-warm-up")[2] == "schedule-free-adamw-warm-up"
    for name, message in (
        (f"{WITHOUT_COSINE}-cosine", "take schedule-free-adamw or schedule-free-adamw-warm-up"),
        (f"upgrad-{WITHOUT_COSINE}-cosine", "take upgrad-schedule-free-adamw or"),
        ("adam-cosine-cosine", "must be one of sgd"),
        ("adma-cosine", "must be one of sgd"),
        ("upgrad-sam-cosine", "sam goes behind no weighting"),
        ("adam-cosin", "must be one of sgd"),
    ):
        with pytest.raises(ValueError, match=message):
            split_name(name)
    assert list(SCHEDULES) == list(adam.shapes)
    without = [each.name for each in ALL_HAND_DESIGNED if "cosine" not in each.shapes]
    assert without == [WITHOUT_COSINE]


def test_behind_a_weighting_the_learning_rate_falls_too():
    optimizer = build_hand_designed("mean-sgd-cosine", {"warm_up": 0.0}, 2, num_steps=2)
    params, jacobian = jnp.zeros(2), jnp.asarray([[1.0, 0.0], [1.0, 2.0]])
    state = optimizer.init(params)
    for share in (1.0, 0.5, 0.0):
        updates, state = optimizer.update(jacobian, state, params, value=jnp.ones(2))
        np.testing.assert_allclose(updates, -0.01 * share * np.asarray([1.0, 1.0]), atol=1e-8)


def test_tuning_goes_over_the_run_that_it_makes():
    """The defaults are what is tried first."""
    falling = sgd.scheduled()
    tuned = l2o.tune(falling, FAMILY, key=KEY, num_steps=6, num_configurations=1, num_tasks=2)
    assert tuned.hand_designed is falling
    assert tuned.optimizer == falling.over(6).with_hyperparameters(**tuned.hyperparameters)
    by_hand = l2o.from_optax(optax.sgd(Schedule(6, 0.01, 0.05)))
    draw = draw_tasks(FAMILY, jax.random.split(l2o.evaluation.tuning_key(KEY), 4)[0], 2)
    losses, _ = jax.jit(lambda: draw.run(by_hand, 6))()
    np.testing.assert_allclose(tuned.scores[0], np.mean(losses), rtol=1e-5)


def test_a_schedule_goes_around_a_learned_optimizer():
    learned = RNNProp(hidden_size=2, key=KEY)
    falling = optax.scale_by_schedule(Schedule(4, warm_up=0.0))
    optimizer = l2o.from_optax(optax.chain(l2o.as_optax(learned), falling))
    params = jnp.ones(2)
    state, plain = optimizer.init(params), learned.init(params)
    for step in range(3):
        updates, state = optimizer.update(params, state)
        expected, plain = learned.update(params, plain)
        share = (1 + np.cos(np.pi * step / 4)) / 2
        np.testing.assert_allclose(updates, share * expected, rtol=1e-5)


def test_losses_of_schedule_free_are_those_at_its_average():
    """On the way, at the end, and what is measured there."""
    optimizer = schedule_free_adamw.with_hyperparameters(learning_rate=0.3)
    draw = draw_tasks(FAMILY, evaluation_key(KEY), 2)
    losses, params = jax.jit(lambda: draw.run(optimizer, 5))()
    batch_key = jax.random.split(draw.key, 3)[1]
    batched = l2o.optimizers.per_task(optimizer)
    stepped, state = draw.params, batched.init(draw.params)
    expected = []
    for index in range(6):
        batch = draw.tasks.sample(jax.random.fold_in(batch_key, index))
        # Optax's own, task by task.
        average = jax.vmap(optax.contrib.schedule_free_eval_params)(state, stepped)
        expected.append(draw.tasks.loss(average, batch))
        _, grads = draw.tasks.value_and_grad(stepped, batch)
        updates, state = batched.update(grads, state, stepped)
        last, stepped = average, optax.apply_updates(stepped, updates)
    np.testing.assert_allclose(losses, np.stack(expected), rtol=1e-4)
    np.testing.assert_allclose(params, last, rtol=1e-4)


def test_the_average_is_found_wherever_it_stands():
    params = {"a": jnp.ones(2), "b": jnp.ones(3)}
    inner = optax.contrib.schedule_free_adamw(0.1)
    in_part = optax.partition({"x": inner, "y": optax.sgd(0.1)}, {"a": "x", "b": "y"})
    for transformation, moved in (
        (optax.chain(optax.clip(1.0), inner), {"a", "b"}),
        (in_part, {"a"}),
        (optax.sgd(0.1), set()),
    ):
        optimizer = l2o.from_optax(transformation)
        state = optimizer.init(params)
        stepped = params
        for _ in range(2):
            updates, state = optimizer.update(params, state, stepped)
            stepped = optax.apply_updates(stepped, updates)
        average = evaluation_params(state, stepped)
        assert {name for name in params if not np.allclose(average[name], stepped[name])} == moved
