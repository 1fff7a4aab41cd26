"""Meta-training of optimizers that hold more than arrays: functions, numbers, integer tables."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.metatraining import Exact, FirstOrder, Imitation, metatrain
from l2o.optimizers import LearnedOptimizer, RecurrentOptimizer
from l2o.optimizers.cells import GRU
from l2o.optimizers.layers import Chain, Layer, Linear, Rows

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(2)


class WithMLP(LearnedOptimizer):
    """A user's own optimizer, straight from Equinox's building blocks."""

    network: eqx.nn.MLP
    table: jax.Array
    rate: float = 0.1

    def init(self, params):
        return ()

    def update(self, grads, state, params=None, *, value=None, **extra):
        def step(gradient):
            gain = jax.vmap(self.network)(gradient.reshape(-1, 1))
            return -self.rate * gradient * jax.nn.sigmoid(gain).reshape(gradient.shape)

        return jax.tree.map(step, grads), state


@pytest.fixture
def optimizer():
    return WithMLP(eqx.nn.MLP(1, 1, 4, 1, key=KEY), jnp.arange(3))


def train(optimizer, family, **settings):
    sizes = {"num_tasks": 2, "horizon": 4, "truncation": 2, "validation_tasks": 2}
    return metatrain(
        optimizer, family, key=KEY, **sizes, **({"meta_steps": 4, "validation_every": 2} | settings)
    )


def arrays(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree) if eqx.is_array(leaf)]


@pytest.mark.parametrize(
    "settings",
    [{}, {"estimator": Exact()}, {"imitation": Imitation(0.5)}],
    ids=["first order", "exact", "imitation"],
)
def test_it_is_trained_and_validated(optimizer, parabolas, settings):
    result = train(optimizer, parabolas(), **settings)
    for trained in (result.optimizer, result.last_optimizer):
        assert trained.network.activation is optimizer.network.activation
        assert trained.rate == 0.1
        np.testing.assert_array_equal(trained.table, [0, 1, 2])
    assert np.any(result.optimizer.network.layers[0].weight != optimizer.network.layers[0].weight)


def test_it_is_kept_in_checkpoints(optimizer, parabolas, tmp_path):
    straight = train(optimizer, parabolas())
    train(optimizer, parabolas(), folder=tmp_path, meta_steps=2)
    resumed = train(optimizer, parabolas(), folder=tmp_path, resume=True)
    assert resumed.optimizer.network.activation is optimizer.network.activation
    for one, other in zip(arrays(resumed), arrays(straight), strict=True):
        np.testing.assert_array_equal(one, other)


class Squashed(Layer):
    """Every element times a learned factor, through a function that is a leaf."""

    factor: jax.Array
    function: object
    power: int

    def forward(self, inputs, state):
        outputs, slope = jax.jvp(self.function, (self.factor * inputs,), (jnp.ones_like(inputs),))
        return outputs, state, (Rows(slope), Rows(inputs))

    def backward(self, replay, outputs, state):
        slope, inputs = replay
        gradient = eqx.tree_at(lambda layer: layer.factor, self, jnp.sum(slope * inputs * outputs))
        return gradient, self.factor * slope * outputs, state


class WithOwnLayer(RecurrentOptimizer):
    network: Layer

    def features(self, gradient, accumulators, step):
        return gradient[None], accumulators


def test_the_block_wise_gradient_passes_over_them(parabolas):
    """Both ways to take the first-order gradient agree."""
    network = Chain(
        (
            GRU(1, 3, key=KEY),
            Squashed(jnp.asarray(0.7), jnp.tanh, 2),
            Linear(3, 1, key=KEY),
        )
    )
    by_blocks, at_once = (
        train(
            WithOwnLayer(network), parabolas(), estimator=FirstOrder(kept), meta_steps=2
        ).last_optimizer
        for kept in (0, 2**25)
    )
    assert by_blocks.network.layers[1].function is jnp.tanh
    assert by_blocks.network.layers[1].factor != 0.7
    for one, other in zip(arrays(by_blocks), arrays(at_once), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
