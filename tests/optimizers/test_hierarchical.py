"""L2O-Scale against a plain NumPy version of its formulas."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.optimizers import Hierarchical, per_task

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)
SHAPES = [(2, 3), (4,)]


@eqx.filter_jit
def init(optimizer, params):
    return optimizer.init(params)


@eqx.filter_jit
def one_step(optimizer, grads, state):
    return optimizer.update(grads, state)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def gru(cell, inputs, state, extra):
    """One column, as the note on Open-L2O's code writes it."""
    size = len(state)
    weight, bias = np.asarray(cell.gate_weight), np.asarray(cell.gate_bias)
    gates = weight @ np.concatenate([inputs, state]) + bias + extra[: 2 * size]
    reset, update = sigmoid(gates[:size]), sigmoid(gates[size:])
    weight, bias = np.asarray(cell.candidate_weight), np.asarray(cell.candidate_bias)
    candidate = np.tanh(weight @ np.concatenate([inputs, reset * state]) + bias + extra[2 * size :])
    return update * state + (1 - update) * candidate


def affine(layer, state):
    return np.asarray(layer.weight) @ state + np.asarray(layer.bias)


class Reference:
    """One tensor and one coordinate after another."""

    def __init__(self, optimizer, log_rates):
        self.optimizer = optimizer
        self.step = 0
        sizes = [int(np.prod(shape)) for shape in SHAPES]
        self.eta = np.split(np.array(log_rates), np.cumsum(sizes)[:-1])
        self.a = [np.zeros((size, 4)) for size in sizes]
        self.ms = [np.zeros((size, 4)) for size in sizes]
        self.d = [np.zeros(size) for size in sizes]
        self.s = [np.zeros(size) for size in sizes]
        initial = np.asarray(optimizer.coordinate_cell.initial_state)
        self.h0 = [np.tile(initial, (size, 1)) for size in sizes]
        self.h1 = [np.asarray(optimizer.tensor_cell.initial_state) for _ in sizes]
        self.h2 = np.asarray(optimizer.global_cell.initial_state)

    def update(self, grads):
        o, read = self.optimizer, self.optimizer.readouts
        mean_eta = np.mean(np.concatenate(self.eta))
        updates, layer_states = [], []
        for t, grad in enumerate(grads):
            directions, rates, inputs = [], [], []
            for c, g in enumerate(np.ravel(grad)):
                scaled = []
                for i, power in enumerate([1, 1 / 2, 1 / 4, 1 / 8]):
                    d = self.d[t][c] ** power
                    a = (1 - d) * g + d * self.a[t][c, i]
                    s = self.s[t][c]
                    ms = a**2 if self.step == 0 else s * self.ms[t][c, i] + (1 - s) * (a**2 + 1e-12)
                    self.a[t][c, i], self.ms[t][c, i] = a, ms
                    scaled.append(np.arcsinh(a / np.sqrt(ms + 1e-16)))
                logs = np.log(self.ms[t][c] + 1e-16)
                products = [scaled[i] * scaled[i + 1] for i in range(3)]
                features = np.concatenate(
                    [scaled, products, logs - logs.mean(), [self.eta[t][c] - mean_eta]]
                )
                extra = affine(o.tensor_to_coordinate, self.h1[t]) + affine(
                    o.global_to_coordinate, self.h2
                )
                h = gru(o.coordinate_cell, features, self.h0[t][c], extra)
                self.h0[t][c] = h
                inputs.append(np.concatenate([h, features]))
                directions.append(h @ read.direction + np.dot(scaled, read.gradients))
                self.s[t][c] = sigmoid(h @ read.square_decay + read.square_decay_bias)
                self.d[t][c] = sigmoid(h @ read.average_decay + read.average_decay_bias)
                e = np.clip(self.eta[t][c] + h @ read.rate_change + read.rate_change_bias, -33, 33)
                memory = sigmoid(float(read.rate_memory))
                self.eta[t][c] = memory * self.eta[t][c] + (1 - memory) * e
                rates.append(np.exp(e + read.log_scale))
            directions = np.array(directions) / np.sqrt(np.mean(np.square(directions)) + 1e-16)
            updates.append(np.reshape(-np.array(rates) * directions, grad.shape))
            layer_states.append(
                gru(
                    o.tensor_cell,
                    np.mean(inputs, axis=0),
                    self.h1[t],
                    affine(o.global_to_tensor, self.h2),
                )
            )
        self.h1 = layer_states
        seen = layer_states[-1:] if o.last_tensor_only else layer_states
        self.h2 = gru(o.global_cell, np.mean(seen, axis=0), self.h2, np.zeros(3 * len(self.h2)))
        self.step += 1
        return updates


def test_number_of_meta_parameters():
    leaves = jax.tree.leaves(eqx.filter(Hierarchical(key=KEY), eqx.is_inexact_array))
    assert sum(leaf.size for leaf in leaves) == 8349


@pytest.mark.parametrize("last_tensor_only", [False, True])
def test_updates_are_those_of_the_formulas(x64, random_like, last_tensor_only):
    optimizer = Hierarchical(3, 4, 5, last_tensor_only, key=KEY)
    optimizer = random_like(optimizer, scale=0.5)
    params = [jnp.ones(shape) for shape in SHAPES]
    state = init(optimizer, params)
    reference = Reference(optimizer, state.log_rates)
    generator = np.random.default_rng(0)
    for _ in range(4):
        grads = [generator.standard_normal(shape) for shape in SHAPES]
        updates, state = one_step(optimizer, [jnp.asarray(grad) for grad in grads], state)
        for ours, theirs in zip(updates, reference.update(grads), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-10)


def test_untrained_it_descends_with_steps_of_the_learned_rates():
    optimizer = Hierarchical(key=KEY)
    params = {"w": jnp.ones((30, 40)), "b": jnp.ones(50)}
    state = init(optimizer, params)
    rates = jnp.exp(state.log_rates)
    assert 1e-6 <= float(rates.min()) < 1e-4 < float(rates.max()) <= 1e-2
    updates, _ = one_step(optimizer, params, state)
    assert sum(float(jnp.sum(update)) for update in jax.tree.leaves(updates)) < 0


def test_initial_rates_are_within_their_range():
    optimizer = Hierarchical(smallest_initial_rate=0.01, largest_initial_rate=0.1, key=KEY)
    rates = jnp.exp(init(optimizer, {"w": jnp.ones(1000)}).log_rates)
    # Half of the logarithm is the tensor's own.
    assert 0.01 <= float(rates.min()) < float(rates.max()) <= 0.1
    np.testing.assert_allclose(rates.max() / rates.min(), np.sqrt(10), rtol=0.05)
    with pytest.raises(ValueError, match="must be at most largest_initial_rate"):
        Hierarchical(smallest_initial_rate=0.1, largest_initial_rate=0.01, key=KEY)


def test_initial_rates_depend_on_sizes_alone():
    """Else rounding would decide, which is another in a compiled loop and in a user's own."""
    optimizer = Hierarchical(3, 4, 5, key=KEY)
    params = {"a": jnp.full((2, 3), 0.1), "b": jax.random.normal(KEY, (4,))}
    rates = optimizer.init(params).log_rates
    compiled = init(optimizer, jax.tree.map(lambda leaf: 3 * leaf, params)).log_rates
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf + 1]), params)
    mapped = eqx.filter_jit(per_task(optimizer).init)(stacked).log_rates
    with jax.enable_x64(True):
        in_double = optimizer.init(jax.tree.map(lambda leaf: leaf.astype(float), params)).log_rates
    for other in (compiled, *mapped, in_double):
        # Computed in another order at most.
        np.testing.assert_allclose(other, rates, rtol=1e-6)
    others = optimizer.init({"a": jnp.zeros((2, 4)), "b": jnp.zeros(2)}).log_rates
    assert np.all(others != rates)
    assert len(np.unique(rates)) == 10


@pytest.mark.parametrize("size", [1e-30, 1e20, 3e38])
def test_a_first_step_at_gradients_of_any_size(random_like, size):
    """At first only directions count, so that it is the step at gradients of size one."""
    optimizer = random_like(Hierarchical(3, 4, 5, key=KEY), scale=0.3)
    signs = jnp.array([1.0, -1.0, -1.0, 1.0])
    state = init(optimizer, signs)
    (one, _), (other, after) = (one_step(optimizer, x * signs, state) for x in (1.0, size))
    if size > 1:
        np.testing.assert_allclose(one, other, rtol=1e-5)
    for leaf in jax.tree.leaves((other, after)):
        assert np.all(np.isfinite(leaf))


def test_one_huge_gradient_leaves_the_other_tensors_alone():
    optimizer = Hierarchical(3, 4, 5, key=KEY)
    grads = {"a": jnp.array([0.3, -0.2]), "b": jnp.array([1.0, 2.0, -1.0])}
    huge = grads | {"b": grads["b"].at[1].set(1e30)}
    paths = []
    for first in (grads, huge):
        _, state = one_step(optimizer, first, init(optimizer, grads))
        for _ in range(5):
            update, state = one_step(optimizer, grads, state)
        paths.append(update)
    assert np.all(np.isfinite(paths[1]["b"]))
    np.testing.assert_allclose(paths[1]["a"], paths[0]["a"], rtol=0.05)


def test_direction_does_not_depend_on_the_scale_of_a_tensors_gradient():
    optimizer = Hierarchical(key=KEY)
    grads = {"w": jax.random.normal(KEY, (3, 4)), "b": jnp.ones(2)}
    state = init(optimizer, grads)
    once, _ = one_step(optimizer, grads, state)
    scaled, _ = one_step(optimizer, {**grads, "w": 1000 * grads["w"]}, state)
    np.testing.assert_allclose(once["w"], scaled["w"], rtol=1e-3)


def test_parameters_of_one_tensor_may_trade_places():
    optimizer = Hierarchical(key=KEY)
    grads = jax.random.normal(KEY, (5,))
    state = init(optimizer, grads)
    order = jnp.array([3, 1, 4, 0, 2])

    def permute(leaf):
        return leaf[..., order] if leaf.ndim and leaf.shape[-1] == 5 else leaf

    updates, _ = one_step(optimizer, grads, state)
    permuted, _ = one_step(optimizer, grads[order], jax.tree.map(permute, state))
    np.testing.assert_allclose(permuted, updates[order], rtol=1e-5)


def test_learning_rates_clip_with_the_derivative_of_the_identity(x64):
    optimizer = Hierarchical(3, 4, 5, key=KEY)
    grads = jnp.ones(2)
    state = init(optimizer, grads)

    def first_rate(bias):
        changed = eqx.tree_at(lambda o: o.readouts.rate_change_bias, optimizer, bias)
        _, new = one_step(changed, grads, state)
        return new.log_rates[0]

    value, slope = jax.value_and_grad(first_rate)(jnp.asarray(100.0))
    memory = float(jax.nn.sigmoid(3.2))
    assert value == pytest.approx(memory * state.log_rates[0] + (1 - memory) * 33.0)
    assert slope == pytest.approx(1 - memory)


def test_several_tasks_are_mapped(random_like):
    optimizer = random_like(Hierarchical(3, 4, 5, key=KEY), scale=0.3)
    params = jax.random.normal(KEY, (2, 6))
    batched = per_task(optimizer)
    updates, _ = one_step(batched, params, init(batched, params))
    for task in range(2):
        alone, _ = one_step(optimizer, params[task], init(optimizer, params[task]))
        np.testing.assert_allclose(updates[task], alone, rtol=1e-5)
