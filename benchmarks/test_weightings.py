"""Weightings of conflicting gradients, against TorchJD's on the same Gramians."""

import contextlib
import warnings
from functools import partial

import jax
import jax.numpy as jnp
import pytest
import torch
from conflicting_gradients import draw, gramians

from l2o import multiobjective as mo

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import torchjd.aggregation as torchjd

pytestmark = pytest.mark.filterwarnings("ignore")

KEY = jax.random.key(0)
# Ours, and theirs for m objectives; Nash-MTL looks at Jacobians, of which theirs makes a Gramian.
WEIGHTINGS = {
    "MGDA": (mo.mgda, lambda m: torchjd.MGDAWeighting()),
    "UPGrad": (mo.upgrad, lambda m: torchjd.UPGradWeighting()),
    "DualProj": (mo.dualproj, lambda m: torchjd.DualProjWeighting()),
    "PCGrad": (partial(mo.pcgrad, key=KEY), lambda m: torchjd.PCGradWeighting()),
    "GradVac": (partial(mo.gradvac, key=KEY), lambda m: torchjd.GradVacWeighting()),
    "CAGrad": (mo.cagrad, lambda m: torchjd.CAGradWeighting(c=0.5)),
    "IMTL-G": (mo.imtl_g, lambda m: torchjd.IMTLGWeighting()),
    "Nash-MTL": (mo.nash_mtl, lambda m: torchjd.NashMTL(m, 1.0, 1, 20).weighting),
    "FairGrad": (
        partial(mo.fairgrad, alpha=2.0),
        lambda m: torchjd.FairGradWeighting(alpha=2.0),
    ),
    "Aligned-MTL": (mo.aligned_mtl, lambda m: torchjd.AlignedMTLWeighting()),
    "ConFIG": (mo.config, None),
}


@contextlib.contextmanager
def one_thread_of_torch():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("m", [8, 32, 64])
@pytest.mark.parametrize("name", WEIGHTINGS)
def test_one_call(name, m, compare, benchmark):
    weighting, make_theirs = WEIGHTINGS[name]
    jacobian = draw(m, 1, m, 3 * m, conflict=0.5, decades=1.0)[0]
    gramian = jnp.asarray(gramians(jacobian), jnp.float32)
    compiled = jax.jit(weighting)

    def ours():
        return jax.block_until_ready(compiled(gramian))

    others = {}
    if make_theirs is not None:
        theirs = make_theirs(m)
        matrix = torch.tensor(jacobian if name == "Nash-MTL" else gramians(jacobian)).float()
        others["TorchJD, 1 thread"] = (lambda: theirs(matrix), ">= 5" if m == 32 else None)
    title = f"{name}, weights of {m} gradients"
    with one_thread_of_torch():
        medians = compare(title, ours, others, benchmark, rounds=9)
    limits = {8: 1e-3, 64: 10e-3}
    if m in limits:
        wanted = f"<= {limits[m] * 1e3:g} ms"
        name = "the same" if others else title
        compare.note(name, f"{medians['ours'] * 1e3:.3g} ms", wanted=wanted)
        assert medians["ours"] <= limits[m]


def test_more_objectives_than_dimensions(compare, benchmark):
    jacobian = draw(1, 1, 64, 32, decades=1.0)[0]
    # So that there is a direction that descends on all.
    jacobian[:, 0] = abs(jacobian[:, 0]) + 0.1
    _compare_upgrad("in 32 dimensions", jacobian, compare, benchmark)


@pytest.mark.parametrize("conflict", [1.0, 0.0])
def test_without_a_common_descent_direction(conflict, compare, benchmark):
    # With 1.0 they sum to zero; these normal ones have a common descent direction, but hardly.
    jacobian = draw(0, 1, 64, 32, conflict)[0]
    which = "no" if conflict else "hardly a"
    _compare_upgrad(f"with {which} common descent direction", jacobian, compare, benchmark)


def _compare_upgrad(of_what, jacobian, compare, benchmark):
    gramian = jnp.asarray(gramians(jacobian), jnp.float32)
    compiled, theirs = jax.jit(mo.upgrad), torchjd.UPGradWeighting()
    matrix = torch.tensor(gramians(jacobian)).float()
    with one_thread_of_torch():
        medians = compare(
            f"UPGrad, weights of {len(jacobian)} gradients {of_what}",
            lambda: jax.block_until_ready(compiled(gramian)),
            {"TorchJD, 1 thread": (lambda: theirs(matrix), None)},
            benchmark,
            rounds=9,
        )
    compare.note("the same", f"{medians['ours'] * 1e3:.3g} ms", wanted="<= 10 ms")
    assert medians["ours"] <= 10e-3
