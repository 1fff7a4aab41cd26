"""AdafacMLP, Celo2 and NominalMLP against their formulas, written out in NumPy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import l2o
from l2o.optimizers import AdafacMLP, Celo2, NominalMLP, as_optax
from l2o.optimizers.newton_schulz import orthogonalize
from l2o.tasks import Reparameterized, SingleTask, Task

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)
SHAPES = {"scalar": (), "bias": (3,), "square": (4, 4), "tall": (6, 2), "kernel": (3, 2, 4, 5)}
DECAYS = (0.9, 0.99, 0.999)


def at_random(seed, shapes=SHAPES, dtype=None):
    keys = jax.random.split(jax.random.key(seed), len(shapes))
    return {
        name: jax.random.normal(key, shape, dtype)
        for key, (name, shape) in zip(keys, shapes.items(), strict=True)
    }


def root_mean_square(leaf):
    return np.sqrt(np.mean(np.square(leaf, dtype=np.float64)))


def in_double(optimizer):
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float64), optimizer)


def run(optimizer, params, gradients, *, moving=True):
    """All updates; of parameters that stay where they are unless they are moving."""
    state, all_updates = optimizer.init(params), []
    update = eqx.filter_jit(lambda *of_a_step: optimizer.update(*of_a_step))
    for grads in gradients:
        updates, state = update(grads, state, params)
        all_updates.append(updates)
        if moving:
            params = optax.apply_updates(params, updates)
    return all_updates


# ----- The published formulas, a tensor at a time, as section 2 of the notes has them.


class Published:
    """What is remembered of one tensor, and features of it."""

    def __init__(self, shape):
        self.shape = shape or (1,)
        self.m = [np.zeros(self.shape) for _ in range(3)]
        self.v = np.zeros(self.shape)
        axes = np.argsort(self.shape, kind="stable")
        self.axes = (axes[-2], axes[-1]) if len(self.shape) > 1 else None
        self.r, self.c = [0.0] * 3, [0.0] * 3

    def remember(self, g, m_decays, v_decay, f_decays):
        self.m = [b * m + (1 - b) * g for b, m in zip(m_decays, self.m, strict=True)]
        self.v = v_decay * self.v + (1 - v_decay) * g**2
        squares = g**2 + 1e-30
        d1, d0 = self.axes or (None, None)
        rows = squares.mean(d0, keepdims=True) if self.axes else squares
        columns = squares.mean(d1, keepdims=True) if self.axes else squares
        self.r = [f * r + (1 - f) * rows for f, r in zip(f_decays, self.r, strict=True)]
        self.c = [f * c + (1 - f) * columns for f, c in zip(f_decays, self.c, strict=True)]

    def factors(self):
        d1, _ = self.axes
        return [
            1
            / np.sqrt(np.maximum(r / (r.mean(d1, keepdims=True) + 1e-9), 1e-9))
            / np.sqrt(np.maximum(c, 1e-9))
            for r, c in zip(self.r, self.c, strict=True)
        ]

    def adafac(self, g, p):
        root = 1 / np.sqrt(self.v + 1e-6)
        features = [g, p, *self.m, self.v, *(m * root for m in self.m), root]
        if self.axes:
            scales, of_m = self.factors(), self.factors()
        else:
            scales = [1 / np.sqrt(np.maximum(v + 1e-9, 1e-9)) for v in self.r]
            of_m = [1 / np.sqrt(v + 1e-6) for v in self.r]
        features += [g * scale for scale in scales]
        features += [*self.r, *self.c]
        features += [1 / np.sqrt(moment + 1e-8) for moment in (*self.r, *self.c)]
        features += [m * scale for m, scale in zip(self.m, of_m, strict=True)]
        return [np.broadcast_to(feature, self.shape) for feature in features]

    def celo2(self, g, p):
        root = 1 / np.sqrt(self.v + 1e-8)
        features = [g, np.clip(g, -0.1, 0.1), p, *self.m, self.v]
        features += [*(m * root for m in self.m), root]
        if self.axes:
            features += [g * scale for scale in self.factors()]
        else:
            features += [g / np.sqrt(np.maximum(v + 1e-9, 1e-9)) for v in self.r]
        features += [g * root]
        if self.axes:
            features += [*self.r, *self.c]
            features += [1 / np.sqrt(moment + 1e-8) for moment in (*self.r, *self.c)]
            features += [m * scale for m, scale in zip(self.m, self.factors(), strict=True)]
        return [np.broadcast_to(feature, self.shape) for feature in features]


def network(optimizer, inputs):
    """Dense layers; inputs lie on the last axis."""
    *hidden, last = zip(optimizer.network.weights, optimizer.network.biases, strict=True)
    for weight, bias in hidden:
        inputs = np.maximum(inputs @ np.asarray(weight[:, : inputs.shape[-1]]).T + bias, 0)
    return inputs @ np.asarray(last[0]).T + last[1]


def rms_to_one(x, axes, smallest):
    return x / np.sqrt(smallest + np.mean(x**2, axis=axes, keepdims=True))


def published_adafac(optimizer, memory, g, p, step):
    memory.remember(
        g,
        [
            1 - (1 - b) * np.exp(10 * x)
            for b, x in zip(DECAYS, optimizer.average_decays, strict=True)
        ],
        1 - (1 - 0.999) * np.exp(10 * optimizer.square_decays[0]),
        [
            1 - (1 - b) * np.exp(10 * x)
            for b, x in zip(DECAYS, optimizer.factored_decays, strict=True)
        ],
    )
    axes = tuple(range(g.ndim))
    inputs = [rms_to_one(feature, axes, 1e-5) for feature in memory.adafac(g, p)]
    times = [1, 3, 10, 30, 100, 300, 1000, 3000, 10000, 30000, 100000]
    inputs += [np.full(g.shape, np.tanh(step / time - 1)) for time in times]
    direction, magnitude = np.moveaxis(network(optimizer, np.stack(inputs, -1)), -1, 0)
    return -1e-3 * direction * np.exp(1e-3 * magnitude)


def published_celo2(optimizer, memory, g, p, step):
    del step
    g = np.clip(g, -1000, 1000)
    memory.remember(g, DECAYS, 0.95, DECAYS)
    axes = tuple(range(g.ndim))[-2:]
    inputs = [rms_to_one(feature, axes, 1e-9) for feature in memory.celo2(g, p)]
    direction = network(optimizer, np.stack(inputs, -1))[..., 0]
    if optimizer.orthogonal and g.ndim > 1:
        x = np.swapaxes(direction, -2, -1) if g.shape[-2] > g.shape[-1] else direction
        x = x / (np.linalg.norm(x, axis=(-2, -1), keepdims=True) + 1e-8)
        for _ in range(5):
            gram = x @ np.swapaxes(x, -2, -1)
            x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
        direction = np.swapaxes(x, -2, -1) if g.shape[-2] > g.shape[-1] else x
    return -optimizer.learning_rate * rms_to_one(direction, axes, 1e-9)


PUBLISHED = {
    "adafac": (lambda: AdafacMLP(key=KEY), published_adafac),
    "adafac of 32 units": (lambda: AdafacMLP(32, key=KEY), published_adafac),
    "celo2": (lambda: Celo2(key=KEY), published_celo2),
    "celo2 orthogonal": (lambda: Celo2(orthogonal=True, key=KEY), published_celo2),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_it_does_what_the_formulas_say(name):
    make, published = PUBLISHED[name]
    with jax.enable_x64(True):
        optimizer = in_double(make())
        # Decay rates and biases that are not as they begin.
        keys = jax.random.split(KEY, len(jax.tree.leaves(optimizer)))
        optimizer = jax.tree.unflatten(
            jax.tree.structure(optimizer),
            [
                leaf + 0.02 * jax.random.normal(key, leaf.shape, jnp.float64)
                for key, leaf in zip(keys, jax.tree.leaves(optimizer), strict=True)
            ],
        )
        params = at_random(1, dtype=jnp.float64)
        gradients = [
            jax.tree.map(lambda leaf, step=step: 10.0 ** (step - 2) * leaf, at_random(step + 2))
            for step in range(5)
        ]
        gradients = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), gradients)
        all_updates = run(optimizer, params, gradients)
        for tensor, shape in SHAPES.items():
            memory, p = Published(shape), np.asarray(params[tensor]).reshape(shape or (1,))
            for step, (grads, updates) in enumerate(zip(gradients, all_updates, strict=True)):
                g = np.asarray(grads[tensor]).reshape(p.shape)
                expected = published(optimizer, memory, g, p, step)
                actual = np.asarray(updates[tensor]).reshape(p.shape)
                np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-13)
                p = p + expected


def test_they_have_as_many_meta_parameters_as_published():
    def count(optimizer):
        return sum(leaf.size for leaf in jax.tree.leaves(optimizer))

    assert [count(AdafacMLP(size, key=KEY)) for size in (4, 32)] == [197, 2409]
    assert count(Celo2(key=KEY)) == 347
    assert count(NominalMLP(key=KEY)) == 97


def test_of_celo2s_meta_parameters_329_act():
    optimizer, shapes = Celo2(key=KEY), {"a": (8, 8), "b": (9,)}
    params, grads = at_random(0, shapes), at_random(1, shapes)
    state, network = optimizer.init(params), optimizer.network

    @jax.jit
    def updates_with(last):
        moved = eqx.tree_at(
            lambda rule: (rule.network.weights[-1], rule.network.biases[-1]), optimizer, last
        )
        return moved.update(grads, state, params)[0]

    # Of the last layer's three outputs, only the first does anything.
    last = (network.weights[-1], network.biases[-1])
    now = updates_with(last)
    of_others = [leaf.at[1:].add(1.0) for leaf in last]
    jax.tree.map(np.testing.assert_array_equal, updates_with(tuple(of_others)), now)
    of_first = [leaf.at[:1].add(1.0) for leaf in last]
    assert not np.allclose(updates_with(tuple(of_first))["a"], now["a"])
    assert 347 - 2 * (8 + 1) == 329


def test_every_step_of_celo2_has_the_learning_rate_as_its_size():
    optimizer = Celo2(learning_rate=0.01, key=KEY)
    params = at_random(0)
    for updates in run(optimizer, params, [at_random(step) for step in range(3)]):
        for name in ("bias", "square", "tall"):
            # But for the 1e-9 that the mean square is added to.
            np.testing.assert_allclose(root_mean_square(updates[name]), 0.01, rtol=1e-3)


def test_newton_schulz_makes_singular_values_equal_and_keeps_vectors():
    matrix = jax.random.normal(KEY, (3, 5, 8))
    left, values, right = np.linalg.svd(np.asarray(orthogonalize(matrix)), full_matrices=False)
    assert np.all((values > 0.6) & (values < 1.3))
    expected_left, _, expected_right = np.linalg.svd(np.asarray(matrix), full_matrices=False)
    np.testing.assert_allclose(left @ right, expected_left @ expected_right, atol=0.4)
    np.testing.assert_allclose(
        orthogonalize(matrix.swapaxes(1, 2)), orthogonalize(matrix).swapaxes(1, 2), atol=1e-5
    )
    for scale in (1e-30, 1e30):
        scaled = orthogonalize(scale * matrix, smallest_norm=0.0)
        np.testing.assert_allclose(scaled, orthogonalize(matrix, smallest_norm=0.0), atol=1e-5)
    assert not np.any(orthogonalize(jnp.zeros((2, 3))))


# ----- NominalMLP


def test_without_meta_training_it_is_nadam():
    with jax.enable_x64(True):
        optimizer = in_double(NominalMLP(learning_rate=0.03, key=KEY))
        params = at_random(1, dtype=jnp.float64)
        gradients = [at_random(step + 2, dtype=jnp.float64) for step in range(40)]
        # The unit of gradients is a power of two: for 1 the offset in the denominator is Optax's.
        gradients[0] = jax.tree.map(lambda leaf: leaf / jnp.max(jnp.abs(leaf)), gradients[0])
        actual = run(optimizer, params, gradients)
        nadam = l2o.from_optax(optax.nadam(0.03, eps=1e-8))
        for updates, expected in zip(actual, run(nadam, params, gradients), strict=True):
            for name in SHAPES:
                np.testing.assert_allclose(updates[name], expected[name], rtol=1e-9)


def trained(seed=3, **settings):
    """One whose network does something."""
    optimizer = NominalMLP(key=KEY, **settings)
    last = 0.3 * jax.random.normal(jax.random.key(seed), optimizer.network.weights[-1].shape)
    return eqx.tree_at(lambda optimizer: optimizer.network.weights[-1], optimizer, last)


@pytest.mark.parametrize("orthogonal", [False, True])
def test_the_scale_of_gradients_changes_nothing(orthogonal):
    optimizer, params = trained(orthogonal=orthogonal), at_random(1)
    gradients = [at_random(step + 2) for step in range(6)]
    powers = {"scalar": 2.0**-60, "bias": 2.0**40, "square": 1e3, "tall": 1e-20, "kernel": 1e20}
    scaled = [{name: powers[name] * leaf for name, leaf in grads.items()} for grads in gradients]
    pairs = zip(run(optimizer, params, gradients), run(optimizer, params, scaled), strict=True)
    for one, other in pairs:
        for name in SHAPES:
            rounding = 2e-5 * root_mean_square(one[name])
            np.testing.assert_allclose(one[name], other[name], rtol=1e-4, atol=rounding)
        for name in ("scalar", "bias"):
            np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize("relative", [False, True])
def test_opposite_gradients_at_opposite_parameters_give_opposite_updates(relative):
    optimizer = trained(relative=relative)
    params, gradients = at_random(1), [at_random(step + 2) for step in range(4)]
    opposite = jax.tree.map(jnp.negative, (params, gradients))
    pairs = zip(run(optimizer, params, gradients), run(optimizer, *opposite), strict=True)
    for one, other in pairs:
        jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, -b), one, other)


class Network(Task):
    """A small network with a hidden layer, biases at zero and fixed data."""

    def init(self, key):
        keys = jax.random.split(key)
        return {
            "in": jax.random.normal(keys[0], (5, 12)) / jnp.sqrt(5),
            "bias": jnp.zeros(12),
            "out": jax.random.normal(keys[1], (12, 2)) / jnp.sqrt(12),
            "last": jnp.zeros(2),
        }

    def loss(self, params, batch):
        del batch
        inputs = jax.random.normal(jax.random.key(7), (64, 5))
        targets = jnp.stack([jnp.sin(inputs[:, 0]), inputs[:, 1] * inputs[:, 2]], axis=1)
        hidden = jnp.tanh(inputs @ params["in"] + params["bias"])
        return jnp.mean((hidden @ params["out"] + params["last"] - targets) ** 2)


UNITS = {
    "all small": {"in": -6.9, "bias": -6.9, "out": -6.9, "last": -6.9},
    "all large": {"in": 6.9, "bias": 6.9, "out": 6.9, "last": 6.9},
    "tensor by tensor": {"in": 6.9, "bias": -6.9, "out": -6.9, "last": 6.9},
}


@pytest.mark.parametrize("orthogonal", [False, True])
def test_parameters_in_other_units_take_the_same_course_in_relative_mode(orthogonal):
    task, units = Network(), [*UNITS.values(), dict.fromkeys(UNITS["all small"], 0.0)]
    scales = [
        {name: jnp.full(leaf.shape, unit[name]) for name, leaf in task.init(KEY).items()}
        for unit in units
    ]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *scales)

    def final_losses(relative):
        optimizer = trained(relative=relative, orthogonal=orthogonal, learning_rate=0.02)

        def losses(log_scale):
            return l2o.unroll(optimizer, Reparameterized(task, log_scale), KEY, 150).losses

        return jax.jit(jax.vmap(losses))(stacked)

    losses = final_losses(relative=True)
    assert losses[-1, -1] < 0.3 * losses[-1, 0]
    np.testing.assert_allclose(losses[:, -1], losses[-1, -1], rtol=0.02)
    # The absolute mode does not have that.
    others = final_losses(relative=False)[:, -1]
    assert np.any(np.abs(others / others[-1] - 1) > 0.5)


@pytest.mark.parametrize("shapes", [{"vector": (3,)}, {"zero": (2, 2)}, {}])
def test_in_relative_mode_there_is_a_step_where_nothing_has_a_size(shapes):
    optimizer = NominalMLP(relative=True, learning_rate=0.1, key=KEY)
    params = {name: jnp.zeros(shape) for name, shape in shapes.items()}
    for updates in run(optimizer, params, [at_random(1, shapes), at_random(2, shapes)]):
        assert all(np.any(leaf) and np.all(np.isfinite(leaf)) for leaf in updates.values())


def test_an_orthogonal_step_has_the_size_of_the_step_and_equal_singular_values():
    # Of several steps: the first is nearly a matrix of signs, which may have no rank.
    params, gradients = at_random(1), [at_random(step + 2) for step in range(4)]
    *_, plain = run(NominalMLP(key=KEY), params, gradients)
    *_, orthogonal = run(NominalMLP(orthogonal=True, key=KEY), params, gradients)
    for name in ("tall", "kernel"):
        np.testing.assert_allclose(
            root_mean_square(orthogonal[name]), root_mean_square(plain[name]), rtol=1e-5
        )
        values = np.linalg.svd(orthogonal[name].reshape(-1, params[name].shape[-1]))[1]
        assert values.min() > 0.45 * values.max()
    np.testing.assert_array_equal(orthogonal["bias"], plain["bias"])


@pytest.mark.parametrize("shapes", [{"weight": (64, 64), "bias": (64,)}, {"bias": (640,)}])
def test_its_state_is_little_more_than_three_numbers_a_parameter(shapes):
    params = at_random(0, shapes)
    counts = [
        sum(leaf.size for leaf in jax.tree.leaves(tree))
        for tree in (NominalMLP(key=KEY).init(params), params)
    ]
    assert 3 * counts[1] < counts[0] < 3.1 * counts[1]


def test_embeddings_can_be_kept_out_of_orthogonal_steps():
    params = at_random(0, {"embedding": (5, 4), "weight": (6, 4)})
    rules = {name: as_optax(NominalMLP(orthogonal=name == "weight", key=KEY)) for name in params}
    parts = optax.partition(rules, {name: name for name in params})
    grads = at_random(1, {"embedding": (5, 4), "weight": (6, 4)})
    updates, _ = parts.update(grads, parts.init(params), params)
    for name, rule in rules.items():
        alone, _ = rule.update(
            {name: grads[name]}, rule.init({name: params[name]}), {name: params[name]}
        )
        np.testing.assert_allclose(updates[name], alone[name], rtol=1e-5)


# ----- What all of them share


RULES = {
    "adafac": AdafacMLP(key=KEY),
    "celo2": Celo2(key=KEY),
    "nominal": trained(relative=True, orthogonal=True),
}


@pytest.mark.parametrize("name", RULES)
def test_tensors_of_one_shape_do_not_see_each_other(name):
    optimizer = RULES[name]
    shapes = {"a": (3, 4), "b": (3, 4), "c": (5,)}
    params, gradients = at_random(0, shapes), [at_random(1, shapes), at_random(2, shapes)]
    together = run(optimizer, params, gradients)
    # What all tensors tell of sizes changes nothing here: all matrices have one.
    alone = run(optimizer, {"a": params["a"]}, [{"a": grads["a"]} for grads in gradients])
    for updates, of_one in zip(together, alone, strict=True):
        np.testing.assert_allclose(updates["a"], of_one["a"], rtol=2e-4, atol=1e-8)


@pytest.mark.parametrize("name", RULES)
def test_a_deeper_network_has_no_more_programs(name):
    def equations(depth):
        params = {f"{index}": jnp.ones((4, 4)) for index in range(depth)}
        state = RULES[name].init(params)
        jaxpr = jax.make_jaxpr(RULES[name].update)(params, state, params)
        return len(jaxpr.eqns)

    # Stacking and taking apart alone.
    assert (equations(40) - equations(4)) / 36 < 12 < equations(4) / 4


@pytest.mark.parametrize("name", RULES)
def test_it_refuses_what_it_cannot_do(name):
    optimizer, params = RULES[name], at_random(0)
    state = optimizer.init(params)
    with pytest.raises(ValueError, match="takes params"):
        optimizer.update(params, state)
    with pytest.raises(ValueError, match="trees of the same shapes"):
        optimizer.update({"a": jnp.ones(3)}, state, {"a": jnp.ones(3)})
    transposed = jax.tree.map(jnp.transpose, params)
    with pytest.raises(ValueError, match="stacked tensors of shapes"):
        optimizer.update(transposed, state, transposed)


def test_meta_training_makes_it_better():
    optimizer = NominalMLP(learning_rate=0.003, key=KEY)
    family = SingleTask(Network())
    result = l2o.metatrain(
        optimizer,
        family,
        key=KEY,
        meta_steps=60,
        num_tasks=4,
        horizon=20,
        truncation=20,
        estimator=l2o.metatraining.PES(),
        meta_optimizer=optax.adam(3e-2),
        validation_every=60,
        validation_tasks=2,
    )

    def score(optimizer):
        return jnp.mean(l2o.unroll(optimizer, Network(), KEY, 20).losses)

    assert result.num_skipped == 0
    assert score(result.optimizer) < 0.9 * score(optimizer)


@pytest.mark.parametrize("name", ["celo2", "nominal"])
def test_the_gradient_with_respect_to_meta_parameters_is_that_of_finite_differences(name):
    shapes = {"weight": (3, 4), "other": (3, 4), "bias": (4,)}
    with jax.enable_x64(True):
        optimizer = in_double(RULES[name])
        params = at_random(0, shapes, jnp.float64)
        gradients = [at_random(step + 1, shapes, jnp.float64) for step in range(2)]
        leaves, treedef = jax.tree.flatten(optimizer)
        direction = [
            jax.random.normal(jax.random.key(index), leaf.shape, jnp.float64)
            for index, leaf in enumerate(leaves)
        ]

        @jax.jit
        def moved(distance):
            shifted = [leaf + distance * way for leaf, way in zip(leaves, direction, strict=True)]
            optimizer, state, all_updates = jax.tree.unflatten(treedef, shifted), start, []
            for grads in gradients:
                updates, state = optimizer.update(grads, state, params)
                all_updates.append(updates)
            return sum(jnp.sum(jnp.sin(1e3 * leaf)) for leaf in jax.tree.leaves(all_updates))

        start = optimizer.init(params)
        expected = (moved(1e-6) - moved(-1e-6)) / 2e-6
        np.testing.assert_allclose(jax.jit(jax.grad(moved))(0.0), expected, rtol=1e-5)


def test_schedule_clipping_and_decay_stand_around_it():
    params, grads = at_random(0), at_random(1)
    alone = NominalMLP(learning_rate=1.0, key=KEY)
    chain = optax.chain(
        optax.clip_by_global_norm(1.0),
        as_optax(alone),
        optax.add_decayed_weights(-0.1),
        optax.scale_by_schedule(optax.warmup_cosine_decay_schedule(0.0, 0.1, 2, 10)),
    )
    state, all_updates = chain.init(params), []
    update = jax.jit(chain.update)
    for _ in range(2):
        updates, state = update(grads, state, params)
        all_updates.append(updates["square"])
    norm = np.sqrt(sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(grads)))
    clipped = jax.tree.map(lambda leaf: leaf / norm, grads)
    _, expected = run(alone, params, [clipped, clipped], moving=False)
    np.testing.assert_array_equal(all_updates[0], jnp.zeros((4, 4)))
    np.testing.assert_allclose(
        all_updates[1], 0.05 * (expected["square"] - 0.1 * params["square"]), rtol=1e-4
    )
