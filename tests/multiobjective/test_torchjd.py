"""The same numbers as TorchJD where TorchJD is right."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conflicting_gradients import draw, gramians

from l2o import multiobjective as mo

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchjd")
    import torchjd.aggregation as torchjd
    from torchjd.linalg import QuadprogProjector

pytestmark = [
    pytest.mark.usefixtures("quick_compilation"),
    pytest.mark.filterwarnings("ignore"),
]

M, D = 5, 14


def exact_projector():
    # With its own regularisation of 1e-4 its projections are off by that much, and more.
    return QuadprogProjector(reg_eps=1e-10)


THEIRS = {
    "mean": (mo.mean, torchjd.MeanWeighting),
    "sum": (mo.sum_, torchjd.SumWeighting),
    "mgda": (mo.mgda, lambda: torchjd.MGDAWeighting(epsilon=1e-9, max_iters=20_000)),
    "upgrad": (mo.upgrad, lambda: torchjd.UPGradWeighting(projector=exact_projector())),
    "dualproj": (mo.dualproj, lambda: torchjd.DualProjWeighting(projector=exact_projector())),
    "cagrad": (mo.cagrad, lambda: torchjd.CAGradWeighting(c=0.5)),
    "imtl_g": (mo.imtl_g, torchjd.IMTLGWeighting),
    "fairgrad": (lambda g: mo.fairgrad(g, alpha=2.0), lambda: torchjd.FairGradWeighting(alpha=2.0)),
    "aligned_mtl": (mo.aligned_mtl, torchjd.AlignedMTLWeighting),
    "aligned_mtl_rmse": (
        lambda g: mo.aligned_mtl(g, scale=jnp.nanmean),
        lambda: torchjd.AlignedMTLWeighting(scale_mode="rmse"),
    ),
}


@pytest.mark.parametrize("name", THEIRS)
def test_weights_of_gramians(name):
    ours, theirs = THEIRS[name]
    weighting = theirs()
    jacobians = draw(0, 3, M, D, conflict=0.5)
    products = gramians(jacobians)
    weights = jax.jit(jax.vmap(ours))(jnp.asarray(products, jnp.float32))
    expected = np.stack([weighting(torch.tensor(one)).numpy() for one in products])
    scale = np.abs(expected).max()
    np.testing.assert_allclose(weights, expected, atol=1e-4 * scale)


def test_nash_mtl():
    jacobian = draw(0, 1, M, D, conflict=0.5)[0]
    expected = torchjd.NashMTL(M, 1.0, 1, 20)(torch.tensor(jacobian)).numpy()
    weights = mo.nash_mtl(jnp.asarray(jacobian @ jacobian.T, jnp.float32))
    np.testing.assert_allclose(weights @ jacobian, expected, atol=1e-4)


def test_config():
    jacobian = draw(0, 1, M, D, conflict=0.5, decades=2.0)[0]
    expected = torchjd.ConFIG()(torch.tensor(jacobian)).numpy()
    weights = mo.config(jnp.asarray(jacobian @ jacobian.T, jnp.float32))
    np.testing.assert_allclose(weights @ jacobian, expected, atol=1e-4 * np.abs(expected).max())


def test_krum_where_only_the_nearest_counts():
    # Theirs sums distances, not their squares, so that otherwise the order may be another one.
    jacobian = draw(3, 1, M, D)[0]
    expected = torchjd.Krum(n_byzantine=M - 3, n_selected=2)(torch.tensor(jacobian)).numpy()
    products = jnp.asarray(jacobian @ jacobian.T, jnp.float32)
    weights = mo.krum(products, num_byzantine=M - 3, num_selected=2)
    np.testing.assert_allclose(weights @ jacobian, expected, rtol=1e-5)


def test_trimmed_mean():
    jacobian = draw(0, 1, M, D)[0]
    expected = torchjd.TrimmedMean(trim_number=2)(torch.tensor(jacobian)).numpy()
    found = mo.trimmed_mean(jnp.asarray(jacobian, jnp.float32), num_trimmed=2)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_what_graddrop_leaks():
    jacobian = draw(0, 1, 3, 4)[0]
    leak = [0.5, 0.0, 1.0]
    theirs = torchjd.GradDrop(leak=torch.tensor(leak, dtype=torch.float64))
    torch.manual_seed(0)
    expected = np.stack([theirs(torch.tensor(jacobian)).numpy() for _ in range(60)])
    drawn = jax.vmap(
        lambda key: mo.graddrop(jnp.asarray(jacobian, jnp.float32), leak=np.array(leak), key=key)
    )(jax.random.split(jax.random.key(0), 60))
    for ours, theirs in zip(drawn.T, expected.T, strict=True):
        np.testing.assert_allclose(
            np.unique(np.round(ours, 5)), np.unique(np.round(theirs, 5)), atol=2e-5
        )


def test_of_two_gradients_no_order_matters():
    jacobian = draw(7, 1, 2, D, conflict=0.8)[0]
    gramian = jacobian @ jacobian.T
    assert gramian[0, 1] < 0
    ours = mo.pcgrad(jnp.asarray(gramian, jnp.float32))
    np.testing.assert_allclose(ours, torchjd.PCGradWeighting()(torch.tensor(gramian)), rtol=1e-4)
    theirs, weighting = torchjd.GradVacWeighting(), mo.GradVac()
    state = weighting.init(2)
    for step in range(3):
        changed = gramian * (1 + step * np.eye(2))
        weights, state = weighting.update(jnp.asarray(changed, jnp.float32), state)
        np.testing.assert_allclose(weights, theirs(torch.tensor(changed)), rtol=1e-4)
