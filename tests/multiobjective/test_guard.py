import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from adversary import Adversary

import l2o
from l2o import multiobjective as mo
from l2o.multiobjective import problems
from l2o.optimizers import per_task
from l2o.tasks import Quadratic, QuadraticFamily, TaskBatch

pytestmark = pytest.mark.usefixtures("quick_compilation")

PROBLEMS = {
    "jos1": lambda: problems.jos1(10),
    "random_quadratics": lambda: problems.random_quadratics(
        jax.random.key(1), 3, 6, scales=jnp.array([1.0, 1000.0, 1.0])
    ),
    "fonseca": lambda: problems.fonseca(5),
    "slcdt1": problems.SLCDT1,
    "slcdt2": problems.SLCDT2,
    "hil1": problems.Hil1,
    "cagrad_toy": problems.CAGradToy,
}
RULES = {
    "decrease": mo.SufficientDecrease(),
    "direction": mo.DirectionTest(),
    "best": mo.BestOfTwo(),
    "projection": mo.DualConeProjection(),
}


def run(problem, optimizer, num_steps):
    start = problem.sample_start(jax.random.key(2))

    def step(carry, _):
        params, state = carry
        losses, jacobian = problem.losses(params), problem.jacobian(params)
        update, state = optimizer.update(
            jacobian, state, params, value=losses, grad=jacobian, value_fn=problem.losses
        )
        seen = losses, mo.criticality(jacobian), state.accepted
        return (params + update, state), seen

    scan = jax.jit(
        lambda start: jax.lax.scan(step, (start, optimizer.init(start)), None, length=num_steps)
    )
    return scan(start)[1]


@pytest.mark.parametrize("name", PROBLEMS)
def test_no_objective_rises_and_omega_goes_to_zero(name, x64):
    losses, omega, accepted = run(PROBLEMS[name](), l2o.guard(Adversary()), 250)
    assert np.diff(losses, axis=0).max() <= 1e-12 * np.abs(losses).max()
    assert omega[-1] < 1e-5 * (1 + omega[0])
    assert not accepted.all()


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_withstands_adversaries(rule):
    losses, omega, _ = run(problems.jos1(5), l2o.guard(Adversary(), RULES[rule]), 80)
    assert np.diff(losses, axis=0).max() <= 1e-6
    # What is left of a bad direction in the dual cone hardly descends.
    assert omega[-1] < (0.2 if rule == "projection" else 1e-3) * omega[0]


@pytest.mark.parametrize("kind", ["ascent", "nan"])
def test_an_optimizer_that_is_always_bad_is_never_let_through(kind):
    losses, omega, accepted = run(problems.jos1(5), l2o.guard(Adversary(kind)), 80)
    assert not accepted[1:].any()
    assert np.diff(losses, axis=0).max() <= 1e-6
    assert omega[-1] < 1e-3 * omega[0]


def test_standing_still_is_not_let_through_in_single_precision():
    """The decrease that is asked for is soon below the losses' last digit."""
    still = l2o.guard(optax.chain(mo.aggregate(mo.mean), optax.set_to_zero()))
    losses, omega, accepted = run(problems.jos1(10), still, 60)
    assert losses.dtype == jnp.float32
    assert not accepted.any()
    assert omega[-1] < 1e-4 * omega[0]


def test_a_residual_test_lets_objectives_rise():
    # Its average begins at omega of the start and the learner walks to where gradients fade.
    losses, _, accepted = run(
        problems.jos1(5), l2o.guard(Adversary("noise"), mo.ResidualTest(factor=1.5)), 60
    )
    assert accepted.any()
    assert np.diff(losses, axis=0).max() > 1e-3


def test_a_good_optimizer_is_let_alone():
    optimizer = optax.chain(mo.aggregate(mo.mgda), optax.sgd(0.5))
    guarded = l2o.guard(optimizer)
    losses, _, accepted = run(problems.jos1(5), guarded, 10)
    assert accepted.all()
    assert losses[-1].max() < losses[0].max()


def test_fallback_without_normalization_is_steepest_descent():
    problem = problems.jos1(4)
    start = problem.sample_start(jax.random.key(0))
    optimizer = l2o.guard(Adversary("nan"), fallback=mo.Fallback(normalizes=False))
    losses, jacobian = problem.losses(start), problem.jacobian(start)
    update, state = optimizer.update(
        jacobian, optimizer.init(start), start, value=losses, value_fn=problem.losses
    )
    descent = mo.common_descent(jacobian)
    assert not state.accepted
    assert state.criticality == pytest.approx(float(descent.criticality))
    np.testing.assert_allclose(update, descent.direction, rtol=1e-5)
    assert state.first_step == 2.0


def test_one_objective_in_the_inner_loop():
    task = Quadratic(jnp.diag(jnp.array([1.0, 10.0])), jnp.ones(2))
    for name in ("decrease", "projection"):
        guarded = l2o.guard(Adversary(), RULES[name])
        losses = l2o.unroll(guarded, task, jax.random.key(0), 40).losses
        assert np.diff(losses).max() <= 1e-5
        assert losses[-1] < losses[0]


def test_several_tasks_have_a_guard_each():
    tasks = TaskBatch.draw(QuadraticFamily(3), jax.random.key(0), 4)
    guarded = per_task(l2o.guard(Adversary("ascent")))
    trajectory = l2o.unroll(guarded, tasks, jax.random.key(1), 30)
    assert trajectory.losses.shape == (31, 4)
    assert np.diff(trajectory.losses, axis=0).max() <= 1e-5


def test_can_be_differentiated():
    problem = problems.jos1(3)
    start = problem.sample_start(jax.random.key(0))

    def end(rate):
        guarded = l2o.guard(l2o.from_optax(optax.chain(mo.aggregate(mo.mgda), optax.sgd(rate))))
        params, state = start, guarded.init(start)
        for _ in range(2):
            losses, jacobian = problem.losses(params), problem.jacobian(params)
            update, state = guarded.update(
                jacobian, state, params, value=losses, value_fn=problem.losses
            )
            params = params + update
        return jnp.sum(problem.losses(params))

    slope = jax.jit(jax.grad(end))(0.3)
    assert jnp.isfinite(slope)
    assert slope < 0


def test_says_what_it_needs():
    guarded = l2o.guard(optax.sgd(0.1))
    params = jnp.ones(2)
    state = guarded.init(params)
    with pytest.raises(ValueError, match="value_fn="):
        guarded.update(params, state, params, value=jnp.ones(()))
    with pytest.raises(ValueError, match="one loss or m losses"):
        guarded.update(params, state, params, value=jnp.ones((2, 2)), value_fn=jnp.sum)
