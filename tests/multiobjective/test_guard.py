from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from adversary import Adversary

import l2o
from l2o import multiobjective as mo
from l2o.gradients import gradient_norms
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


@pytest.mark.parametrize("kind", ["slight ascent", "slight descent"])
def test_a_step_that_does_less_than_is_asked_is_not_let_through(kind, x64):
    losses, omega, accepted = run(problems.jos1(5), l2o.guard(Adversary(kind)), 10)
    assert not accepted[1:].any()
    assert np.diff(losses, axis=0).max() < 0
    assert omega[-1] < omega[0]


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
    assert state.fallback.first_step == 2.0


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


def given(update):
    """An optimizer that gives this update, whatever the gradients are."""
    return optax.GradientTransformation(
        lambda _: (), lambda grads, state, params=None: (update, state)
    )


def one_step(optimizer, params, losses, jacobian=None, state=None):
    """A guarded step with gradients as they are, or as they are said to be."""
    jacobian = jax.jacrev(losses)(params) if jacobian is None else jacobian
    state = optimizer.init(params) if state is None else state
    return optimizer.update(jacobian, state, params, value=losses(params), value_fn=losses)


@pytest.mark.parametrize("rule", [*RULES.values(), mo.ResidualTest(factor=2.0)])
@pytest.mark.parametrize("number", [jnp.nan, jnp.inf])
def test_parameters_that_no_loss_looks_at_stay_finite(rule, number):
    """Such as a head without labels in this batch, or an unused row of an embedding."""
    params = {"seen": jnp.ones(2), "unseen": jnp.ones(3)}
    good = {"seen": -0.1 * jnp.ones(2), "unseen": jnp.array([0.0, number, 0.0])}
    met = []

    def losses(params):
        is_finite = jnp.all(jnp.isfinite(params["unseen"]))
        jax.debug.callback(lambda is_finite: met.append(bool(is_finite)), is_finite)
        return jnp.stack([jnp.sum(params["seen"] ** 2), jnp.sum(params["seen"])])

    update, state = one_step(l2o.guard(given(good), rule), params, losses)
    jax.effects_barrier()
    assert not state.accepted
    assert all(met)
    assert jnp.all(jnp.isfinite(update["unseen"]))
    assert jnp.all(update["seen"] < 0)


@pytest.mark.parametrize("rule", RULES)
def test_a_loss_of_minus_infinity_is_no_success(rule):
    def losses(x):
        # The logarithm of a likelihood that has no bound, say.
        return jnp.stack([jnp.where(x[0] < -5, -jnp.inf, x[0]), x[0] ** 2 + x[0]])

    update, state = one_step(l2o.guard(given(jnp.array([-7.0])), RULES[rule]), jnp.ones(1), losses)
    assert jnp.all(jnp.isfinite(losses(jnp.ones(1) + update)))
    assert state.accepted == (rule in ("direction", "projection"))  # a part of the way


def test_searches_in_vain_become_rare():
    evaluations = []

    def losses(x):
        jax.debug.callback(lambda: evaluations.append(1))
        return jnp.array([1.0, 2.0]) + 0.0 * x[0]

    guarded = l2o.guard(given(jnp.full(2, jnp.nan)))
    jacobian, params = jnp.array([[1.0, 0.0], [0.5, 0.5]]), jnp.zeros(2)
    value = jnp.array([1.0, 2.0])
    update = jax.jit(partial(guarded.update, value_fn=losses))
    state = guarded.init(params)
    for _ in range(100):
        _, state = update(jacobian, state, params, value=value)
    jax.effects_barrier()
    # Each step asks for the losses once; searches come after 0, 1, 3, 7, 15, 31 and 63 pauses.
    assert state.fallback.num_failures == 6
    assert len(evaluations) == 100 + 6 * 40


def test_a_search_in_vain_is_forgotten_once_the_optimizer_moves():
    def losses(x):
        return jnp.stack([jnp.sum(x**2)])

    params = jnp.array([1.0, 1.0])
    bad, good = l2o.guard(given(0 * params)), l2o.guard(given(-0.1 * params))
    _, state = one_step(bad, params, losses, jacobian=jnp.array([[-1.0, 0.0]]))
    assert (state.fallback.num_failures, state.fallback.pause) == (1, 1)
    # The next search, if there is one, goes on where this one ended.
    assert state.fallback.first_step == 2.0**-40
    _, state = one_step(good, params, losses, state=state)
    assert state.accepted
    assert (state.fallback.num_failures, state.fallback.pause) == (0, 0)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("normalizes", [True, False])
def test_an_objective_without_gradient_holds_nobody_up(rule, normalizes):
    """A task without labels in this batch."""

    def losses(x):
        return jnp.stack([jnp.sum((x - 1) ** 2), 0.0 * jnp.sum(x), jnp.sum((x + 1) ** 2)])

    guarded = l2o.guard(
        Adversary("ascent"), RULES[rule], fallback=mo.Fallback(normalizes=normalizes)
    )
    x = jnp.array([3.0, 4.0])
    before = losses(x)
    state = guarded.init(x)
    step = jax.jit(lambda x, state: one_step(guarded, x, losses, state=state))
    for _ in range(30):
        update, state = step(x, state)
        x = x + update
    assert jnp.all(losses(x) <= before)
    # Critical for the two others.
    assert mo.criticality(jax.jacrev(losses)(x)[::2]) < 0.1 * mo.criticality(
        jax.jacrev(losses)(jnp.array([3.0, 4.0]))[::2]
    )


def test_an_objective_without_gradient_must_not_rise():
    """At its minimum, say, from which any move is a loss."""

    def losses(x):
        return jnp.stack([x[0] ** 2, (x[0] - 1) ** 2])

    for rule in RULES.values():
        update, state = one_step(l2o.guard(given(jnp.array([0.1])), rule), jnp.zeros(1), losses)
        assert update[0] == 0.0
        assert not state.accepted


def test_norms_of_gradients_of_any_size():
    rows = jnp.array([[3.0, 4.0], [3e30, 4e30], [3e-30, 4e-30], [0.0, 0.0]])
    norms = gradient_norms({"a": rows[:, :1], "b": rows[:, 1:]})
    np.testing.assert_allclose(norms, [5.0, 5e30, 5e-30, 0.0], rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: mo.Fallback(slope=1.0), "slope"),
        (lambda: mo.Fallback(first_step=jnp.nan), "first_step"),
        (lambda: mo.Fallback(most_halvings=0), "most_halvings"),
        (lambda: mo.SufficientDecrease(-1e-4), "sigma"),
        (lambda: mo.DirectionTest(smallest_slope=0.0), "smallest_slope"),
        (lambda: mo.ResidualTest(rate=2.0), "rate"),
        (lambda: mo.DualConeProjection(largest_norm=jnp.inf), "largest_norm"),
    ],
)
def test_settings_have_ranges(make, name):
    with pytest.raises(ValueError, match=f"{name} must be a"):
        make()


@pytest.mark.parametrize("rule", ["direction", "projection"])
@pytest.mark.parametrize("update", [(-48.0, 16.0), (-3.0, 0.5), (40.0, -24.0)])
def test_rules_hold_in_any_units(rule, update):
    """In units of x that are s times smaller, losses are s^2 and updates s times as large.

    With s = 2^60, some 1e18, squares of updates overflow in single precision.
    """

    def step(scale):
        centres = scale * jnp.array([[0.0, 0.0], [1.0, 0.0]])

        def losses(params):
            return jnp.sum((params - centres) ** 2, axis=1) / 2

        params = scale * jnp.array([1.5, -0.5])
        guarded = mo.guard(given(scale * jnp.array(update)), RULES[rule])
        made, state = one_step(guarded, params, losses)
        return made / scale, state.accepted, state.criticality / scale

    plain, scaled = step(1.0), step(2.0**60)
    for one, other in zip(plain, scaled, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    # Only the projection can make something of an ascent.
    assert plain[1] == (rule == "projection" or update[0] < 0)
