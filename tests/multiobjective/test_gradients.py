from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from l2o import multiobjective as mo
from l2o.gradients import stacked_at_trunk
from l2o.multiobjective import gradients, linearized, stacked
from l2o.tasks import TrunkAndHeads

pytestmark = pytest.mark.usefixtures("quick_compilation")

M = 5
INPUTS = jnp.asarray(np.random.default_rng(0).standard_normal((7, 3)), jnp.float32)


def representation(trunk):
    return jnp.tanh(INPUTS @ trunk["weights"] + trunk["bias"])


def head_loss(index, head, hidden):
    return jnp.mean((hidden @ head - INPUTS[:, index % 3] * (index + 1)) ** 2)


def losses(params):
    hidden = representation(params.trunk)
    return jnp.stack([head_loss(i, head, hidden) for i, head in enumerate(params.heads)])


@pytest.fixture
def params(random_like):
    trunk = {"weights": jnp.zeros((3, 4)), "bias": jnp.zeros(4)}
    return random_like(TrunkAndHeads(trunk, tuple(jnp.zeros(4) for _ in range(M))))


def split(losses, params, chunk_size=1):
    del losses
    return mo.trunk_split(representation, head_loss, params, chunk_size=chunk_size)


WAYS = {
    "stacked": stacked,
    "one by one": linearized,
    "chunks that do not divide": partial(linearized, chunk_size=2),
    "all together": partial(linearized, chunk_size=M),
    "a chunk too large": partial(linearized, chunk_size=M + 1),
    "chosen": gradients,
    "trunk split": split,
    "trunk split, in chunks that do not divide": partial(split, chunk_size=2),
}


@pytest.mark.parametrize("way", WAYS)
def test_all_ways_agree_with_the_jacobian(way, params, assert_trees_close):
    jacobian = jax.jacrev(losses)(params)
    weights = jnp.arange(1.0, M + 1)

    @jax.jit
    def find(params):
        found = WAYS[way](losses, params)
        return found.losses, found.gramian(), found.combine(weights)

    values, products, combined = find(params)
    expected = mo.gramian(jacobian)
    np.testing.assert_allclose(values, losses(params), rtol=1e-6)
    np.testing.assert_allclose(products, expected, rtol=1e-5, atol=1e-6 * jnp.max(expected))
    np.testing.assert_array_equal(products, products.matrix.T)
    wanted = jax.tree.map(lambda leaf: jnp.tensordot(weights, leaf, axes=1), jacobian)
    assert_trees_close(combined, wanted, rtol=1e-5, atol=1e-5)


SCALES = 10.0 ** np.array([20.0, -20.0, 0.0, 30.0, -30.0])


def scaled_loss(index, head, hidden):
    return SCALES[index] * head_loss(index, head, hidden)


@pytest.mark.parametrize(
    "way",
    [
        partial(linearized, chunk_size=2),
        lambda _, params: mo.trunk_split(representation, scaled_loss, params, chunk_size=2),
        lambda _, params: stacked_at_trunk(representation, scaled_loss, params),
    ],
)
# Where a gradient is all of the head, of the trunk, or of both.
@pytest.mark.parametrize("heads", [1.0, 0.0, 1e-8])
def test_losses_of_any_scale(way, heads, params):
    """Against dense matrices in double precision."""
    params = TrunkAndHeads(params.trunk, jax.tree.map(lambda leaf: heads * leaf, params.heads))

    def scaled(params):
        return jnp.asarray(SCALES, losses(params).dtype) * losses(params)

    with jax.enable_x64(True):
        double = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), float), params)
        jacobian = jax.jacrev(losses)(double)
        leaves = [np.asarray(leaf).reshape(M, -1) for leaf in jax.tree.leaves(jacobian)]
    dense = np.concatenate(leaves, axis=1) * SCALES[:, None]
    norms = np.linalg.norm(dense, axis=1)
    found = jax.jit(lambda params: way(scaled, params).gramian())(params)
    np.testing.assert_allclose(found.norms, norms, rtol=1e-5)
    units = dense / norms[:, None]
    np.testing.assert_allclose(found.cosines, units @ units.T, atol=2e-6)
    weights = np.float32(1 / norms)
    combined = way(scaled, params).combine(jnp.asarray(weights))
    expected = weights @ dense
    numbers = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(combined)])
    np.testing.assert_allclose(numbers, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("way", "is_apart"),
    [
        (lambda losses, trunk, head_loss, params: stacked(losses, params), False),
        (lambda losses, trunk, head_loss, params: linearized(losses, params), False),
        (lambda losses, *given: stacked_at_trunk(*given), True),
        (lambda losses, *given: mo.trunk_split(*given), True),
    ],
)
def test_a_slope_that_is_infinite(way, is_apart):
    """It spoils no other loss's gradient where they can be told apart, and else all of them."""
    slopes = np.array([[2.0, 1.0], [np.inf, 0.0], [0.0, 3.0]])
    params = TrunkAndHeads(jnp.array([0.0, 0.5]), (jnp.zeros(1),) * 3)

    def head_loss(index, head, hidden):
        root = jnp.sqrt(hidden[0]) if index == 1 else slopes[index] @ hidden
        return 1.0 + root + jnp.sum(head)

    def losses(params):
        return jnp.stack([head_loss(i, head, params.trunk) for i, head in enumerate(params.heads)])

    found = way(losses, lambda trunk: trunk, head_loss, params)
    rows, gramian = found.stack().trunk, found.gramian()
    assert not jnp.isfinite(gramian.norms[1])
    others = np.array([0, 2])
    if is_apart:
        # Heads count 1 in every norm.
        norms = np.sqrt((slopes[others] ** 2).sum(1) + 1)
        np.testing.assert_allclose(rows[others], slopes[others])
        np.testing.assert_allclose(gramian.norms[others], norms, rtol=1e-6)
        np.testing.assert_allclose(gramian.cosines[0, 2], 3.0 / norms.prod(), rtol=1e-6)
        np.testing.assert_allclose(found.combine(jnp.array([1.0, 0.0, 2.0])).trunk, [2.0, 7.0])
    else:
        assert not jnp.isfinite(gramian.norms).any()
    # What a weighting with a state makes of nobody who is present.
    np.testing.assert_array_equal(found.combine(jnp.zeros(3)).trunk, 0.0)


@pytest.mark.parametrize("way", ["one by one", "trunk split"])
def test_gradients_go_first_in_a_chain(way, params, assert_trees_close):
    optimizer = optax.chain(mo.aggregate(jnp.diagonal), optax.sgd(0.1))

    @jax.jit
    def step(params):
        found = WAYS[way](losses, params)
        return optimizer.update(found, optimizer.init(params), params)[0]

    expected, _ = optimizer.update(jax.jacrev(losses)(params), optimizer.init(params), params)
    assert_trees_close(step(params), expected, rtol=1e-4, atol=1e-5)


def test_they_can_leave_a_compiled_function(params, assert_trees_close):
    found = jax.jit(partial(linearized, losses))(params)
    weights = jnp.ones(M)
    assert_trees_close(
        found.combine(weights), stacked(losses, params).combine(weights), rtol=1e-5, atol=1e-5
    )


def test_a_weighting_of_losses_takes_theirs(params, assert_trees_close):
    optimizer = mo.aggregate(mo.DWA(), num_objectives=M)
    _, state = optimizer.update(linearized(losses, params), optimizer.init(params), params)
    _, expected = optimizer.update(
        jax.jacrev(losses)(params), optimizer.init(params), params, value=losses(params)
    )
    assert_trees_close(state, expected, rtol=1e-6)


@pytest.mark.parametrize("way", ["stacked", "one by one", "trunk split"])
def test_an_aggregator_of_jacobians_stacks_them(way, params, assert_trees_close):
    optimizer = mo.aggregate_jacobian(partial(mo.trimmed_mean, num_trimmed=1))
    state = optimizer.init(params)
    found, _ = optimizer.update(WAYS[way](losses, params), state)
    expected, _ = optimizer.update(stacked(losses, params).jacobian, state)
    assert_trees_close(found, expected, rtol=1e-5, atol=1e-6)


def test_chooses_by_size(params):
    bytes_of_one = 4 * (3 * 4 + 4 + M * 4)
    assert isinstance(gradients(losses, params), mo.StackedGradients)
    assert isinstance(gradients(losses, params, most_bytes=M * bytes_of_one), mo.StackedGradients)
    for most_bytes, chunk_size in {
        M * bytes_of_one - 1: M - 1,
        3 * bytes_of_one: 3,
        3 * bytes_of_one - 1: 2,
        1: 1,
    }.items():
        found = gradients(losses, params, most_bytes=most_bytes)
        assert isinstance(found, mo.LinearizedGradients)
        assert found.chunk_size == chunk_size


def test_linearized_gradients_take_the_memory_of_a_few(random_like):
    m, size, features = 32, 1000, 100
    inputs, heads = random_like((jnp.zeros((2, size)), jnp.zeros((features, m))))

    def gradients_in_memory(way):
        def update(weights):
            found = way(lambda weights: jnp.mean(jnp.tanh(inputs @ weights) @ heads, 0), weights)
            return found.combine(jnp.diagonal(found.gramian()))

        compiled = jax.jit(update).lower(jnp.zeros((size, features))).compile()
        return compiled.memory_analysis().temp_size_in_bytes / (4 * size * features)

    assert gradients_in_memory(stacked) >= m
    assert gradients_in_memory(linearized) < 3
    assert gradients_in_memory(partial(linearized, chunk_size=8)) < 3 * 8


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (jnp.sum, r"vector.*\(\)"),
        (lambda x: x[None], "vector"),
        (lambda x: x[:0], "vector"),
        (lambda x: (x, x), "vector"),
        (lambda x: jnp.argmax(x)[None], "vector"),
    ],
)
@pytest.mark.parametrize("way", [stacked, linearized, gradients])
def test_says_what_losses_are(way, wrong, match):
    with pytest.raises(ValueError, match=match):
        way(wrong, jnp.ones(3))


@pytest.mark.parametrize("way", [stacked, linearized, gradients])
@pytest.mark.parametrize("params", [jnp.arange(3), {}])
def test_says_what_parameters_are(way, params):
    with pytest.raises(ValueError, match="floating-point arrays"):
        way(lambda x: jnp.ones(2), params)


def test_says_what_numbers_can_be(params):
    with pytest.raises(ValueError, match="chunk_size must be a whole number of at least 1"):
        linearized(losses, params, chunk_size=0)
    with pytest.raises(ValueError, match="chunk_size must be a whole number of at least 1"):
        mo.trunk_split(representation, head_loss, params, chunk_size=0)
    with pytest.raises(ValueError, match="most_bytes must be at least 1"):
        gradients(losses, params, most_bytes=0)
