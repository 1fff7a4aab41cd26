"""Mechanisms that were planted by hand, and that the analyses have to give back."""

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import strategies as st

import l2o
from l2o.mechanisms import (
    Linearization,
    adaptation_curve,
    autonomous_schedule,
    coordinate_dynamics,
    explain,
    find_fixed_points,
    linearize,
    momentum_modes,
    update_function,
)

pytestmark = pytest.mark.usefixtures("quick_compilation")


def dynamics(transformation):
    return coordinate_dynamics(l2o.from_optax(transformation))


def modes_at_rest(transformation, gradient=0.0):
    system = dynamics(transformation)
    linearization = linearize(system, np.zeros(system.initial_state.shape), gradient)
    return momentum_modes(linearization), linearization


def aggregated_momentum(pairs):
    """x += -sum_j alpha_j v_j with v_j = beta_j v_j + g (Lucas et al. 2019)."""

    def init(params):
        return tuple(jax.tree.map(jnp.zeros_like, params) for _ in pairs)

    def update(grads, state, params=None):
        del params
        state = tuple(
            jax.tree.map(lambda v, g, beta=beta: beta * v + g, velocity, grads)
            for velocity, (beta, _) in zip(state, pairs, strict=True)
        )
        updates = jax.tree.map(
            lambda *vs: -sum(alpha * v for v, (_, alpha) in zip(vs, pairs, strict=True)), *state
        )
        return updates, state

    return optax.GradientTransformation(init, update)


@pytest.mark.parametrize(("beta", "alpha"), [(0.9, 0.1), (0.995, 3.7), (0.3, 1e-4)])
def test_momentum_gives_back_its_hyperparameters(beta, alpha):
    (mode,), linearization = modes_at_rest(optax.sgd(alpha, momentum=beta))
    assert mode.beta == pytest.approx(beta, rel=1e-6)
    assert mode.alpha == pytest.approx(alpha, rel=1e-6)
    assert mode.time_constant == pytest.approx(-1 / np.log(beta), rel=1e-6)
    assert linearization.effective_learning_rate == pytest.approx(alpha, rel=1e-6)


def test_nesterov_is_a_momentum_and_an_answer_to_the_present_gradient():
    modes, linearization = modes_at_rest(optax.sgd(0.1, momentum=0.9, nesterov=True))
    found = {round(mode.beta.real, 9): mode.alpha.real for mode in modes}
    assert found == pytest.approx({0.9: 0.09, 0.0: 0.1}, rel=1e-6)
    assert linearization.effective_learning_rate == pytest.approx(0.19, rel=1e-6)


def test_aggregated_momentum_gives_back_all_its_modes():
    pairs = ((0.0, 0.3), (0.9, 0.05), (0.99, 0.01))
    modes, linearization = modes_at_rest(aggregated_momentum(pairs))
    found = sorted((mode.beta.real, mode.alpha.real) for mode in modes)
    np.testing.assert_allclose(found, sorted(pairs), rtol=1e-6, atol=1e-12)
    total = sum(mode.alpha for mode in modes)
    assert total == pytest.approx(linearization.effective_learning_rate, rel=1e-9)


def test_plain_gradient_descent_has_none_of_the_mechanisms():
    explanation = explain(l2o.from_optax(optax.sgd(0.1)), num_steps=20)
    numbers = explanation.as_dict()
    assert [mode["beta"] for mode in numbers["momentum"]["modes"]] == [[0.0, 0.0]]
    assert numbers["momentum"]["effective_learning_rate"] == pytest.approx(0.1)
    assert not numbers["clipping"]["saturates"]
    assert not numbers["schedule"]["present"]
    assert not numbers["adaptation"]["present"]
    assert explanation.conditions == ()


@pytest.mark.parametrize("threshold", [0.01, 2.5])
@pytest.mark.parametrize("kind", ["hard", "tanh"])
def test_a_clip_gives_its_threshold(kind, threshold):
    soft = optax.stateless(
        lambda grads, params: jax.tree.map(lambda g: threshold * jnp.tanh(g / threshold), grads)
    )
    clip = optax.clip(threshold) if kind == "hard" else soft
    function = update_function(dynamics(optax.chain(clip, optax.scale(-0.2))))
    saturation = function.saturation
    assert saturation.saturates
    assert saturation.threshold == pytest.approx(threshold, rel=1e-6)
    assert abs(saturation.plateau) == pytest.approx(0.2 * threshold, rel=1e-6)
    assert not saturation.falls_again
    half = threshold / 2 if kind == "hard" else threshold * np.arctanh(0.5)
    assert saturation.half_height == pytest.approx(half, rel=2e-3)
    assert function.effective_learning_rate == pytest.approx(0.2, rel=1e-6)


def test_an_update_that_falls_again_is_clipped_at_its_peak():
    """g / (1 + g^2), largest at g = 1."""
    redescending = optax.stateless(
        lambda grads, params: jax.tree.map(lambda g: -g / (1 + g**2), grads)
    )
    explanation = explain(l2o.from_optax(redescending), num_steps=5)
    saturation = explanation.update_function.saturation
    assert saturation.falls_again
    assert saturation.peak == pytest.approx(0.5, rel=1e-3)
    assert saturation.half_height == pytest.approx(2 - np.sqrt(3), rel=1e-2)
    assert "grow up to 0.5 and fall to 1e-12 again" in explanation.findings["clipping"]


def test_rmsprops_learning_rate_follows_its_formula():
    rate, decay, eps = 0.03, 0.9, 1e-6
    curve = adaptation_curve(
        dynamics(optax.rmsprop(rate, decay=decay, eps=eps)), np.array([-10, -0.1, 1e-3, 0.5, 30])
    )
    expected = rate / np.sqrt(decay * curve.gradients**2 + eps)
    np.testing.assert_allclose(curve.effective_learning_rate, expected, rtol=1e-6)
    assert curve.present


def test_momentum_does_not_adapt():
    curve = adaptation_curve(dynamics(optax.sgd(0.1, momentum=0.9)), np.array([-10, 1e-3, 1, 30]))
    np.testing.assert_allclose(curve.effective_learning_rate, 0.1, rtol=1e-9)
    np.testing.assert_allclose(curve.states[:, 0], curve.gradients / (1 - 0.9), rtol=1e-9)
    assert not curve.present


def test_a_schedule_of_counted_steps_is_given_back():
    schedule = optax.cosine_decay_schedule(0.5, 50)
    found = autonomous_schedule(dynamics(optax.sgd(schedule)), 60)
    expected = [schedule(step) for step in range(60)]
    np.testing.assert_allclose(found.effective_learning_rate, expected, rtol=1e-5, atol=1e-8)
    assert found.present
    assert found.carrying_mode is None


def test_a_schedule_in_the_state_is_given_back_with_its_mode():
    def init(params):
        return jax.tree.map(jnp.ones_like, params)

    def update(grads, state, params=None):
        del params
        updates = jax.tree.map(lambda g, s: -(0.1 + 0.4 * s) * g, grads, state)
        return updates, jax.tree.map(lambda s: 0.8 * s, state)

    found = autonomous_schedule(dynamics(optax.GradientTransformation(init, update)), 60)
    np.testing.assert_allclose(
        found.effective_learning_rate, 0.1 + 0.4 * 0.8 ** np.arange(60), rtol=1e-9
    )
    assert found.present
    assert found.carrying_mode.beta == pytest.approx(0.8, rel=1e-6)


def test_equal_momenta_in_a_row_are_one_cluster_with_the_right_response():
    """Momentum of momentum: a Jacobian without a full set of eigenvectors."""
    modes, linearization = modes_at_rest(
        optax.chain(optax.trace(0.9), optax.trace(0.9), optax.scale(-0.1))
    )
    assert max(mode.num_eigenvalues for mode in modes) == 2
    response = sum(mode.impulse_response(40) for mode in modes)
    steps = np.arange(40)
    np.testing.assert_allclose(-response.real, 0.1 * (steps + 1) * 0.9**steps, rtol=1e-6)
    np.testing.assert_allclose(response, linearization.impulse_response(40), rtol=1e-6)


def test_adam_is_looked_at_under_a_gradient_with_its_counter_held():
    explanation = explain(l2o.from_optax(optax.adam(1e-2)), num_steps=20)
    assert explanation.gradient == 1.0
    assert explanation.depends_on_time
    assert len(explanation.conditions) == 2
    assert "(a bias correction), which is no schedule" in explanation.findings["schedule"]
    betas = {round(mode.beta.real, 6): mode.alpha.real for mode in explanation.momentum.modes}
    # d/dm and d/dv of m / (sqrt(v) + eps), with m = v = 1.
    assert betas[0.9] == pytest.approx(1e-3, rel=1e-5)
    assert betas[0.999] == pytest.approx(-1e-5, rel=1e-5)
    np.testing.assert_allclose(explanation.schedule.effective_learning_rate, 1e-2, rtol=1e-6)


def test_what_has_no_fixed_point_says_why():
    with pytest.raises(ValueError, match="counts its steps"):
        find_fixed_points(dynamics(optax.adam(0.1)))


def bistable():
    """h' = h + (h - h^3) / 10 + g: attractors at -1 and 1, an unstable point at 0."""

    def init(params):
        return jax.tree.map(lambda p: jnp.full_like(p, 0.3), params)

    def update(grads, state, params=None):
        del params
        new = jax.tree.map(lambda h, g: h + (h - h**3) / 10 + g, state, grads)
        return jax.tree.map(lambda h: -h, new), new

    return optax.GradientTransformation(init, update)


def test_all_fixed_points_of_a_bistable_system_are_found():
    starts = np.linspace(-2, 2, 20)[:, None]
    found = find_fixed_points(dynamics(bistable()), starts=starts)
    order = np.argsort(found.states[:, 0])
    np.testing.assert_allclose(found.states[order, 0], [-1, 0, 1], atol=1e-9)
    np.testing.assert_array_equal(found.attracting[order], [True, False, True])
    np.testing.assert_allclose(found.eigenvalues[order, 0], [0.8, 1.1, 0.8], rtol=1e-6)
    assert np.all(found.residuals <= 1e-24)
    assert found.num_starts[found.attracting].sum() == 20


def test_jacobians_are_those_of_finite_differences(random_like):
    optimizer = random_like(l2o.optimizers.GRU(5, key=jax.random.key(0)), scale=0.5)
    system = coordinate_dynamics(optimizer)
    state, gradient, step = np.linspace(-1, 1, 5), 0.7, 1e-6
    found = linearize(system, state, gradient)
    with l2o.mechanisms.double_precision():
        call = jax.jit(lambda h, g: system(h, g))

        def difference(along_state, along_gradient):
            up = call(state + step * along_state, gradient + step * along_gradient)
            down = call(state - step * along_state, gradient - step * along_gradient)
            return [
                (np.asarray(a) - np.asarray(b)) / (2 * step) for a, b in zip(up, down, strict=True)
            ]

        columns = [difference(row, 0.0) for row in np.eye(5)]
        update, following = difference(np.zeros(5), 1.0)
    np.testing.assert_allclose(found.readout, [each[0] for each in columns], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(
        found.state_jacobian, np.array([each[1] for each in columns]).T, rtol=1e-6, atol=1e-9
    )
    assert found.feedthrough == pytest.approx(update, rel=1e-6)
    np.testing.assert_allclose(found.gradient_jacobian, following, rtol=1e-6, atol=1e-9)


def test_lion_is_a_sign_with_momentum_whose_state_is_a_mean():
    """Its updates are -lr or lr; its state is the mean of past gradients, so it has beta = b2."""
    explanation = explain(l2o.from_optax(optax.lion(0.01, b1=0.9, b2=0.99)), num_steps=20)
    assert explanation.gradient == 1.0
    assert explanation.update_function.saturation.saturates
    assert abs(explanation.update_function.saturation.plateau) == pytest.approx(0.01, rel=1e-6)
    np.testing.assert_allclose(explanation.fixed_points.eigenvalues, 0.99, rtol=1e-9)
    # At rest, with g = m, a small change of the gradient does not change its sign.
    assert explanation.momentum.modes == ()
    assert "No beta can be told, because only the sign" in explanation.findings["momentum"]
    assert (
        "No clipping: only the sign of what it makes of gradients"
        in explanation.findings["clipping"]
    )


@pytest.mark.parametrize("kind", ["sign", "clip", "none"])
def test_an_update_that_jumps_at_zero_is_said_to(kind):
    transformation = {
        "sign": optax.stateless(lambda grads, params: jax.tree.map(lambda g: -jnp.sign(g), grads)),
        "clip": optax.chain(optax.clip(1.0), optax.scale(-1.0)),
        "none": optax.scale(-1.0),
    }[kind]
    curve = adaptation_curve(dynamics(transformation))
    assert curve.jumps_at_zero == (kind == "sign")
    rates = 1 / np.abs(curve.gradients) if kind == "sign" else np.ones(50)
    np.testing.assert_allclose(curve.telling_learning_rate, rates, rtol=1e-9)
    assert curve.present == (kind == "sign")


@hypothesis.given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 8))
@hypothesis.example(seed=1, size=2)
@hypothesis.settings(max_examples=50)
def test_all_alphas_together_are_the_effective_learning_rate(seed, size):
    """For any linear optimizer, also of low rank and with complex or defective eigenvalues."""
    draw = np.random.default_rng(seed)
    jacobian = np.round(draw.standard_normal((size, size)), 1) * draw.choice([0, 1], (size, size))
    found = Linearization(
        state=np.zeros(size),
        gradient=0.0,
        time=0,
        update=0.0,
        residual=0.0,
        state_jacobian=jacobian / 2,
        gradient_jacobian=draw.standard_normal(size),
        readout=draw.standard_normal(size),
        feedthrough=float(draw.standard_normal()),
    )
    modes = momentum_modes(found)
    response = sum(mode.impulse_response(10) for mode in modes)
    scale = np.max(np.abs(found.impulse_response(10)))
    np.testing.assert_allclose(response, found.impulse_response(10), atol=1e-6 * scale)
    total = sum(mode.alpha for mode in modes)
    largest = max(1.0, *(abs(mode.alpha) for mode in modes))
    assert abs(total - found.effective_learning_rate) <= 1e-9 * largest
