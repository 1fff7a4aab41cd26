import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings, strategies as st

from l2o.optimizers import (
    ALL_HAND_DESIGNED,
    HandDesigned,
    LogUniform,
    OneMinusLogUniform,
    Uniform,
    adagrad,
    adam,
    adamw,
    adan,
    ademamix,
    evaluation_params,
    lion,
    momentum,
    muon,
    nadamw,
    nesterov,
    orthogonal_nadamw,
    prodigy,
    rmsprop,
    sam,
    schedule_free_adamw,
    sgd,
)

RANGES = (Uniform(-2.0, 3.0), LogUniform(1e-6, 1e2), OneMinusLogUniform(0.0, 0.999))


@pytest.mark.parametrize("searched", RANGES, ids=lambda x: type(x).__name__)
@settings(max_examples=50, deadline=None)
@given(position=st.floats(0, 1, width=32))
def test_a_position_and_its_value_invert_each_other(searched, position):
    value = searched.at(jnp.float32(position))
    # The ends, too, are rounded to single precision.
    assert np.float32(searched.low) <= value <= np.float32(searched.high)
    np.testing.assert_allclose(searched.position(value), position, atol=1e-4)


@pytest.mark.parametrize("searched", RANGES, ids=lambda x: type(x).__name__)
def test_samples_are_uniform_on_the_scale_of_the_range(searched):
    samples = searched.sample(jax.random.key(0), (4000,))
    assert samples.dtype == jnp.float32
    positions = np.sort(np.asarray(searched.position(samples)))
    # The Kolmogorov-Smirnov distance of 4000 uniform numbers exceeds 0.03 once in a thousand times.
    assert np.max(np.abs(positions - np.linspace(0, 1, 4000))) < 0.03


def test_scales():
    np.testing.assert_allclose(Uniform(2.0, 4.0).at(jnp.array([0.0, 0.5, 1.0])), [2, 3, 4])
    np.testing.assert_allclose(
        LogUniform(1e-4, 1.0).at(jnp.array([0, 0.5, 1])), [1e-4, 1e-2, 1], rtol=1e-5
    )
    np.testing.assert_allclose(
        OneMinusLogUniform(0.0, 0.99).at(jnp.array([0, 0.5, 1])), [0, 0.9, 0.99], atol=1e-6
    )


@pytest.mark.parametrize("searched", RANGES, ids=lambda x: type(x).__name__)
@pytest.mark.parametrize(
    ("position", "edge"), [(0.0, True), (0.04, True), (0.06, False), (0.94, False), (0.96, True)]
)
def test_edges_are_the_outer_twentieths(searched, position, edge):
    assert searched.on_edge(searched.at(jnp.float32(position))) is edge


def test_a_low_end_that_is_a_limit_is_no_edge():
    decay = OneMinusLogUniform(0.0, 0.99, low_is_limit=True)
    assert not decay.on_edge(0.0)
    assert decay.on_edge(0.99)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Uniform(1.0, 1.0),
        lambda: Uniform(0.0, math.inf),
        lambda: Uniform(0.0, math.nan),
        lambda: LogUniform(0.0, 1.0),
        lambda: LogUniform(2.0, 1.0),
        lambda: OneMinusLogUniform(0.5, 1.0),
    ],
)
def test_ranges_that_cannot_be_searched_are_refused(make):
    with pytest.raises(ValueError, match="range"):
        make()


def test_every_default_lies_within_its_range():
    for hand_designed in ALL_HAND_DESIGNED:
        for name, searched in hand_designed.space.items():
            assert searched.low <= hand_designed.defaults[name] <= searched.high, name


def test_names_are_distinct():
    names = [hand_designed.name for hand_designed in ALL_HAND_DESIGNED]
    assert len(set(names)) == len(names)


HESSIAN = np.diag([1.0, 0.3, 0.02]) + 0.01
START = np.array([1.0, -2.0, 3.0])


def loss(params):
    return params @ jnp.asarray(HESSIAN) @ params / 2


def run(optimizer, num_steps=20):
    params, state = jnp.asarray(START), optimizer.init(jnp.asarray(START))
    path = []
    for _ in range(num_steps):
        gradient = jnp.asarray(HESSIAN) @ params
        updates, state = optimizer.update(gradient, state, params, value_fn=loss)
        params = optax.apply_updates(params, updates)
        path.append(np.asarray(params))
    return np.stack(path)


def numpy_path(step, num_steps=20):
    """The path of `step(gradient, params, memory, index) -> update` in double precision."""
    params, path, memory = START, [], {}
    for index in range(1, num_steps + 1):
        params = params + step(HESSIAN @ params, params, memory, index)
        path.append(params)
    return np.stack(path)


def sgd_step(g, x, memory, t):
    return -0.3 * g


def momentum_step(g, x, memory, t):
    memory["v"] = 0.8 * memory.get("v", 0) + g
    return -0.3 * memory["v"]


def nesterov_step(g, x, memory, t):
    memory["v"] = 0.8 * memory.get("v", 0) + g
    return -0.3 * (g + 0.8 * memory["v"])


def rmsprop_step(g, x, memory, t):
    memory["n"] = 0.8 * memory.get("n", 0) + 0.2 * g**2
    return -0.05 * g / np.sqrt(memory["n"] + 1e-3)


def adam_step(g, x, memory, t):
    memory["m"] = 0.7 * memory.get("m", 0) + 0.3 * g
    memory["n"] = 0.8 * memory.get("n", 0) + 0.2 * g**2
    corrected = memory["m"] / (1 - 0.7**t), memory["n"] / (1 - 0.8**t)
    return -0.05 * corrected[0] / (np.sqrt(corrected[1]) + 1e-3)


def adamw_step(g, x, memory, t):
    return adam_step(g, x, memory, t) - 0.05 * 0.1 * x


def sam_step(g, x, memory, t):
    return -0.3 * HESSIAN @ (x + 0.2 * g / np.linalg.norm(g))


def adagrad_step(g, x, memory, t):
    memory["n"] = memory.get("n", 0.5) + g**2
    return -0.3 * g / np.sqrt(memory["n"] + 1e-7)


def lion_step(g, x, memory, t):
    m = memory.get("m", 0)
    memory["m"] = 0.8 * m + 0.2 * g
    return -0.05 * (np.sign(0.7 * m + 0.3 * g) + 0.1 * x)


def adan_step(g, x, memory, t):
    change = g - memory.get("g", g)
    memory["g"] = g
    memory["m"] = 0.7 * memory.get("m", 0) + 0.3 * g
    memory["v"] = 0.6 * memory.get("v", 0) + 0.4 * change
    memory["n"] = 0.8 * memory.get("n", 0) + 0.2 * (g + 0.4 * change) ** 2
    m, v, n = memory["m"] / (1 - 0.7**t), memory["v"] / (1 - 0.6**t), memory["n"] / (1 - 0.8**t)
    return -0.05 * (m + 0.4 * v) / (np.sqrt(n + 1e-8) + 1e-3)


def nadamw_step(g, x, memory, t):
    memory["m"] = 0.7 * memory.get("m", 0) + 0.3 * g
    memory["n"] = 0.8 * memory.get("n", 0) + 0.2 * g**2
    ahead = 0.7 * memory["m"] / (1 - 0.7 ** (t + 1)) + 0.3 * g / (1 - 0.7**t)
    size = np.sqrt(memory["n"] / (1 - 0.8**t)) + memory.get("eps", 1e-3)
    return -0.05 * (ahead / size + 0.1 * x)


def muon_step(g, x, memory, t):
    """Of a vector: its `eps` is no hyperparameter."""
    memory["eps"] = 1e-8
    return nadamw_step(g, x, memory, t)


def schedule_free_step(g, y, memory, t):
    """Defazio et al. 2024, algorithm 1, with all averaging weights equal."""
    memory["n"] = 0.8 * memory.get("n", 0) + 0.2 * g**2
    direction = g / (np.sqrt(memory["n"] / (1 - 0.8**t)) + 1e-3) + 0.1 * y
    memory["z"] = memory.get("z", y) - 0.05 * direction
    memory["x"] = (1 - 1 / t) * memory.get("x", y) + memory["z"] / t
    return 0.3 * memory["z"] + 0.7 * memory["x"] - y


def prodigy_step(g, x, memory, t):
    """Mishchenko and Defazio 2024, algorithm 4, and Adam's corrections of bias."""
    start, d = memory.setdefault("start", x), memory.get("d", 1e-3)
    rate = d * 0.5 * np.sqrt(1 - 0.8**t) / (1 - 0.7**t)
    memory["m"] = 0.7 * memory.get("m", 0) + 0.3 * d * g
    memory["n"] = 0.8 * memory.get("n", 0) + 0.2 * (d * g) ** 2
    memory["r"] = 0.8**0.5 * memory.get("r", 0) + d * rate * (g @ (start - x))
    memory["s"] = 0.8**0.5 * memory.get("s", 0) + d * rate * g
    memory["d"] = max(d, memory["r"] / np.sum(np.abs(memory["s"])))
    return -rate * (memory["m"] / (np.sqrt(memory["n"]) + memory["d"] * 1e-8) + 0.1 * x)


def ademamix_step(g, x, memory, t):
    memory["m"] = 0.7 * memory.get("m", 0) + 0.3 * g
    memory["slow"] = 0.9 * memory.get("slow", 0) + 0.1 * g
    memory["n"] = 0.8 * memory.get("n", 0) + 0.2 * g**2
    direction = memory["m"] / (1 - 0.7**t) + 2.0 * memory["slow"]
    return -0.05 * (direction / (np.sqrt(memory["n"] / (1 - 0.8**t)) + 1e-8) + 0.1 * x)


ADAMW = {"learning_rate": 0.05, "b1": 0.7, "b2": 0.8, "eps": 1e-3, "weight_decay": 0.1}
CASES = [
    (sgd, sgd_step, {"learning_rate": 0.3}),
    (momentum, momentum_step, {"learning_rate": 0.3, "momentum": 0.8}),
    (nesterov, nesterov_step, {"learning_rate": 0.3, "momentum": 0.8}),
    (rmsprop, rmsprop_step, {"learning_rate": 0.05, "decay": 0.8, "eps": 1e-3}),
    (adam, adam_step, {"learning_rate": 0.05, "b1": 0.7, "b2": 0.8, "eps": 1e-3}),
    (adamw, adamw_step, ADAMW),
    (sam, sam_step, {"learning_rate": 0.3, "rho": 0.2}),
    (adagrad, adagrad_step, {"learning_rate": 0.3, "initial_accumulator_value": 0.5}),
    (lion, lion_step, {"learning_rate": 0.05, "b1": 0.7, "b2": 0.8, "weight_decay": 0.1}),
    (adan, adan_step, {"learning_rate": 0.05, "b1": 0.7, "b2": 0.6, "b3": 0.8, "eps": 1e-3}),
    (nadamw, nadamw_step, ADAMW),
    (
        muon,
        muon_step,
        {"learning_rate": 0.05, "beta": 0.5, "adam_b1": 0.7, "adam_b2": 0.8, "weight_decay": 0.1},
    ),
    (orthogonal_nadamw, nadamw_step, ADAMW),
    (schedule_free_adamw, schedule_free_step, ADAMW),
    (
        prodigy,
        prodigy_step,
        {"learning_rate": 0.5, "b1": 0.7, "b2": 0.8, "estim_lr0": 1e-3, "weight_decay": 0.1},
    ),
    (
        ademamix,
        ademamix_step,
        {
            "learning_rate": 0.05,
            "b1": 0.7,
            "b2": 0.8,
            "b3": 0.9,
            "alpha": 2.0,
            "weight_decay": 0.1,
        },
    ),
]


def test_there_is_a_case_for_every_optimizer():
    assert [case[0].name for case in CASES] == [x.name for x in ALL_HAND_DESIGNED]


@pytest.mark.parametrize(
    ("hand_designed", "step", "values"), CASES, ids=lambda x: getattr(x, "name", "")
)
def test_optimizers_take_the_steps_of_their_definition(hand_designed, step, values):
    assert values.keys() == hand_designed.space.keys()
    path = run(hand_designed.with_hyperparameters(**values))
    np.testing.assert_allclose(path, numpy_path(step), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("hand_designed", ALL_HAND_DESIGNED, ids=lambda x: x.name)
def test_configurations_run_side_by_side(hand_designed):
    keys = jax.random.split(jax.random.key(0), len(hand_designed.space))
    values = {
        name: searched.sample(key, (3,))
        for key, (name, searched) in zip(keys, hand_designed.space.items(), strict=True)
    }
    params = {"a": jnp.float32(2.0), "b": jnp.ones((2, 3)), "c": jnp.ones((1, 2, 1, 2))}
    grads = jax.tree.map(lambda x: 0.1 * x, params)

    def bowl(params):
        return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params)) / 20

    def updates(values):
        optimizer = hand_designed.with_hyperparameters(**values)
        state = optimizer.init(params)
        for _ in range(2):
            update, state = optimizer.update(grads, state, params, value_fn=bowl)
        return update

    together = jax.jit(jax.vmap(updates))(values)
    one_by_one = jax.jit(updates)
    for index in range(3):
        alone = one_by_one({name: value[index] for name, value in values.items()})
        for ours, theirs in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(ours[index], theirs, rtol=1e-3, atol=1e-6)


def test_schedule_free_is_judged_at_the_average_of_its_course():
    optimizer = schedule_free_adamw.with_hyperparameters(**(ADAMW))
    params = jnp.asarray(START)
    state, memory, moved = optimizer.init(params), {}, START
    for index in range(1, 6):
        updates, state = optimizer.update(jnp.asarray(HESSIAN) @ params, state, params)
        params = optax.apply_updates(params, updates)
        moved = moved + schedule_free_step(HESSIAN @ moved, moved, memory, index)
    np.testing.assert_allclose(evaluation_params(state, params), memory["x"], rtol=1e-4)


def test_prodigy_waits_for_the_first_gradient():
    optimizer = prodigy.with_hyperparameters(
        learning_rate=0.5, b1=0.7, b2=0.8, estim_lr0=1e-3, weight_decay=0.1
    )
    params = jnp.asarray(START, jnp.float32)
    state = optimizer.init(params)
    for _ in range(2):
        updates, state = optimizer.update(jnp.zeros(3), state, params)
        np.testing.assert_array_equal(updates, 0)
    updates, _ = optimizer.update(params, state, params)
    np.testing.assert_allclose(updates, prodigy_step(START, START, {}, 3), rtol=1e-5)


def test_sam_without_the_loss_is_refused():
    optimizer = sam.with_hyperparameters()
    params = jnp.ones(2)
    with pytest.raises(ValueError, match="value_fn"):
        optimizer.update(params, optimizer.init(params), params)


SLOPES = np.array([3.0, -4.0], np.float32)


@pytest.fixture(scope="module", params=ALL_HAND_DESIGNED, ids=lambda x: x.name)
def on_a_slope(request):
    """Steps down a linear loss whose gradient is `size` times the slopes."""
    optimizer = request.param.with_hyperparameters()

    @jax.jit
    def step(params, state, size):
        def value_fn(params):
            return jnp.sum(size * SLOPES * params)

        grads = jax.grad(value_fn)(params)
        return optimizer.update(grads, state, params, value_fn=value_fn)

    return request.param.name, optimizer, step


@pytest.mark.parametrize("size", [0.0, 1e-20, 1e20, 5e37])
def test_a_gradient_of_any_size_leaves_no_trace_that_is_not_finite(on_a_slope, size):
    name, optimizer, step = on_a_slope
    params = jnp.zeros(2)
    state = optimizer.init(params)
    update, state = step(params, state, size)
    if name in ("sgd", "momentum", "sam"):
        np.testing.assert_allclose(update, -np.float32(0.01) * size * SLOPES, rtol=1e-6)
    for _ in range(3):
        update, state = step(params, state, 1.0)
        assert np.all(np.isfinite(update))
        assert np.all(update * SLOPES <= 0)
    for leaf in jax.tree.leaves(state):
        assert np.all(np.isfinite(leaf))


@pytest.mark.parametrize("size", [1e-30, 1e-20, 1.0, 1e20, 1e30])
def test_sam_looks_the_same_distance_uphill_whatever_the_size_of_the_gradient(size):
    """At `size (x + x^2 / 2)` in the direction of one and all others zero, by hand."""
    optimizer = sam.with_hyperparameters(learning_rate=0.5, rho=0.25)

    def value_fn(params):
        return size * (params["x"] + params["x"] ** 2 / 2)

    params = {"x": jnp.asarray(1.0), "y": jnp.zeros(0)}
    grads = jax.grad(value_fn)(params)
    update, _ = optimizer.update(grads, optimizer.init(params), params, value_fn=value_fn)
    np.testing.assert_allclose(update["x"], -0.5 * size * (1 + 1.25), rtol=1e-5)


def test_rmsprop_recovers_from_a_gradient_whose_square_overflows():
    optimizer = rmsprop.with_hyperparameters(learning_rate=0.1, decay=0.9, eps=1e-8)
    _, state = optimizer.update(jnp.array([1e20]), optimizer.init(jnp.zeros(1)))

    def step(state, _):
        update, state = optimizer.update(jnp.array([2.0]), state)
        return state, update

    _, updates = jax.lax.scan(step, state, length=2000)
    np.testing.assert_allclose(updates[-1], [-0.1], rtol=1e-4)


def test_hyperparameters_left_out_have_their_defaults():
    np.testing.assert_array_equal(
        run(adam.with_hyperparameters(b1=0.8)),
        run(adam.with_hyperparameters(**(adam.defaults | {"b1": 0.8}))),
    )


def test_unknown_hyperparameters_are_refused_with_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'learning_rate'"):
        adam.with_hyperparameters(learningrate=0.1)


def test_space_and_defaults_must_agree():
    with pytest.raises(ValueError, match="same hyperparameters"):
        HandDesigned("mine", optax.sgd, {"learning_rate": LogUniform(0.1, 1.0)}, {})
    with pytest.raises(ValueError, match="at least one"):
        HandDesigned("mine", lambda: optax.sgd(0.1), {}, {})
