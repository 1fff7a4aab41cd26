import itertools
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conflicting_gradients import draw

from l2o import multiobjective as mo

pytestmark = [
    pytest.mark.usefixtures("quick_compilation"),
    pytest.mark.filterwarnings("ignore"),
]

LOSSES = np.random.default_rng(0).uniform(0.5, 2.0, (5, 3))
GRAMIAN = jnp.eye(3) + 0.5


def weights_over_steps(weighting, gramian=GRAMIAN):
    state, weights = weighting.init(3), []
    for losses in LOSSES:
        new, state = weighting.update(gramian, state, losses=jnp.asarray(losses, jnp.float32))
        weights.append(new)
    return np.stack(weights)


@pytest.fixture(scope="module")
def torchjd():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("torchjd")
        import torchjd.aggregation
        import torchjd.scalarization
    return torchjd


def gradients_of(scalarizer, after_step):
    """The weights that a scalarizer of TorchJD gives the losses of every step."""
    import torch

    weights = []
    for losses in LOSSES:
        values = torch.tensor(losses, dtype=torch.float32, requires_grad=True)
        if weights:
            after_step(values.detach())
        scalarizer(values).backward()
        weights.append(values.grad.numpy())
    return np.stack(weights)


def test_famo(torchjd):
    theirs = torchjd.scalarization.FAMO(3)
    expected = gradients_of(theirs, theirs.update)
    np.testing.assert_allclose(weights_over_steps(mo.FAMO()), expected, rtol=1e-4)


def test_dwa(torchjd):
    theirs = torchjd.scalarization.DWA()
    expected = gradients_of(theirs, lambda _: theirs.step())
    np.testing.assert_allclose(weights_over_steps(mo.DWA()), expected, rtol=1e-5)


def test_modo(torchjd):
    import torch

    theirs = torchjd.aggregation.MoDoWeighting(gamma=0.1, rho=0.1)
    gramian = jnp.diag(jnp.array([1.0, 4.0, 9.0])) - 0.5
    expected = [theirs(torch.tensor(np.asarray(gramian))).numpy() for _ in LOSSES]
    np.testing.assert_allclose(weights_over_steps(mo.MoDo(), gramian), expected, rtol=1e-5)


def test_sdmgrad(torchjd):
    import torch

    theirs = torchjd.aggregation.SDMGradWeighting(lr=0.1)
    gramian = jnp.diag(jnp.array([1.0, 4.0, 9.0])) - 0.5
    expected = [theirs(torch.tensor(np.asarray(gramian))).numpy() for _ in LOSSES]
    ours = weights_over_steps(mo.SDMGrad(learning_rate=0.1), gramian)
    np.testing.assert_allclose(ours, expected, rtol=1e-4)


def test_imtl_l(torchjd):
    import torch

    theirs = torchjd.scalarization.IMTLL(3)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.3)
    expected = gradients_of(theirs, lambda _: (optimizer.step(), optimizer.zero_grad()))
    ours = weights_over_steps(mo.IMTLL(optax.sgd(0.3)))
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_imtl_l_is_uncertainty_weighting_with_the_other_sign():
    ours = weights_over_steps(mo.IMTLL(optax.sgd(0.25)))
    np.testing.assert_allclose(ours[0], 1.0)
    np.testing.assert_allclose(ours[1], np.exp(-0.25 * (LOSSES[0] - 1)), rtol=1e-5)
    uncertainty = weights_over_steps(mo.UncertaintyWeighting(optax.sgd(0.5)))
    np.testing.assert_allclose(ours, 2 * uncertainty, rtol=1e-5)


def test_gradnorm():
    norms = np.array([1.0, 2.0, 5.0])
    gramian = jnp.asarray(np.diag(norms**2) + 0.1, jnp.float32)
    norms = np.sqrt(norms**2 + 0.1)
    norms /= norms.mean()
    logits, expected = np.zeros(3), []
    for losses in LOSSES:
        weights = 3 * np.exp(logits) / np.exp(logits).sum()
        expected.append(weights)
        ratios = losses / LOSSES[0]
        lags = (ratios / ratios.mean()) ** 1.2
        signs = np.sign(weights * norms - (weights * norms).mean() * lags)
        by_weights = signs * norms
        logits = logits - 0.1 * weights * (by_weights - by_weights @ weights / 3)
    ours = weights_over_steps(mo.GradNorm(optax.sgd(0.1), alpha=1.2), gramian)
    np.testing.assert_allclose(ours, expected, rtol=1e-4)


def test_gradnorm_makes_gradients_equally_long():
    norms = jnp.array([1.0, 2.0, 5.0])
    weighting = mo.GradNorm(optax.adam(1e-2))

    def step(state, _):
        weights, state = weighting.update(jnp.diag(norms**2), state, losses=jnp.ones(3))
        return state, weights

    _, weights = jax.lax.scan(step, weighting.init(3), None, length=1000)
    np.testing.assert_allclose(weights[-1] * norms, jnp.mean(weights[-1] * norms), rtol=0.05)
    np.testing.assert_allclose(jnp.sum(weights, axis=1), 3.0, rtol=1e-5)


PROGRESS = np.array([0.3, 0.02, 0.1])


def nearest_with_progress(rows, progress):
    """The nearest direction to the first row with its share of all others, from all supports."""
    best, least = rows[0], np.inf
    limits = progress * np.sum(rows[1:] ** 2, axis=1)
    for size in range(len(rows)):
        for support in map(list, itertools.combinations(range(len(rows) - 1), size)):
            active = rows[1:][support]
            lacking = limits[support] - active @ rows[0]
            candidate = rows[0] + np.linalg.pinv(active) @ lacking if size else rows[0]
            distance = np.linalg.norm(candidate - rows[0])
            if (rows[1:] @ candidate >= limits - 1e-9).all() and distance < least:
                best, least = candidate, distance
    return best


def test_pcd():
    weighting = mo.PCD(jnp.asarray(PROGRESS, jnp.float32), decay=0.75)
    update, state, averages = eqx.filter_jit(weighting.update), weighting.init(4), 0.0
    for step, jacobian in enumerate(draw(0, 6, 4, 9, conflict=0.6, decades=2.0)):
        squares = np.sum(jacobian**2, axis=1)
        averages = 0.75 * averages + 0.25 * squares
        scales = 1 / np.sqrt(averages / (1 - 0.75 ** (step + 1)) + 1e-8)
        found = nearest_with_progress(jacobian * scales[:, None], PROGRESS)
        expected = found * np.sqrt(squares[0]) / np.linalg.norm(found)
        weights, state = update(jnp.asarray(jacobian @ jacobian.T, jnp.float32), state)
        np.testing.assert_allclose(
            weights @ jacobian, expected, atol=1e-4 * np.abs(expected).max(), err_msg=f"{step}"
        )


@pytest.mark.parametrize("progress", [0.02, PROGRESS])
def test_pcd_is_that_of_torchjd(torchjd, progress):
    import torch

    if isinstance(progress, float):
        theirs, ours = torchjd.aggregation.PCDWeighting(progress), mo.PCD(progress)
    else:
        theirs = torchjd.aggregation.PCDWeighting(torch.tensor(progress))
        ours = mo.PCD(jnp.asarray(progress, jnp.float32))
    update, state = eqx.filter_jit(ours.update), ours.init(4)
    for jacobian in draw(1, 10, 4, 9, conflict=0.8, decades=1.0):
        expected = theirs(torch.tensor(jacobian @ jacobian.T)).numpy()
        weights, state = update(jnp.asarray(jacobian @ jacobian.T, jnp.float32), state)
        np.testing.assert_allclose(weights, expected, atol=2e-4 * np.abs(expected).max())


def test_pcd_at_the_edges():
    weighting = mo.PCD()
    first, across, along = np.eye(3)[0], np.eye(3)[1], np.array([0.5, 0.5, 0.0])
    cases = {
        "contradiction": ([first, across, -2 * across], [1.0, 0.0, 0.0]),
        "more of a contradiction": ([first, across + along, -across - along], [1.0, 0.0, 0.0]),
        "no first gradient": ([0 * first, across, along], [0.0, 0.0, 0.0]),
        "no second gradient": ([first, 0 * across, 0 * along], [1.0, 0.0, 0.0]),
    }
    for name, (rows, expected) in cases.items():
        products = jnp.asarray(np.stack(rows) @ np.stack(rows).T, jnp.float32)
        weights, state = weighting.update(products, weighting.init(3))
        np.testing.assert_allclose(weights, expected, atol=1e-6, err_msg=name)
    # Of nothing to be had but a step back, nothing is taken.
    opposite, _ = mo.PCD(0.0).update(jnp.array([[1.0, -1.0], [-1.0, 1.0]]), mo.PCD().init(2))
    np.testing.assert_allclose(opposite, 0.0)
    weights, after = weighting.update(jnp.full((3, 3), jnp.nan), state)
    np.testing.assert_array_equal(weights, 0.0)
    np.testing.assert_array_equal(after.averages, state.averages)
    with pytest.raises(ValueError, match="other 2 objectives"):
        mo.PCD(jnp.ones(3)).update(jnp.eye(3), weighting.init(3))


def test_uncertainty_weighting():
    weights = weights_over_steps(mo.UncertaintyWeighting(optax.sgd(0.5)))
    np.testing.assert_allclose(weights[0], 0.5)
    slopes = 0.5 - 0.5 * LOSSES[0]
    np.testing.assert_allclose(weights[1], np.exp(0.5 * slopes) / 2, rtol=1e-5)


def test_cr_mogm_averages():
    weighting = mo.CRMOGM(lambda gramian: gramian[0], decay=0.75)
    first, state = weighting.update(GRAMIAN, weighting.init(3))
    second, _ = weighting.update(3 * GRAMIAN, state)
    np.testing.assert_allclose(first, GRAMIAN[0], rtol=1e-6)
    np.testing.assert_allclose(second, 1.5 * GRAMIAN[0], rtol=1e-6)


@pytest.mark.parametrize(
    "weighting", [mo.FAMO(), mo.DWA(), mo.UncertaintyWeighting(), mo.IMTLL(), mo.GradNorm()]
)
def test_says_that_it_needs_losses(weighting):
    with pytest.raises(ValueError, match="value="):
        weighting.update(GRAMIAN, weighting.init(3))
    optimizer = mo.aggregate(weighting, num_objectives=3)
    jacobian = jnp.eye(3)
    updates, _ = jax.jit(optimizer.update)(jacobian, optimizer.init(jacobian[0]), value=jnp.ones(3))
    assert jnp.isfinite(updates).all()


def run(transformation, jacobians):
    state, updates = transformation.init(jnp.zeros(4)), []
    step = jax.jit(transformation.update)
    for jacobian, losses in zip(jacobians, LOSSES, strict=False):
        update, state = step(jnp.asarray(jacobian), state, value=jnp.asarray(losses, jnp.float32))
        updates.append(update)
    return updates, state


def test_moco():
    jacobians = np.random.default_rng(1).standard_normal((2, 3, 4)).astype(np.float32)
    updates, state = run(mo.moco(3, tracking_rate=1.0, weights_rate=0.1, decay=1.0), jacobians)
    first, second = jacobians[0], jacobians[0] / 2 + jacobians[1] / 2
    weights = np.full(3, 1 / 3)
    for tracked, rate, update in zip((first, second), (0.1, 0.05), updates, strict=True):
        moved = weights - rate * tracked @ tracked.T @ weights
        # Nothing leaves the simplex here, so its projection takes the same from all.
        weights = moved - (moved.sum() - 1) / 3
        assert (weights > 0).all()
        np.testing.assert_allclose(update, weights @ tracked, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(state.weights, weights, rtol=1e-4)


def test_moco_goes_to_mgda():
    jacobian = np.random.default_rng(2).standard_normal((3, 4)).astype(np.float32)
    transformation = mo.moco(3, tracking_rate=1.0, weights_rate=0.05, decay=0.0)
    update, _ = jax.lax.scan(
        lambda state, _: transformation.update(jnp.asarray(jacobian), state)[::-1],
        transformation.init(jnp.zeros(4)),
        None,
        length=1000,
    )
    expected = mo.mgda(jnp.asarray(jacobian @ jacobian.T))
    np.testing.assert_allclose(update.weights, expected, atol=1e-3)


def test_db_mtl():
    jacobians = np.random.default_rng(1).standard_normal((2, 3, 4)).astype(np.float32)
    updates, _ = run(mo.db_mtl(3, decay=0.8, decay_exponent=1.0), jacobians)
    logarithmic = jacobians / LOSSES[:2, :, None]
    first = 0.2 * logarithmic[0]
    second = 0.4 * first + 0.6 * logarithmic[1]
    for averages, update in zip((first, second), updates, strict=True):
        norms = np.linalg.norm(averages, axis=1)
        np.testing.assert_allclose(update, norms.max() / norms @ averages, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="value="):
        mo.db_mtl(3).update(jnp.zeros((3, 4)), mo.db_mtl(3).init(jnp.zeros(4)))


def test_excess_mtl():
    jacobians = np.random.default_rng(1).standard_normal((4, 3, 4)).astype(np.float32)
    updates, _ = run(mo.excess_mtl(3, step_size=0.5, num_first_steps=2), jacobians)
    excesses = np.sum(jacobians**2 / np.sqrt(np.cumsum(jacobians**2, axis=0)), axis=2)
    changes = np.exp(0.5 * excesses / excesses[:2].mean(axis=0))
    weights = np.full(3, 1 / 3)
    for step, (jacobian, update) in enumerate(zip(jacobians, updates, strict=True)):
        if step >= 2:
            weights = weights * changes[step] / (weights @ changes[step])
        np.testing.assert_allclose(update, weights @ jacobian, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="num_first_steps must be a whole number of at least 1"):
        mo.excess_mtl(3, num_first_steps=0)


@pytest.mark.parametrize("num_first_steps", [1, 3])
def test_excess_mtl_is_that_of_torchjd(torchjd, num_first_steps):
    import torch

    jacobians = np.random.default_rng(1).standard_normal((5, 3, 4)).astype(np.float32)
    jacobians[:, 1, 2] = 0.0
    theirs = torchjd.aggregation.ExcessMTL(0.5, num_first_steps)
    expected = [theirs(torch.tensor(jacobian)).numpy() for jacobian in jacobians]
    updates, _ = run(mo.excess_mtl(3, step_size=0.5, num_first_steps=num_first_steps), jacobians)
    np.testing.assert_allclose(updates, expected, rtol=1e-4, atol=1e-5)


WEIGHTS = np.array([0.2, 0.7, 0.1])


def test_pbi_and_cosmos():
    losses = LOSSES[0]
    direction = WEIGHTS / np.linalg.norm(WEIGHTS)
    along = (losses - 0.25) @ direction
    across = np.linalg.norm(losses - 0.25 - along * direction)
    found = mo.pbi(jnp.asarray(losses), penalty=2.0, preference=WEIGHTS, reference=0.25)
    assert found == pytest.approx(along + 2 * across, rel=1e-5)
    total = WEIGHTS @ losses
    cosine = total / np.linalg.norm(WEIGHTS) / np.linalg.norm(losses)
    found = mo.cosmos(jnp.asarray(losses), penalty=2.0, preference=WEIGHTS)
    assert found == pytest.approx(total - 2 * cosine, rel=1e-5)
    assert mo.cosmos(jnp.asarray(losses), penalty=0.0) == pytest.approx(losses.mean(), rel=1e-5)


@pytest.mark.parametrize("size", [1e-25, 1e-3, 1e30])
def test_penalties_do_not_depend_on_the_size_of_losses(size):
    losses, weights = LOSSES[0], WEIGHTS / np.linalg.norm(WEIGHTS)
    given = jnp.asarray(size * losses, jnp.float32)
    across = losses - losses @ weights * weights
    found = jax.grad(mo.pbi)(given, preference=WEIGHTS)
    np.testing.assert_allclose(found, weights + 5 * across / np.linalg.norm(across), rtol=1e-4)
    # That of the cosine is as large as losses are small.
    unit = losses / np.linalg.norm(losses)
    slope = (weights - weights @ unit * unit) / np.linalg.norm(size * losses)
    np.testing.assert_allclose(
        jax.grad(mo.cosmos)(given, preference=WEIGHTS), WEIGHTS - slope, rtol=1e-3, atol=1e-6
    )
    # Nor does a direction depend on the size of its numbers.
    np.testing.assert_allclose(
        jax.grad(mo.pbi)(given, preference=1e-25 * WEIGHTS), found, rtol=1e-4
    )


def test_pbi_and_cosmos_have_derivatives_everywhere():
    # Losses in the preferred proportions are not pulled aside.
    np.testing.assert_allclose(jax.grad(mo.pbi)(jnp.ones(3)), 3**-0.5, rtol=1e-5)
    np.testing.assert_allclose(jax.grad(mo.cosmos)(jnp.zeros(3)), 1 / 3, rtol=1e-6)
    for scalarization in (mo.pbi, mo.cosmos):
        with pytest.raises(ValueError, match="at least 0"):
            scalarization(jnp.ones(3), penalty=-1.0)
        with pytest.raises(ValueError, match="3 weights"):
            scalarization(jnp.ones(3), preference=np.ones(2))


def test_scalarizations(torchjd):
    import torch

    losses = jnp.asarray(LOSSES[0], jnp.float32)
    assert mo.geometric_mean(losses) == pytest.approx(np.prod(LOSSES[0]) ** (1 / 3), rel=1e-5)
    expected = torchjd.scalarization.STCH(0.2)(torch.tensor(LOSSES[0]))
    assert mo.stch(losses, mu=0.2) == pytest.approx(float(expected), rel=1e-5)
    values, weights = torch.tensor(LOSSES[0]), torch.tensor(WEIGHTS)
    expected = torchjd.scalarization.PBI(2.0, weights, torch.full((3,), 0.25))(values)
    found = mo.pbi(losses, penalty=2.0, preference=WEIGHTS, reference=0.25)
    assert found == pytest.approx(float(expected), rel=1e-5)
    expected = torchjd.scalarization.COSMOS(2.0, weights)(values)
    found = mo.cosmos(losses, penalty=2.0, preference=WEIGHTS)
    assert found == pytest.approx(float(expected), rel=1e-5)
    with pytest.raises(ValueError, match="mu must be a finite number above 0"):
        mo.stch(losses, mu=0.0)
