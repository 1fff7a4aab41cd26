"""Fresh states can be donated: no buffer is in two leaves, nor a setting's or a parameter's."""

import inspect

import jax.numpy as jnp
import pytest

import l2o
from l2o import multiobjective
from l2o.multiobjective import StatefulWeighting, guards, upgrad
from l2o.optimizers import momentum

PARAMS = {"matrix": jnp.ones((2, 3)), "one": jnp.ones(1)}
NEEDS_ONE = {"CRMOGM": upgrad, "Scalarized": jnp.max}
WEIGHTINGS = {
    name: kind(NEEDS_ONE[name]) if name in NEEDS_ONE else kind()
    for name, kind in vars(multiobjective).items()
    if inspect.isclass(kind) and issubclass(kind, StatefulWeighting) and kind != StatefulWeighting
}


@pytest.mark.parametrize("name", WEIGHTINGS)
@pytest.mark.parametrize("num_objectives", [1, 3])
def test_states_of_weightings(shared_buffers, name, num_objectives):
    weighting = WEIGHTINGS[name]
    assert not shared_buffers(weighting, weighting.init(num_objectives))


@pytest.mark.parametrize("name", ["moco", "db_mtl", "excess_mtl"])
def test_states_of_transformations(shared_buffers, name):
    transformation = getattr(multiobjective, name)(3)
    assert not shared_buffers(PARAMS, transformation.init(PARAMS))


RULES = (
    guards.SufficientDecrease,
    guards.ResidualTest,
    guards.BestOfTwo,
    guards.DirectionTest,
    guards.DualConeProjection,
)


@pytest.mark.parametrize("rule", RULES)
def test_states_of_guards(shared_buffers, rule):
    optimizer = momentum.with_hyperparameters()
    for guarded in (
        l2o.guard(optimizer, rule()),
        guards.guard_at_intervals(
            optimizer, lambda params: jnp.sum(params["one"]), rule(), every=2
        ),
    ):
        assert not shared_buffers(guarded, PARAMS, guarded.init(PARAMS))
