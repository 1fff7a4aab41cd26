"""Optimizers that orthogonalise directions of matrices, against NumPy and Optax."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from l2o.optimizers import (
    ademamix,
    evaluation_params,
    muon,
    nadamw,
    orthogonal_nadamw,
    per_task,
    prodigy,
    schedule_free_adamw,
)
from l2o.optimizers.newton_schulz import squarest
from l2o.optimizers.orthogonalized import is_hidden_matrix

pytestmark = pytest.mark.usefixtures("quick_compilation")

NUM_STEPS = 3
SHAPES = {
    "wide": (3, 5),
    "tall": (6, 2),
    "kernel": (3, 3, 2, 4),
    "embedding": (4, 3),
    "bias": (3,),
    "empty": (0, 2),
}
HIDDEN = ("wide", "tall", "kernel")


def draw(seed):
    generator = np.random.default_rng(seed)
    return {name: generator.normal(size=shape) for name, shape in SHAPES.items()}


GRADIENTS = [draw(seed) for seed in range(NUM_STEPS)]


@jax.enable_x64(True)
def path(optimizer, dtype=jnp.float64):
    """The parameters after each step on given gradients."""

    def step(carry, grads):
        params, state = carry
        updates, state = optimizer.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        return (params, state), params

    start = {name: jnp.asarray(value, dtype) for name, value in draw(9).items()}
    stacked = jax.tree.map(lambda *each: jnp.asarray(np.stack(each), dtype), *GRADIENTS)
    last = jax.jit(lambda: jax.lax.scan(step, (start, optimizer.init(start)), stacked)[1])()
    return jax.tree.map(np.asarray, last)


def newton_schulz(matrix):
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix / np.linalg.norm(matrix)
    for _ in range(5):
        gram = x @ x.T
        x = a * x + b * gram @ x + c * gram @ gram @ x
    return x


def root_mean_square(numbers):
    return np.sqrt(np.mean(numbers**2))


def test_orthogonal_nadamw_by_hand():
    rate, b1, b2, eps, decay = 0.1, 0.8, 0.9, 1e-6, 0.3
    optimizer = orthogonal_nadamw.with_hyperparameters(
        learning_rate=rate, b1=b1, b2=b2, eps=eps, weight_decay=decay
    )
    found, params = path(optimizer), draw(9)
    first = second = dict.fromkeys(SHAPES, 0.0)
    for step, grads in enumerate(GRADIENTS, start=1):
        first = {name: b1 * first[name] + (1 - b1) * grads[name] for name in SHAPES}
        second = {name: b2 * second[name] + (1 - b2) * grads[name] ** 2 for name in SHAPES}
        for name, grad in grads.items():
            ahead = b1 * first[name] / (1 - b1 ** (step + 1)) + (1 - b1) * grad / (1 - b1**step)
            direction = ahead / (np.sqrt(second[name] / (1 - b2**step)) + eps)
            if name in HIDDEN:
                rows = {"wide": 3, "tall": 6, "kernel": 9}[name]
                orthogonal = newton_schulz(direction.reshape(rows, -1)).reshape(grad.shape)
                direction = orthogonal * root_mean_square(direction) / root_mean_square(orthogonal)
            params[name] = params[name] - rate * (direction + decay * params[name])
            np.testing.assert_allclose(found[name][step - 1], params[name], rtol=1e-9, err_msg=name)


def test_muon_is_that_of_optax_and_adamw_for_the_others():
    values = {"beta": 0.9, "adam_b1": 0.8, "adam_b2": 0.95, "weight_decay": 0.3}
    ours = path(muon.with_hyperparameters(learning_rate=0.1, **values))
    given = values | {"adam_weight_decay": 0.3, "consistent_rms": 0.2}
    rows = optax.contrib.MuonDimensionNumbers
    numbers = dict.fromkeys(SHAPES) | {
        "wide": rows(0, 1),
        "tall": rows(0, 1),
        "kernel": rows((0, 1), (2, 3)),
    }
    theirs = path(optax.contrib.muon(0.1, **given, muon_weight_dimension_numbers=numbers))
    for name in SHAPES:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("hand_designed", [muon, orthogonal_nadamw], ids=lambda x: x.name)
def test_every_task_of_a_batch_has_matrices_of_its_own(hand_designed):
    optimizer = hand_designed.with_hyperparameters()
    params = {"w": jnp.asarray(draw(1)["wide"]), "b": jnp.ones(3)}
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, -2 * leaf]), params)

    def first(optimizer, params):
        return optimizer.update(params, optimizer.init(params), params)[0]

    together = jax.jit(lambda: first(per_task(optimizer), stacked))()
    one_by_one = jax.jit(lambda params: first(optimizer, params))
    for task in range(2):
        alone = one_by_one(jax.tree.map(lambda leaf, task=task: leaf[task], stacked))
        for name in params:
            np.testing.assert_allclose(together[name][task], alone[name], rtol=1e-4)


@pytest.mark.parametrize("hand_designed", [muon, orthogonal_nadamw], ids=lambda x: x.name)
def test_a_gradient_of_any_size_leaves_matrices_finite(hand_designed):
    optimizer = hand_designed.with_hyperparameters()
    params = jnp.asarray(draw(1)["wide"], jnp.float32)

    @jax.jit
    def two_steps(size):
        _, state = optimizer.update(size * params, optimizer.init(params), params)
        return optimizer.update(params, state, params)

    for size in (0.0, 1e-30, 1e-20, 1e20, 1e30):
        for leaf in jax.tree.leaves(two_steps(jnp.float32(size))):
            assert np.all(np.isfinite(leaf))


TARGET = np.random.default_rng(3).normal(size=(4, 4)) / 2
START = {
    name: jnp.asarray(np.random.default_rng(4).normal(size=(4, 4)) / 2, jnp.float32)
    for name in ("first", "second")
} | {"bias": jnp.zeros(4)}


@pytest.mark.parametrize(
    "hand_designed",
    [nadamw, muon, orthogonal_nadamw, schedule_free_adamw, prodigy, ademamix],
    ids=lambda x: x.name,
)
def test_two_layers_are_fitted(hand_designed):
    def loss(params):
        return jnp.mean((params["second"] @ params["first"] + params["bias"] - TARGET) ** 2)

    rate = {"prodigy": 1.0, "muon": 0.1}.get(hand_designed.name, 0.03)
    optimizer = hand_designed.scheduled(hand_designed.shapes[0]).over(200)
    optimizer = optimizer.with_hyperparameters(learning_rate=rate)

    @jax.jit
    def fit():
        def step(carry, _):
            params, state = carry
            updates, state = optimizer.update(jax.grad(loss)(params), state, params)
            return (optax.apply_updates(params, updates), state), None

        (params, state), _ = jax.lax.scan(step, (START, optimizer.init(START)), length=200)
        return loss(evaluation_params(state, params)) / loss(START)

    assert fit() < 0.05


def test_which_tensors_are_matrices():
    params = {"token_Embed": jnp.ones((2, 2)), "layers": [(jnp.ones((2, 2)), jnp.ones(2))]}
    found = jax.tree_util.tree_map_with_path(is_hidden_matrix, params)
    assert found == {"token_Embed": False, "layers": [(True, False)]}
    assert squarest((32, 16, 3, 3)) == (32, 144)
    assert squarest((3, 3, 16, 32)) == (144, 32)
    assert squarest((1, 7)) == (1, 7)
