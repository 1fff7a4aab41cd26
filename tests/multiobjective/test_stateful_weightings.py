import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

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


def test_uncertainty_weighting():
    weights = weights_over_steps(mo.UncertaintyWeighting(optax.sgd(0.5)))
    np.testing.assert_allclose(weights[0], 0.5)
    slopes = 0.5 - 0.5 * LOSSES[0]
    np.testing.assert_allclose(weights[1], np.exp(0.5 * slopes) / 2, rtol=1e-5)


def test_cr_mogm_averages():
    weighting = mo.CRMOGM(lambda gramian: gramian[0], decay=0.75)
    first, state = weighting.update(GRAMIAN, weighting.init(3))
    second, _ = weighting.update(3 * GRAMIAN, state)
    np.testing.assert_allclose(first, GRAMIAN[0])
    np.testing.assert_allclose(second, 1.5 * GRAMIAN[0])


@pytest.mark.parametrize("weighting", [mo.FAMO(), mo.DWA(), mo.UncertaintyWeighting()])
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


def test_scalarizations(torchjd):
    import torch

    losses = jnp.asarray(LOSSES[0], jnp.float32)
    assert mo.geometric_mean(losses) == pytest.approx(np.prod(LOSSES[0]) ** (1 / 3), rel=1e-5)
    expected = torchjd.scalarization.STCH(0.2)(torch.tensor(LOSSES[0]))
    assert mo.stch(losses, mu=0.2) == pytest.approx(float(expected), rel=1e-5)
    with pytest.raises(ValueError, match="larger than 0"):
        mo.stch(losses, mu=0.0)
