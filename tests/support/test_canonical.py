import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

from l2o.optimizers import from_optax
from l2o.support.canonical import canonical

MAKERS = {
    "adam": lambda rate: optax.adam(rate),
    "masked": lambda rate: optax.adamw(rate, mask={"weight": True, "bias": False}),
    "chain": lambda rate: optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(rate, 0.9)),
    "schedule": lambda rate: optax.adam(optax.warmup_cosine_decay_schedule(0.0, rate, 10, 100)),
    "joined": lambda rate: optax.sgd(
        optax.join_schedules(
            [optax.linear_schedule(0.0, rate, 9), optax.constant_schedule(1.0)], [9]
        )
    ),
    "injected": lambda rate: optax.inject_hyperparams(optax.adam)(learning_rate=rate),
    "injected late": lambda rate: eqx.Partial(optax.inject_hyperparams(optax.adam), rate),
    "partition": lambda rate: optax.partition(
        {"a": optax.adam(rate), "b": optax.sgd(0.1)}, {"weight": "a", "bias": "b"}
    ),
    "several steps": lambda rate: optax.MultiSteps(optax.adam(rate), 3).gradient_transformation(),
    "array": lambda rate: optax.adam(jnp.asarray(rate)),
    "numpy": lambda rate: optax.adam(np.float32(rate)),
    "random": lambda rate: optax.noisy_sgd(rate, key=jax.random.key(0)),
    "muon": lambda rate: optax.contrib.muon(rate),
}


def is_same(one, other):
    """Whether programs compiled for one serve for the other."""
    one, other = canonical(one), canonical(other)
    leaves = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return jax.tree.structure(one) == jax.tree.structure(other) and all(
        a is b for a, b in leaves if not eqx.is_array(a)
    )


@pytest.mark.parametrize("name", MAKERS)
def test_transformations_made_anew(name):
    make = MAKERS[name]
    assert is_same(make(0.01), make(0.01))
    assert not is_same(make(0.01), make(0.02))


def test_random_keys_are_known_within_a_traced_function():
    """Tuning makes transformations of the numbers that it traces."""
    key = jax.random.key(0)

    @jax.jit
    def update(rate, gradient):
        optimizer = from_optax(optax.noisy_sgd(rate, key=key))
        return optimizer.update(gradient, optimizer.init(gradient), gradient)[0]

    assert np.all(np.isfinite(update(0.1, jnp.ones(2))))


def test_variables_that_were_never_set():
    """`optax.exponential_decay` without an end value leaves one of its own unset."""
    schedules = [optax.exponential_decay(0.1, 10, rate) for rate in (0.5, 0.5, 0.6)]
    one, same, other = (optax.adam(schedule) for schedule in schedules)
    assert is_same(one, same)
    assert not is_same(one, other)


def test_optimizers_made_anew():
    assert optax.adam(0.01).update is not optax.adam(0.01).update
    assert from_optax(optax.adam(0.01)) == from_optax(optax.adam(0.01))
    assert from_optax(optax.adam(0.01)) != from_optax(optax.adam(0.02))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1.0, 1),
        (0.0, -0.0),
        (jnp.asarray(1.0), jnp.asarray(2.0)),
        (jnp.asarray([1.0]), jnp.asarray(1.0)),
        (np.float32(1.0), np.float64(1.0)),
        (np.asarray(1.0), jnp.asarray(1.0)),
        (jax.random.key(0), jax.random.key(1)),
        (jax.random.key(0), jax.random.key(0, impl="rbg")),
        (True, 1),
        ("a", b"a"),
        ([1], (1,)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ],
)
def test_constants_that_differ(one, other):
    assert not is_same(optax.constant_schedule(one), optax.constant_schedule(other))
    assert is_same(optax.constant_schedule(one), optax.constant_schedule(one))


def test_a_number_that_is_none_is_itself():
    nan = float("nan")
    assert is_same(optax.constant_schedule(nan), optax.constant_schedule(float("nan")))


SCALE = 1.0


def test_functions_of_others_are_only_themselves():
    # What they do may depend on what is around them, as here.
    def make():
        return optax.stateless_with_tree_map(lambda update, _: SCALE * update)

    assert not is_same(make(), make())
    once = make()
    assert is_same(optax.chain(once, optax.scale(2.0)), optax.chain(once, optax.scale(2.0)))


class Rule(eqx.Module):
    weight: jax.Array
    activation: object
    schedule: object = eqx.field(static=True)


def test_arrays_of_a_tree_stay_its_own():
    one, other = (
        Rule(jnp.asarray(weight), jax.nn.relu, optax.constant_schedule(1.0))
        for weight in (1.0, 2.0)
    )
    assert is_same(one, other)
    assert canonical(one).weight == 1.0
    assert canonical(other).weight == 2.0
    assert canonical(other).schedule is canonical(one).schedule
    assert not is_same(one, eqx.tree_at(lambda rule: rule.activation, other, jax.nn.tanh))
    schedule = optax.constant_schedule(2.0)
    assert not is_same(one, Rule(jnp.asarray(1.0), jax.nn.relu, schedule))


def test_traced_constants():
    @jax.jit
    def step(rate):
        optimizer = from_optax(optax.sgd(rate))
        return optimizer.update(jnp.asarray(1.0), optimizer.init(jnp.asarray(0.0)))[0]

    with jax.checking_leaks():
        assert step(0.5) == -0.5
        assert step(0.25) == -0.25


def test_functions_that_hold_themselves():
    source = """
def make(step):
    def again(count):
        return again(count - step) if count else 0
    return again
"""
    module = {"__name__": "optax.imagined"}
    exec(source, module)
    make = module["make"]
    assert make(1) is not make(1)
    assert is_same(make(1), make(1))
    assert not is_same(make(1), make(2))


def test_a_decorator_does_not_make_a_function_one_of_the_library():
    def scaled(function):
        @functools.wraps(function)
        def call(*arguments):
            return SCALE * function(*arguments)

        return call

    assert scaled(optax.global_norm).__module__.startswith("optax")
    assert not is_same(scaled(optax.global_norm), scaled(optax.global_norm))


def test_only_so_many_are_remembered(monkeypatch):
    monkeypatch.setattr("l2o.support.canonical._MOST_REMEMBERED", 2)
    first = canonical(optax.constant_schedule(11.0))
    assert canonical(optax.constant_schedule(11.0)) is first
    for number in (12.0, 13.0):
        canonical(optax.constant_schedule(number))
    assert canonical(optax.constant_schedule(11.0)) is not first


def test_defaults_of_functions():
    source = """
def make(value):
    def positional(count=value):
        return count
    def by_name(*, count=value):
        return count
    return positional, by_name
"""
    module = {"__name__": "optax.imagined"}
    exec(source, module)
    make = module["make"]
    for index in (0, 1):
        assert is_same(make(1)[index], make(1)[index])
        assert not is_same(make(1)[index], make(2)[index])
