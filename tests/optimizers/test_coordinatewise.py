import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings, strategies as st

from l2o.optimizers import DM, GRU, RNNProp, flatten, from_optax, per_task, unflatten
from l2o.optimizers.learned_optimizer import PerTask

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)
TREES = {
    "mixed dtypes": {
        "half": jnp.array([[0.5, -2.0]], jnp.bfloat16),
        "single": jnp.array([1.1, 2.2, 3.3]),
        "scalar": jnp.asarray(7.0, jnp.bfloat16),
    },
    "half precision alone": [jnp.array([0.25, 3.0], jnp.float16)],
    "empty leaves": {"a": jnp.zeros((0, 3)), "b": jnp.ones(2), "c": jnp.zeros(0)},
    "None and nesting": (None, {"x": [jnp.ones((2, 1)), None], "y": (jnp.asarray(2.0),)}),
    "nothing at all": {"a": None, "b": []},
    "one number": jnp.asarray(3.0),
}


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_flatten_and_back(tree):
    vector = flatten(tree)
    assert vector.dtype == jnp.float32
    assert vector.shape == (sum(leaf.size for leaf in jax.tree.leaves(tree)),)
    again = unflatten(vector, tree)
    assert jax.tree.structure(again) == jax.tree.structure(tree)
    for one, other in zip(jax.tree.leaves(again), jax.tree.leaves(tree), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_flatten_keeps_the_order_of_leaves():
    vector = flatten({"b": jnp.array([[3.0, 4.0], [5.0, 6.0]]), "a": jnp.array([1.0, 2.0])})
    np.testing.assert_array_equal(vector, [1, 2, 3, 4, 5, 6])


def test_double_precision_stays(x64):
    assert flatten([jnp.ones(1, jnp.float64), jnp.ones(1, jnp.float32)]).dtype == jnp.float64


@jax.jit
def two_updates(optimizer, gradients):
    state = optimizer.init(gradients[0])
    first, state = optimizer.update(gradients[0], state)
    second, _ = optimizer.update(gradients[1], state)
    return jnp.stack([first, second])


COUNT = 6


@pytest.fixture(scope="module", params=["dm", "rnnprop", "gru"])
def optimizer(request, random_like):
    return random_like(
        {
            "dm": lambda: DM(3, key=KEY),
            "rnnprop": lambda: RNNProp(3, key=KEY),
            "gru": lambda: GRU(3, key=KEY),
        }[request.param]()
    )


@settings(max_examples=20)
@given(
    order=st.permutations(range(COUNT)),
    gradients=st.lists(st.floats(-1e3, 1e3, width=32), min_size=2 * COUNT, max_size=2 * COUNT),
)
def test_reordered_coordinates_get_reordered_updates(optimizer, order, gradients):
    gradients = np.asarray(gradients, np.float32).reshape(2, COUNT)
    updates = np.asarray(two_updates(optimizer, gradients))
    reordered = np.asarray(two_updates(optimizer, gradients[:, order]))
    np.testing.assert_allclose(reordered, updates[:, order], rtol=1e-5, atol=1e-7)


def test_a_coordinate_does_not_notice_the_others(optimizer):
    gradients = np.random.default_rng(0).standard_normal((2, COUNT)).astype(np.float32)
    updates = np.asarray(two_updates(optimizer, gradients))
    gradients[0, 1:] *= -3
    changed = np.asarray(two_updates(optimizer, gradients))
    np.testing.assert_allclose(changed[:, 0], updates[:, 0], rtol=1e-6)
    assert np.all(changed[:, 1:] != updates[:, 1:])


def test_only_other_optimizers_are_mapped_over_tasks(optimizer):
    assert per_task(optimizer) is optimizer
    adam = from_optax(optax.adam(0.1))
    mapped = per_task(adam)
    assert isinstance(mapped, PerTask)
    assert mapped.optimizer is adam
