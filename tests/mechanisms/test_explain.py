"""All analyses put together, where some of them do not apply."""

import jax
import numpy as np
import optax
import pytest

import l2o
from l2o import tasks
from l2o.mechanisms import (
    Inapplicable,
    LinearResponse,
    Presence,
    adaptation_curve,
    coordinate_dynamics,
    explain,
    find_mechanisms,
    record_gradients,
)

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
    with pytest.raises(ValueError, match="reference_gradient must be a finite number above 0"):
        explain(optimizer, reference_gradient=0.0)


@pytest.mark.parametrize("learning_rate", [float("nan"), float("inf")])
def test_updates_that_are_not_finite_are_said_to_be(learning_rate):
    with pytest.raises(ValueError, match="updates are not finite numbers from the first step on"):
        explain(l2o.from_optax(optax.adam(learning_rate)))


def test_what_stands_still_is_not_judged():
    """At the step that was asked for, the schedule has ended."""
    schedule = optax.cosine_decay_schedule(0.1, 20)
    dynamics = coordinate_dynamics(l2o.from_optax(optax.sgd(schedule, momentum=0.9)))
    mechanisms = find_mechanisms(dynamics, num_steps=30, time=1000)
    presence = mechanisms.presence
    assert presence.pop("schedule") is Presence.PRESENT
    assert set(presence.values()) == {Presence.UNCLEAR}
    assert "at step 1,000 it stands still" in mechanisms.momentum.reason


def test_learning_rates_that_are_rounding_do_not_adapt():
    """An RMS average far below any learning rate, which changes by factors all the same."""
    dynamics = coordinate_dynamics(l2o.from_optax(optax.rmsprop(1e-30)))
    curve = adaptation_curve(dynamics, np.array([-1.0, 1.0, 10.0]))
    assert curve.effective_learning_rate[1] > 5 * curve.effective_learning_rate[2]
    assert not curve.present


@pytest.mark.parametrize(
    ("optimizer", "sentence"),
    [
        (optax.polyak_sgd(), "needs the loss for a step .*polyak_sgd"),
        (optax.lbfgs(), "needs the loss for a step .*line searches"),
        (optax.MultiSteps(optax.adam(0.1), 3), "acts at every k-th step alone"),
    ],
)
def test_what_is_no_dynamics_of_one_gradient(optimizer, sentence):
    with pytest.raises(ValueError, match=sentence):
        explain(l2o.from_optax(optimizer))


def test_what_fails_with_a_loss_too_fails_as_it_does():
    def update(updates, state, params=None):
        raise TypeError("Nothing works.")

    broken = optax.GradientTransformation(lambda params: optax.EmptyState(), update)
    with pytest.raises(TypeError, match=r"Nothing works\."):
        explain(l2o.from_optax(broken))
