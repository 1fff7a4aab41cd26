import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import l2o
from l2o.mechanisms import GradientRecord, distill
from l2o.mechanisms.distillation import (
    Adaptation,
    Decay,
    DistilledOptimizer,
    Momentum,
    Saturation,
    WarmUp,
    as_hand_designed,
    describe,
    formula,
)
from l2o.mechanisms.distillation.model import Model
from l2o.mechanisms.distillation.numbers import Form, Numbers
from l2o.mechanisms.distillation.selection import Candidate, as_good_as_the_best
from l2o.report.plain import plain

NUM_STEPS, NUM_COORDINATES = 60, 24


def gradients(seed=0):
    """Gradients of many sizes that get smaller, with random signs."""
    generator = np.random.default_rng(seed)
    sizes = 10 ** generator.uniform(-1, 0.7, NUM_COORDINATES)
    fall = 0.2 + np.exp(-np.arange(NUM_STEPS) / 20)[:, None]
    return sizes * fall * generator.standard_normal((NUM_STEPS, NUM_COORDINATES))


def record(transformation, seed=0):
    """What an Optax transformation makes of these gradients."""
    met = jnp.asarray(gradients(seed), jnp.float32)

    def step(state, gradient):
        update, state = transformation.update(gradient, state, jnp.zeros(NUM_COORDINATES))
        return state, update

    made = jax.lax.scan(step, transformation.init(jnp.zeros(NUM_COORDINATES)), met)[1]
    tasks = np.arange(NUM_COORDINATES) // 4
    return GradientRecord(np.asarray(met, float), np.asarray(made, float), tasks)


def distilled(transformation):
    return distill(l2o.from_optax(transformation), record(transformation))


def clip_softly(threshold):
    def update(updates, params):
        del params
        return jax.tree.map(lambda u: threshold * jnp.tanh(u / threshold), updates)

    return optax.stateless(update)


def mechanisms(result):
    return {each.mechanism for each in result.ablations if each.present}


def check_ablations(result):
    """What is there is worth something, and what is not there costs nothing."""
    assert len(result.ablations) == 6
    for each in result.ablations:
        assert each.lost == pytest.approx(result.variance_explained - each.variance_explained)
        assert each.lost > 1e-3 if each.present else each.lost == 0
    assert result.variance_explained > 0.999


def test_momentum():
    result = distilled(optax.sgd(0.5, momentum=0.9))
    assert mechanisms(result) == {"momentum"}
    np.testing.assert_allclose(result.optimizer.momentum.betas, [0.9], rtol=1e-3)
    np.testing.assert_allclose(result.optimizer.momentum.alphas, [0.5], rtol=1e-3)
    assert result.formula == "m₁ ← 0.9 m₁ - 0.5 g\nd ← m₁\nx ← x + d"
    check_ablations(result)


def test_softly_clipped_momentum():
    result = distilled(optax.chain(clip_softly(0.7), optax.sgd(0.2, momentum=0.8)))
    assert mechanisms(result) == {"saturation", "momentum"}
    assert float(result.optimizer.saturation.threshold) == pytest.approx(0.7, rel=1e-3)
    np.testing.assert_allclose(result.optimizer.momentum.betas, [0.8], rtol=1e-3)
    np.testing.assert_allclose(result.optimizer.momentum.alphas, [0.2], rtol=1e-3)
    check_ablations(result)
    without = {each.mechanism: each.optimizer for each in result.ablations}
    assert without["saturation"].saturation is None
    assert without["saturation"].momentum.betas.shape == (1,)
    np.testing.assert_array_equal(without["momentum"].momentum.betas, [0.0])
    np.testing.assert_allclose(result.predicted, result.updates, atol=1e-4)
    json.dumps(result.as_dict(), allow_nan=False)


def test_rmsprop():
    result = distilled(optax.rmsprop(0.05, decay=0.9, eps=0.3, eps_in_sqrt=False))
    assert mechanisms(result) == {"adaptation"}
    adaptation = result.optimizer.adaptation
    for value, planted in (
        (adaptation.decay, 0.9),
        (adaptation.scale, 0.3),
        (adaptation.power, 1.0),
        (result.optimizer.momentum.alphas[0], 0.05),
    ):
        assert float(value) == pytest.approx(planted, rel=1e-3)
    check_ablations(result)


def test_adam():
    result = distilled(optax.adam(0.1, b1=0.8, b2=0.95))
    assert mechanisms(result) == {"adaptation", "momentum"}
    adaptation, momentum = result.optimizer.adaptation, result.optimizer.momentum
    assert adaptation.after_momentum
    assert adaptation.corrected
    assert momentum.corrected
    assert float(adaptation.decay) == pytest.approx(0.95, rel=1e-3)
    assert float(adaptation.power) == pytest.approx(1.0, rel=1e-3)
    assert float(adaptation.scale) < 1e-4
    np.testing.assert_allclose(momentum.betas, [0.8], rtol=1e-3)
    np.testing.assert_allclose(momentum.alphas, [0.1 * 0.2], rtol=1e-3)
    check_ablations(result)


def test_scheduled_gradient_descent():
    result = distilled(optax.sgd(optax.exponential_decay(0.3, 15, np.exp(-1), end_value=None)))
    assert mechanisms(result) == {"decay"}
    decay = result.optimizer.decay
    assert float(decay.final) == pytest.approx(0, abs=1e-3)
    assert float(decay.time_constant) == pytest.approx(15, rel=1e-3)
    assert float(decay.shape) == pytest.approx(1, rel=1e-3)
    np.testing.assert_allclose(result.optimizer.momentum.alphas, [0.3], rtol=1e-3)
    assert result.formula == "d ← -0.3 g\ns ← exp(-k / 15)\nx ← x + s d"
    check_ablations(result)


def test_plain_gradient_descent():
    result = distilled(optax.sgd(0.5))
    assert mechanisms(result) == set()
    np.testing.assert_allclose(result.optimizer.momentum.alphas, [0.5], rtol=1e-6)
    assert result.description == (
        "Gradient descent: the present gradient counts with learning rate 0.5.",
    )
    check_ablations(result)


def everything():
    """An optimizer that has all mechanisms."""
    number = jnp.asarray
    return DistilledOptimizer(
        Momentum(number([0.9, 0.0]), number([0.1, 0.02]), corrected=True),
        Saturation(number(2.0)),
        Adaptation(number(0.8), number(0.5), number(0.75), after_momentum=True, corrected=True),
        WarmUp(number(0.25), number(4.0)),
        Decay(number(0.1), number(20.0), number(2.0)),
        number(-0.003),
    )


def test_every_mechanism_does_what_its_formula_says():
    optimizer = everything()
    assert formula(optimizer).splitlines() == [
        "g ← 2 tanh(g / 2)",
        "v ← 0.8 v + 0.2 g²",
        "a ← 1 / (0.5 + √(v / (1 - 0.8^(k+1))))^0.75",
        "m₁ ← 0.9 m₁ - 0.1 g",
        "d ← m₁ / (1 - 0.9^(k+1)) - 0.02 g",
        "w ← 1 - 0.75 exp(-k / 4)",
        "s ← 0.1 + 0.9 exp(-(k / 20)^2)",
        "x ← x + a w s d - 0.003",
    ]
    state = optimizer.init(jnp.zeros(1))
    v = m = 0.0
    for k, g in enumerate([3.0, -1.0, 0.0, 0.5]):
        update, state = optimizer.update(jnp.asarray([g]), state)
        g = 2 * np.tanh(g / 2)
        v = 0.8 * v + 0.2 * g**2
        a = 1 / (0.5 + np.sqrt(v / (1 - 0.8 ** (k + 1)))) ** 0.75
        m = 0.9 * m - 0.1 * g
        d = m / (1 - 0.9 ** (k + 1)) - 0.02 * g
        w = 1 - 0.75 * np.exp(-k / 4)
        s = 0.1 + 0.9 * np.exp(-((k / 20) ** 2))
        np.testing.assert_allclose(update, [a * w * s * d - 0.003], rtol=1e-5)
    assert len(describe(optimizer)) == 7


def test_it_is_an_optax_transformation():
    params = {"a": jnp.ones((2, 3)), "b": (jnp.zeros(()), jnp.ones(2, jnp.bfloat16), jnp.ones(0))}
    transformation = optax.chain(optax.clip_by_global_norm(1.0), l2o.as_optax(everything()))
    state = transformation.init(params)

    @jax.jit
    def step(params, state):
        updates, state = transformation.update(params, state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(3):
        params, state = step(params, state)
    assert params["b"][1].dtype == jnp.bfloat16
    norm = np.sqrt(6 + 2)
    fresh = everything()
    alone, _ = fresh.update(jnp.ones(1) / norm, fresh.init(jnp.ones(1)))
    first, _ = transformation.update(
        {"a": jnp.ones((2, 3)), "b": (jnp.zeros(()), jnp.ones(2), jnp.ones(0))},
        transformation.init(
            {"a": jnp.ones((2, 3)), "b": (jnp.zeros(()), jnp.ones(2), jnp.ones(0))}
        ),
    )
    np.testing.assert_allclose(first["a"], np.broadcast_to(alone, (2, 3)), rtol=1e-5)


def test_a_record_of_its_own_to_judge_by():
    planted = optax.sgd(0.5, momentum=0.9)
    held_out = record(optax.sgd(0.25, momentum=0.9), seed=1)
    result = distill(l2o.from_optax(planted), record(planted), held_out=held_out, num_modes=1)
    assert result.fitted_variance_explained == pytest.approx(1)
    # Twice the updates: their error is as large as they are.
    unexplained = np.sum(held_out.updates**2) / np.sum(
        (held_out.updates - held_out.updates.mean()) ** 2
    )
    # The penalty on large alphas makes them smaller by about 1e-7.
    assert result.variance_explained == pytest.approx(1 - unexplained, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: GradientRecord(r.gradients, r.updates, r.tasks % 2), "at least 3 tasks.* got 2"),
        (lambda r: GradientRecord(r.gradients, np.nan * r.updates, r.tasks), "nothing to distill"),
        (lambda r: GradientRecord(r.gradients, 0 * r.updates, r.tasks), "nothing to distill"),
    ],
)
def test_bad_records(change, message):
    planted = optax.sgd(0.5)
    with pytest.raises(ValueError, match=message):
        distill(l2o.from_optax(planted), change(record(planted)))


def test_bad_number_of_modes():
    planted = optax.sgd(0.5)
    with pytest.raises(ValueError, match="num_modes must be at least 1"):
        distill(l2o.from_optax(planted), record(planted), num_modes=0)


def of_two_modes():
    """Two momenta that nearly cancel, which one fits a little worse."""
    number = jnp.asarray
    return DistilledOptimizer(Momentum(number([0.9, 0.88]), number([0.5, -0.45]), corrected=False))


def test_momenta_that_work_against_each_other_are_not_taken():
    result = distilled(l2o.as_optax(of_two_modes()))
    assert result.optimizer.momentum.betas.shape == (1,)
    assert np.all(result.optimizer.momentum.alphas > 0)
    assert result.variance_explained > 0.8


def outcomes_of(score):
    """A trial that judges by the optimizer's numbers alone."""

    def trial(optimizer):
        return np.full(8, score(optimizer)) + np.linspace(-1, 1, 8)

    return trial


def test_a_trial_decides_what_is_taken():
    planted = optax.chain(clip_softly(0.7), optax.sgd(0.2, momentum=0.8))
    whole = distilled(planted)
    assert mechanisms(whole) == {"saturation", "momentum"}

    # On trial clipping is worth nothing: all is the same.
    indifferent = distill(
        l2o.from_optax(planted), record(planted), num_modes=1, trial=outcomes_of(lambda _: 1.0)
    )
    assert indifferent.alternatives[0].is_taken
    assert [each.is_taken for each in indifferent.alternatives].count(True) == 1
    sizes = [each.num_numbers for each in indifferent.alternatives]
    assert sizes == sorted(set(sizes))

    # What does not clip diverges on one problem; what does is worse, and taken all the same.
    def steady(optimizer):
        outcomes = np.linspace(0.0, 1.0, 8) + 5.0
        if float(optimizer.saturation.threshold) > 10:
            outcomes = outcomes - 5.0
            outcomes[0] = np.inf
        return outcomes

    clipped = distill(l2o.from_optax(planted), record(planted), num_modes=1, trial=steady)
    assert "saturation" in mechanisms(clipped)
    for each in clipped.alternatives:
        assert (each.num_diverged == 0) == np.isfinite(each.outcome)
    json.dumps(plain(clipped.as_dict()), allow_nan=False)


def candidate(size, explained=0.5, outcomes=None):
    numbers = Numbers(*[0.0] * 4, (0.0,), (0.0,), *[0.0] * 6, unit=1.0)
    leaves, structure = jax.tree.flatten(numbers)
    free = jax.tree.unflatten(structure, [index < size for index in range(len(leaves))])
    model = Model(numbers, numbers, free, Form(False, False))
    assert model.num_numbers == size
    return Candidate(model, explained, None if outcomes is None else np.array(outcomes, float))


def test_as_good_as_the_best_by_hand():
    def good(*candidates):
        return [each.num_numbers for each in as_good_as_the_best(candidates)]

    # A tenth more unexplained than 0.1 is 0.11, and a ten-thousandth on top.
    assert good(candidate(9, 0.9), candidate(3, 0.88995), candidate(2, 0.8898)) == [9, 3]
    # Outcomes of the best have a standard deviation of two, so means may be larger by 0.4.
    spread = np.array([-2.0, 2.0])
    assert good(
        candidate(9, outcomes=5 + spread),
        candidate(3, outcomes=5.39 + 0 * spread),
        candidate(2, outcomes=5.41 + 3 * spread),
        candidate(1, outcomes=[4.0, np.inf]),
    ) == [9, 3]
    # Where all diverge, the variance decides.
    broken = [np.nan, 1.0]
    assert good(candidate(9, 0.5, broken), candidate(3, 0.9, broken)) == [3]


def test_a_closed_form_can_be_tuned_like_any_other():
    optimizer = everything()
    tunable = as_hand_designed(optimizer)
    assert list(tunable.space) == [
        *("beta_1", "alpha_1", "alpha_2", "threshold", "decay", "scale", "power"),
        *("warm_up_start", "warm_up_time", "decay_final", "decay_time", "decay_shape", "offset"),
    ]
    assert tunable.defaults["offset"] == pytest.approx(0.003)
    met = jnp.asarray([3.0, -1.0])
    params = jnp.zeros(2)

    def first_updates(optimizer):
        state = optimizer.init(params)
        first, state = optimizer.update(met, state, params)
        return np.stack([first, optimizer.update(-0.4 * met[::-1], state, params)[0]])

    expected = first_updates(optimizer)
    np.testing.assert_allclose(first_updates(tunable.with_hyperparameters()), expected, rtol=1e-6)
    twice = tunable.with_hyperparameters(alpha_1=0.2, alpha_2=0.04, offset=0.006)
    np.testing.assert_allclose(first_updates(twice), 2 * expected, rtol=1e-6)
    for name, searched in tunable.space.items():
        assert 0 <= float(searched.position(tunable.defaults[name])) <= 1
        other = float(searched.at(jnp.asarray(0.37)))
        changed = first_updates(tunable.with_hyperparameters(**{name: other}))
        # The decay's shape does not bear on its first two steps as other numbers do.
        assert np.max(np.abs(changed - expected)) > (1e-6 if name.startswith("decay_") else 1e-4)
