"""Learned optimizers as they are listed: made of plain settings, which `config` gives back."""

import inspect

import equinox as eqx
import jax
import numpy as np
import pytest

from l2o import multiobjective
from l2o.multiobjective import ML2O, PlainML2O
from l2o.optimizers import DM, GRU, Hierarchical, LearnedOptimizer, RNNProp, learned, sgd

KEY = jax.random.key(0)
KINDS = [
    value
    for module in (learned, multiobjective.learned)
    for value in vars(module).values()
    if isinstance(value, type)
]


@pytest.mark.parametrize("kind", KINDS)
def test_config_is_the_constructors_keywords(kind):
    parameters = inspect.signature(kind).parameters
    defaults = {name: p.default for name, p in parameters.items() if name != "key"}
    optimizer = eqx.filter_eval_shape(kind, key=KEY)
    assert optimizer.config() == defaults
    again = eqx.filter_eval_shape(kind, **optimizer.config(), key=KEY)
    assert jax.tree.structure(again) == jax.tree.structure(optimizer)
    # Equal and of one type, so that JSON gives the same text.
    for name, value in optimizer.config().items():
        assert type(value) is type(defaults[name])


@pytest.mark.parametrize(
    ("make", "title"),
    [
        (DM, "L2O-DM"),
        (RNNProp, "RNNProp"),
        (GRU, "GRU(64)"),
        (lambda key: GRU(3, key=key), "GRU(3)"),
        (Hierarchical, "L2O-Scale"),
        (ML2O, "ML2O"),
        (PlainML2O, "plain ML2O"),
    ],
)
def test_titles(make, title):
    assert eqx.filter_eval_shape(make, key=KEY).title == title


def test_titles_by_default():
    class MyRule(LearnedOptimizer):
        rate: float = 0.1

        def init(self, params):
            return ()

        def update(self, grads, state, params=None, *, value=None, **extra):
            return jax.tree.map(lambda g: -self.rate * g, grads), state

    assert MyRule().title == "MyRule"
    assert sgd.with_hyperparameters().title == "OptaxOptimizer"


def test_a_gru_by_default():
    default, given = (make(key=KEY) for make in (GRU, lambda key: GRU(64, key=key)))
    assert jax.tree.structure(default) == jax.tree.structure(given)
    pairs = zip(jax.tree.leaves(default), jax.tree.leaves(given), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)
