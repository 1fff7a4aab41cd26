import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from l2o import inner_loop
from l2o.inner_loop import InnerState, unroll
from l2o.optimizers import DM, GRU, LearnedOptimizer, RNNProp, from_optax, per_task
from l2o.tasks import Quadratic, QuadraticFamily, Task, TaskBatch

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(3)
TASK = Quadratic(jnp.diag(jnp.array([1.0, 0.3, 0.05])), jnp.array([1.0, -1.0, 2.0]))
ADAM = from_optax(optax.adam(0.1))


class Noisy(Task):
    """A quadratic whose minimiser is different in every minibatch; the parameters are a tree."""

    curvature: jax.Array

    def init(self, key):
        return {"x": jax.random.normal(key, (2,)), "y": jnp.asarray(1.0)}

    def sample(self, key):
        return jax.random.normal(key, (2,))

    def loss(self, params, batch):
        return jnp.sum(self.curvature * (params["x"] - batch) ** 2) + params["y"] ** 2


NOISY = Noisy(jnp.array([1.0, 0.2]))


@pytest.fixture(scope="module")
def dm(random_like):
    return random_like(DM(3, key=KEY))


def compiled(**settings):
    """`unroll` with these settings, compiled."""
    return eqx.filter_jit(lambda *given, **more: unroll(*given, **settings, **more))


unroll_4 = compiled(num_steps=4, probe=lambda step: step)
unroll_3 = compiled(num_steps=3)


@pytest.mark.parametrize("rule", ["adam", "dm"])
def test_it_is_the_loop_that_anyone_would_write(rule, dm, assert_trees_close):
    optimizer = ADAM if rule == "adam" else dm
    trajectory = unroll_4(optimizer, NOISY, KEY)
    seen = trajectory.probes
    params = jax.tree.map(lambda leaf: leaf[0], seen.params)
    state = optimizer.init(params)
    slope = jax.jit(jax.value_and_grad(NOISY.loss))
    update = eqx.filter_jit(lambda optimizer, *given: optimizer.update(*given))
    for index in range(4):
        now = jax.tree.map(lambda leaf, i=index: leaf[i], seen)
        loss, grads = slope(params, now.batch)
        np.testing.assert_allclose(trajectory.losses[index], loss, rtol=1e-5)
        updates, new_state = update(optimizer, grads, state, params)
        assert now.index == index
        expected = (params, loss, grads, updates, state, new_state)
        actual = (now.params, now.loss, now.grads, now.updates, now.opt_state, now.new_opt_state)
        assert_trees_close(actual, expected, rtol=1e-4, atol=1e-6)
        params, state = optax.apply_updates(params, updates), new_state
    actual = (trajectory.state.params, trajectory.state.opt_state)
    assert_trees_close(actual, (params, state), rtol=1e-4, atol=1e-6)
    assert trajectory.losses.shape == (5,)
    # The last minibatch is not shown to the probe, but the last gradient tells it.
    minibatch = params["x"] - trajectory.final_grads["x"] / (2 * NOISY.curvature)
    np.testing.assert_allclose(trajectory.losses[-1], slope(params, minibatch)[0], rtol=1e-4)
    np.testing.assert_allclose(trajectory.final_grads["y"], 2 * params["y"], rtol=1e-4)


def test_every_step_has_a_minibatch_and_randomness_of_its_own():
    seen = unroll_4(ADAM, NOISY, KEY).probes
    assert len(np.unique(np.asarray(seen.batch[:, 0]))) == 4
    assert len(np.unique(np.asarray(jax.random.key_data(seen.key)), axis=0)) == 4


def test_going_on_from_a_state(dm, assert_trees_close):
    first = unroll_4(dm, TASK, KEY)
    second = unroll_3(dm, TASK, KEY, state=first.state)
    whole = compiled(num_steps=7)(dm, TASK, KEY)
    np.testing.assert_allclose(whole.losses[:5], first.losses, rtol=1e-5)
    np.testing.assert_allclose(whole.losses[4:], second.losses, rtol=1e-5)
    assert_trees_close(second.state, whole.state, rtol=1e-4, atol=1e-6)
    assert second.state.opt_state.step == 7


@pytest.mark.parametrize("num_steps", [0, -1])
def test_no_steps(num_steps):
    with pytest.raises(ValueError, match=f"num_steps must be .* of at least 1, got {num_steps}"):
        unroll(ADAM, TASK, KEY, num_steps)


# With room for 50 minibatches, 120 steps are drawn in three rounds, 53, a prime number, one by one
# and 50 at once.
@pytest.mark.parametrize("num_steps", [120, 53, 50])
def test_a_longer_unroll_begins_like_a_shorter_one(num_steps, monkeypatch):
    short = unroll_3(ADAM, NOISY, KEY)
    monkeypatch.setattr(inner_loop, "_BYTES_DRAWN_AHEAD", 50 * 8)
    long = compiled(num_steps=num_steps, probe=lambda step: (step.index, step.loss))(
        ADAM, NOISY, KEY
    )
    assert long.losses.shape == (num_steps + 1,)
    np.testing.assert_allclose(long.losses[:4], short.losses, rtol=1e-5)
    np.testing.assert_array_equal(long.probes[0], np.arange(num_steps))
    np.testing.assert_array_equal(long.probes[1], long.losses[:-1])


def test_minibatches_are_the_same_however_many_are_drawn_at_once(monkeypatch, assert_trees_close):
    at_once = unroll_4(ADAM, NOISY, KEY)
    monkeypatch.setattr(inner_loop, "_BYTES_DRAWN_AHEAD", 2 * 8)
    in_pairs = compiled(num_steps=4, probe=lambda step: step.batch)(ADAM, NOISY, KEY)
    np.testing.assert_array_equal(in_pairs.probes, at_once.probes.batch)
    np.testing.assert_allclose(in_pairs.losses, at_once.losses, rtol=1e-5)
    assert_trees_close(in_pairs.final_grads, at_once.final_grads, rtol=1e-4)


def test_the_same_when_mapped(assert_trees_close):
    keys = jax.random.split(KEY, 2)
    mapped = eqx.filter_jit(eqx.filter_vmap(lambda key: unroll(ADAM, NOISY, key, 3)))(keys)
    for index, key in enumerate(keys):
        own = jax.tree.map(lambda leaf, i=index: leaf[i], mapped)
        assert_trees_close(own, unroll_3(ADAM, NOISY, key), rtol=1e-5)


def test_not_compiled(assert_trees_close):
    assert_trees_close(unroll(ADAM, NOISY, KEY, 3), unroll_3(ADAM, NOISY, KEY), rtol=1e-5)


# The line searches ask for the loss, the gradient and the loss function, and need those of each
# task: on all tasks together they would take other steps.
RULES = {
    "adam": optax.adam(0.1),
    "backtracking": optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(20)),
    "lbfgs": optax.lbfgs(),
}


@pytest.mark.parametrize("rule", ["dm", *RULES])
def test_several_tasks_are_each_of_them_alone(rule, dm):
    optimizer = dm if rule == "dm" else from_optax(RULES[rule])
    batch = TaskBatch.draw(QuadraticFamily(2), KEY, 3)
    together = unroll_4(per_task(optimizer), batch, KEY)
    assert together.losses.shape == (5, 3)
    starts = together.probes.params[0]
    run = eqx.filter_jit(
        lambda optimizer, task, params: unroll(
            optimizer, task, KEY, 4, state=InnerState(params, optimizer.init(params))
        )
    )
    for index in range(3):
        task = jax.tree.map(lambda leaf, i=index: leaf[i], batch.task)
        alone = run(optimizer, task, starts[index])
        np.testing.assert_allclose(together.losses[:, index], alone.losses, rtol=1e-4)
        np.testing.assert_allclose(
            together.state.params[index], alone.state.params, rtol=1e-4, atol=1e-5
        )


@eqx.filter_jit
def meta_gradients(optimizer, task):
    """The derivative of a trajectory's mean loss, taken in four ways."""

    def mean_loss(optimizer, **settings):
        return jnp.mean(unroll(optimizer, task, KEY, 5, **settings).losses)

    slope = eqx.filter_value_and_grad(mean_loss)
    return (
        slope(optimizer),
        slope(optimizer, checkpoint=True),
        slope(optimizer, first_order=True),
        slope(optimizer, first_order=True, checkpoint=True),
    )


@pytest.fixture(scope="module")
def tiny_gru(random_like):
    """In double precision, with its meta-gradients on a tiny quadratic."""
    with jax.enable_x64(True):
        optimizer = random_like(eqx.filter_eval_shape(lambda: GRU(2, key=KEY)), scale=0.5)
        task = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), TASK)
        return optimizer, task, meta_gradients(optimizer, task)


def test_checkpointing_changes_no_derivative(tiny_gru, assert_trees_close):
    _, _, (exact, exact_again, first_order, first_order_again) = tiny_gru
    assert_trees_close(exact_again, exact, rtol=1e-10, atol=1e-12)
    assert_trees_close(first_order_again, first_order, rtol=1e-10, atol=1e-12)


def test_first_order_changes_derivatives_but_no_values(tiny_gru):
    _, _, ((value, exact), _, (same_value, first_order), _) = tiny_gru
    np.testing.assert_allclose(same_value, value, rtol=1e-12)
    for one, other in zip(jax.tree.leaves(exact), jax.tree.leaves(first_order), strict=True):
        assert np.linalg.norm(one - other) > 1e-3 * np.linalg.norm(one)


def test_the_exact_meta_gradient_against_finite_differences(tiny_gru, random_like):
    optimizer, task, ((_, exact), *_) = tiny_gru
    with jax.enable_x64(True):
        value = eqx.filter_jit(lambda optimizer: jnp.mean(unroll(optimizer, task, KEY, 5).losses))
        for seed in range(3):
            direction = random_like(optimizer, seed)
            ahead = jax.tree.map(lambda x, d: x + 1e-6 * d, optimizer, direction)
            behind = jax.tree.map(lambda x, d: x - 1e-6 * d, optimizer, direction)
            slope = (value(ahead) - value(behind)) / 2e-6
            products = jax.tree.map(lambda g, d: np.sum(np.asarray(g) * d), exact, direction)
            np.testing.assert_allclose(sum(jax.tree.leaves(products)), slope, rtol=1e-6)


class ByGradAsExtra(LearnedOptimizer):
    """Gradient descent along what Optax's extra argument `grad` says."""

    rate: jax.Array

    def init(self, params):
        return ()

    def update(self, grads, state, params=None, *, grad, **extra):
        return -self.rate * grad, state


def test_first_order_holds_constant_what_extra_arguments_say():
    """By hand: x moves against the sum of both gradients, which are numbers."""
    task, rate = Quadratic(jnp.eye(1), jnp.zeros(1)), 0.1

    def final_loss(rate):
        return unroll(ByGradAsExtra(rate), task, KEY, 2, first_order=True).losses[-1]

    loss, slope = jax.value_and_grad(final_loss)(jnp.asarray(rate))
    # Of x^2 / 2 the gradients are x_0 and x_1, and x_2 = x_1 (1 - rate) = x_0 (1 - rate)^2.
    sum_of_gradients = 1 / (1 - rate) ** 2 + 1 / (1 - rate)
    np.testing.assert_allclose(slope, -2 * loss * sum_of_gradients, rtol=1e-5)


class NeedsLoss(RNNProp):
    """Looks at the loss and at the loss function."""

    def update(self, grads, state, params=None, *, value=None, value_fn=None, **extra):
        elsewhere = value_fn(jax.tree.map(jnp.zeros_like, params))
        return jax.tree.map(lambda leaf: jnp.full_like(leaf, value - elsewhere), grads), state


def test_the_optimizer_gets_the_loss_and_the_loss_function():
    trajectory = unroll_4(NeedsLoss(2, key=KEY), NOISY, KEY)
    seen = trajectory.probes
    origin = {"x": jnp.zeros(2), "y": jnp.asarray(0.0)}
    elsewhere = [NOISY.loss(origin, minibatch) for minibatch in seen.batch]
    np.testing.assert_allclose(
        seen.updates["y"], seen.loss - np.array(elsewhere), rtol=1e-5, atol=1e-6
    )
