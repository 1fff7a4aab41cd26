"""The transformer against its formulas, written out in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.tasks import ModularAdditionFamily, TaskBatch, Transformer

KEY = jax.random.key(0)
NETWORK = Transformer(num_tokens=5, length=6, width=8, num_heads=2, num_blocks=2)
TOKENS = jnp.asarray([[0, 3, 1, 4], [2, 2, 0, 1]])


def moved(params):
    """Away from the biases and norms that initialisation has."""
    leaves, treedef = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    return jax.tree.unflatten(
        treedef,
        [
            leaf + 0.3 * jax.random.normal(key, leaf.shape)
            for leaf, key in zip(leaves, keys, strict=True)
        ],
    )


def norm(scale_and_shift, x):
    scale, shift = scale_and_shift
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(
        x.var(-1, keepdims=True) + 1e-5
    ) * scale + shift


def attention(block, x):
    """Of one sequence, head by head."""
    query, key, value = np.split(x @ block["attention_in"], 3, axis=-1)
    heads = []
    for head in (slice(0, 4), slice(4, 8)):
        scores = query[:, head] @ key[:, head].T / np.sqrt(4)
        scores[np.triu_indices(len(x), 1)] = -np.inf
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        heads.append(weights / weights.sum(-1, keepdims=True) @ value[:, head])
    return np.concatenate(heads, axis=-1) @ block["attention_out"]


def test_it_computes_its_formulas():
    params = moved(NETWORK.init(KEY))
    all_logits = NETWORK(params, TOKENS)
    params = jax.tree.map(np.asarray, params)
    for tokens, logits in zip(np.asarray(TOKENS), all_logits, strict=True):
        x = params["tokens"][tokens] + params["places"][:4]
        for block in params["blocks"]:
            x = x + attention(block, norm(block["attention_norm"], x))
            (weight, bias), (out, last) = block["in"], block["out"]
            hidden = jnp.asarray(norm(block["norm"], x) @ weight + bias)
            x = x + np.asarray(jax.nn.gelu(hidden)) @ out + last
        np.testing.assert_allclose(logits, norm(params["norm"], x) @ params["out"], atol=2e-5)


def test_what_comes_later_changes_nothing():
    params = moved(NETWORK.init(KEY))
    later = TOKENS.at[:, -1].set(0)
    before, after = NETWORK(params, TOKENS), NETWORK(params, later)
    np.testing.assert_array_equal(before[:, :-1], after[:, :-1])
    assert not np.allclose(before[:, -1], after[:, -1])


def test_units_keep_their_size_through_blocks():
    deep = Transformer(num_tokens=50, length=32, width=64, num_heads=4, num_blocks=6)
    tokens = jax.random.randint(KEY, (4, 32), 0, 50)
    assert 0.7 < jnp.std(deep(deep.init(KEY), tokens)) < 1.4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 9}, "width must be a multiple of num_heads, 2, got 9"),
        ({"num_blocks": 0}, "num_blocks must be"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Transformer(5, 2, **settings)


def test_pairs_of_modular_addition_are_split_and_all_there():
    family = ModularAdditionFamily(modulus=7, train_share=0.6, width=8)
    task = family.sample(KEY)
    (pairs, sums), (others, _) = task.train, task.test
    assert (len(pairs), len(others)) == (29, 20)
    everything = {tuple(pair) for pair in np.concatenate([pairs, others]).tolist()}
    assert everything == {(a, b) for a in range(7) for b in range(7)}
    np.testing.assert_array_equal(sums, pairs.sum(1) % 7)
    different, _ = family.sample(jax.random.key(1)).train
    assert not np.array_equal(pairs, different)


def test_modular_addition_can_be_learned_and_batched():
    batch = TaskBatch.draw(ModularAdditionFamily(modulus=7, width=16), KEY, 2)
    params = batch.init(KEY)
    losses = jax.jit(lambda params: batch.value(params, batch.sample(KEY)))
    # Nothing is known of the sums at first.
    assert np.all(np.abs(losses(params) - np.log(7)) < 1.5)
    slope = jax.jit(jax.grad(lambda params: jnp.sum(losses(params))))
    for _ in range(200):
        params = jax.tree.map(lambda leaf, by: leaf - 0.1 * by, params, slope(params))
    assert np.all(losses(params) < 0.7)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train_share": 1.0}, "train_share"),
        ({"modulus": 2, "train_share": 0.05}, "leaves 0 of 4 pairs"),
        ({"modulus": 1}, "modulus must be"),
    ],
)
def test_splits_without_pairs_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ModularAdditionFamily(**settings)
