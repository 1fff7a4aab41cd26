import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from adversary import Adversary

import l2o
from l2o import multiobjective as mo
from l2o.multiobjective import guard_at_intervals, problems
from l2o.optimizers import per_task
from l2o.tasks import MultiObjectiveTask, QuadraticFamily, TaskBatch, ValueFunction

pytestmark = pytest.mark.usefixtures("quick_compilation")


def run(problem, optimizer, num_steps):
    """Parameters after every step, and the optimizer's states."""
    start = problem.sample_start(jax.random.key(2))

    def step(carry, _):
        params, state = carry
        losses, jacobian = problem.losses(params), problem.jacobian(params)
        update, state = optimizer.update(jacobian, state, params, value=losses)
        params = params + update
        return (params, state), (params, state, problem.losses(state.anchor))

    scan = jax.jit(
        lambda start: jax.lax.scan(step, (start, optimizer.init(start)), None, length=num_steps)
    )
    return scan(start)[1]


def test_no_objective_rises_at_anchors_and_omega_goes_to_zero(x64):
    problem = problems.CAGradToy()
    guarded = guard_at_intervals(Adversary(), problem.losses, every=3)
    params, state, losses = run(problem, guarded, 600)
    assert np.diff(losses, axis=0).max() <= 1e-12 * np.abs(losses).max()
    assert state.criticality[-1] < 1e-5 * (1 + state.criticality[2])
    is_anchor = state.step == 0
    np.testing.assert_array_equal(is_anchor, np.arange(600) % 3 == 2)
    np.testing.assert_allclose(params[is_anchor], state.anchor[is_anchor], rtol=1e-6, atol=1e-6)
    assert np.isfinite(params).all()


def test_an_optimizer_that_is_never_finite_stays_at_the_anchors():
    problem = problems.jos1(5)
    guarded = guard_at_intervals(Adversary("nan"), problem.losses, every=4)
    params, state, losses = run(problem, guarded, 320)
    assert not state.accepted[3:].any()
    assert np.diff(losses, axis=0).max() <= 1e-6
    assert state.criticality[-1] < 1e-3 * state.criticality[3]
    np.testing.assert_allclose(params, state.anchor, rtol=1e-6, atol=1e-6)


def test_a_good_optimizer_is_let_alone_and_the_large_batch_seen_in_tests_only():
    problem = problems.jos1(5)
    seen = []

    def losses(params):
        jax.debug.callback(lambda: seen.append(1))
        return problem.losses(params)

    optimizer = optax.chain(mo.aggregate(mo.mean), optax.sgd(0.1, momentum=0.5))
    params, state, _ = run(problem, guard_at_intervals(optimizer, losses, every=4), 12)
    jax.effects_barrier()
    assert state.accepted.all()
    # At every test once at the anchor, and once at the point to be tested.
    assert len(seen) == 2 * 3
    omega = mo.criticality(problem.jacobian(state.anchor[7]))
    assert state.criticality[-1] == pytest.approx(float(omega), rel=1e-5)
    expected = problem.sample_start(jax.random.key(2))
    inner = optimizer.init(expected)
    for _ in range(12):
        update, inner = optimizer.update(problem.jacobian(expected), inner)
        expected = expected + update
    np.testing.assert_allclose(params[-1], expected, rtol=1e-4)


def test_a_state_that_is_lost_is_made_anew():
    scales = jnp.array([1.0, 10.0])
    guarded = guard_at_intervals(optax.adam(0.01), lambda x: x @ (scales * x), every=3)
    params = jnp.ones(2)
    state = guarded.init(params)
    update = jax.jit(guarded.update)
    finite, accepted = [], []
    for factor in (1.0, jnp.nan, 1.0, 1.0, 1.0, 1.0):
        updates, state = update(2 * factor * scales * params, state, params)
        params = params + updates
        finite.append(bool(jnp.isfinite(state.optimizer[0].mu).all()))
        accepted.append(bool(state.accepted))
    assert finite == [True, False, True, True, True, True]
    assert accepted == [True, True, False, False, False, True]


class NoisyRegression(MultiObjectiveTask):
    """Two targets, of which a minibatch of four rows tells little."""

    inputs: jax.Array
    targets: jax.Array

    def init(self, key):
        return jnp.zeros(self.inputs.shape[1])

    def sample(self, key):
        rows = jax.random.randint(key, (4,), 0, len(self.inputs))
        return self.inputs[rows], self.targets[:, rows]

    def whole_batch(self):
        return self.inputs, self.targets

    def losses(self, params, batch):
        inputs, targets = batch
        return jnp.mean((inputs @ params - targets) ** 2, axis=1)


def test_minibatches_in_the_inner_loop(random_like):
    task = NoisyRegression(*random_like((jnp.zeros((64, 3)), jnp.zeros((2, 64)))))
    losses = ValueFunction(task, task.whole_batch())
    optimizer = optax.chain(mo.aggregate(mo.mgda), optax.adam(0.1))
    guarded = guard_at_intervals(optimizer, losses, every=10)
    trajectory = l2o.unroll(
        guarded,
        task,
        jax.random.key(0),
        300,
        probe=lambda step: (losses(step.new_opt_state.anchor), step.new_opt_state.accepted),
    )
    at_anchors, accepted = trajectory.probes
    assert np.diff(at_anchors, axis=0).max() <= 1e-6
    assert np.diff(trajectory.losses, axis=0).max() > 0.1
    assert accepted.any()
    assert not accepted.all()
    assert jnp.all(at_anchors[-1] < losses(jnp.zeros(3)))
    # What the large batch holds are not meta-parameters.
    assert not [leaf for leaf in jax.tree.leaves(guarded) if isinstance(leaf, jax.Array)]


def test_several_tasks_have_a_guard_each():
    tasks = TaskBatch.draw(QuadraticFamily(3), jax.random.key(0), 4)
    guarded = per_task(guard_at_intervals(Adversary("ascent"), lambda x: x @ x, every=3))
    trajectory = l2o.unroll(
        guarded, tasks, jax.random.key(1), 60, probe=lambda step: step.new_opt_state.anchor
    )
    squares = jnp.sum(trajectory.probes**2, axis=-1)
    assert squares.shape == (60, 4)
    assert np.diff(squares, axis=0).max() <= 1e-6
    assert jnp.all(squares[-1] < squares[0])


def test_says_what_it_needs():
    with pytest.raises(ValueError, match="every must be at least 1"):
        guard_at_intervals(optax.sgd(0.1), jnp.sum, every=0)
    params = jnp.ones(2)
    guarded = guard_at_intervals(optax.sgd(0.1), lambda x: jnp.outer(x, x), every=1)
    with pytest.raises(ValueError, match="needs params"):
        guarded.update(params, guarded.init(params))
    with pytest.raises(ValueError, match="vector"):
        guarded.update(params, guarded.init(params), params)
