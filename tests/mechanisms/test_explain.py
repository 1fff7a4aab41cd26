"""All analyses put together, where some of them do not apply."""

import jax
import numpy as np
import optax
import pytest

import l2o
from l2o import tasks
from l2o.mechanisms import Inapplicable, LinearResponse, explain, record_gradients

pytestmark = pytest.mark.usefixtures("quick_compilation")


def recorded(optimizer):
    return record_gradients(
        optimizer, tasks.QuadraticFamily(2), key=jax.random.key(0), num_tasks=3, num_steps=10
    )


def test_states_that_are_visited_on_a_task():
    optimizer = l2o.from_optax(optax.sgd(0.1, momentum=0.5))
    explanation = explain(optimizer, num_steps=5, record=recorded(optimizer))
    assert explanation.state_space.trajectories.shape == (10, 6, 2)
    assert "100 %" in explanation.findings["state space"]


def test_parameters_that_are_not_treated_alone_have_no_state_space():
    optimizer = l2o.from_optax(optax.chain(optax.clip_by_global_norm(0.1), optax.trace(0.9)))
    explanation = explain(optimizer, num_steps=5, record=recorded(optimizer))
    assert isinstance(explanation.state_space, Inapplicable)
    assert "own gradients" in explanation.state_space.reason


def test_a_sum_that_grows_for_ever_is_looked_at_after_some_steps():
    explanation = explain(l2o.from_optax(optax.adagrad(0.1)), num_steps=5)
    assert explanation.adaptation.num_steps == 100
    assert np.all(np.isfinite(explanation.adaptation.effective_learning_rate))
    assert isinstance(explanation.momentum, LinearResponse | Inapplicable)


def test_what_is_out_of_range():
    optimizer = l2o.from_optax(optax.sgd(0.1))
    with pytest.raises(ValueError, match="num_steps"):
        explain(optimizer, num_steps=0)
    with pytest.raises(ValueError, match="reference_gradient must be above zero"):
        explain(optimizer, reference_gradient=0.0)
