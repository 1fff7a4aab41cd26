"""Whole meta-steps against PyTorch, and against the arithmetic floor."""

import equinox as eqx
import jax
import optax
import pytest
import torch
from bowls import Bowls
from floor import all_products, forward_products
from torch_reference import (
    TorchGRU,
    TorchRNNProp,
    diagonal_loss,
    mlp_loss,
    quadratic_loss,
    torch_meta_gradient,
)

from l2o import tasks
from l2o.inner_loop import unroll
from l2o.metatraining import Exact, FirstOrder, InnerProblems, MetaLoss
from l2o.metatraining.meta_step import MetaStep, PartStep, Update
from l2o.metatraining.programs import init
from l2o.objectives import MeanLoss
from l2o.optimizers import GRU, RNNProp
from l2o.tasks.datasets import digits

_KEY = jax.random.key(0)
_STEPS = 20
_COORDINATES = 16_384


def _meta_step(optimizer, family, estimator, num_tasks, num_steps=_STEPS):
    """A program that makes one whole meta-step, on all devices."""
    part = PartStep(InnerProblems(family, num_tasks, 1, num_steps), MetaLoss(MeanLoss()), estimator)
    step = MetaStep((part,), Update(optax.sgd(0.0)))
    state = init(step, optimizer, _KEY)
    advance = eqx.filter_jit(MetaStep.__call__)
    return lambda: jax.block_until_ready(advance(step, state))


def _in_torch(program, *arguments, **keywords):
    """A PyTorch program with one thread and with as many as there are cores, or on the GPU."""
    if torch.get_default_device().type != "cpu":

        def until_done():
            program(*arguments, **keywords)
            torch.cuda.synchronize()

        return {"PyTorch": until_done}

    def run(threads):
        def timed():
            torch.set_num_threads(threads)
            program(*arguments, **keywords)

        return timed

    cores = torch.get_num_threads()
    return {
        f"PyTorch, {threads} thread{'s' if threads > 1 else ''}": run(threads)
        for threads in sorted({1, cores})
    }


def _lstm_weights(optimizer):
    return [optimizer.network.layers[2].weight, optimizer.network.layers[3].weight]


@pytest.mark.parametrize("num_tasks", [1, 2])
def test_rnnprop_on_many_coordinates(compare, benchmark, num_tasks):
    dimension = _COORDINATES // num_tasks
    optimizer = RNNProp(key=_KEY)
    ours = _meta_step(optimizer, Bowls(dimension), FirstOrder(), num_tasks)
    torch_step = _in_torch(
        torch_meta_gradient,
        TorchRNNProp(),
        diagonal_loss(torch.rand(_COORDINATES)),
        torch.randn(_COORDINATES),
        _STEPS,
    )
    floor = all_products(_lstm_weights(optimizer), _COORDINATES, _STEPS)
    compare(
        f"RNNProp, meta-step of {_STEPS} steps, {num_tasks} x {dimension:,} coordinates",
        ours,
        {
            **{name: (program, ">= 2") for name, program in torch_step.items()},
            "products alone": (floor, ">= 0.4"),
        },
        benchmark,
    )


def test_rnnprop_forward(compare, benchmark):
    optimizer = RNNProp(key=_KEY)
    task = Bowls(_COORDINATES).sample(_KEY)
    run = eqx.filter_jit(lambda optimizer, task: unroll(optimizer, task, _KEY, _STEPS))
    floor = forward_products(_lstm_weights(optimizer), _COORDINATES, _STEPS)
    compare(
        f"RNNProp, {_STEPS} steps forward, {_COORDINATES:,} coordinates",
        lambda: jax.block_until_ready(run(optimizer, task)),
        {"products alone": (floor, ">= 0.4")},
        benchmark,
    )


@pytest.mark.parametrize("num_tasks", [1, 8])
def test_rnnprop_on_digits(compare, benchmark, num_tasks):
    family = tasks.image_mlp_family(digits(), (20,), ("relu", "sigmoid", "tanh"), batch_size=64)
    ours = _meta_step(RNNProp(key=_KEY), family, FirstOrder(), num_tasks)
    inputs = torch.rand(_STEPS + 1, num_tasks, 64, 64)
    labels = torch.randint(0, 10, (_STEPS + 1, num_tasks, 64))
    torch_step = _in_torch(
        torch_meta_gradient,
        TorchRNNProp(),
        mlp_loss(inputs, labels, (64, 20, 10)),
        0.1 * torch.randn(num_tasks * 1510),
        _STEPS,
    )
    medians = compare(
        f"RNNProp, meta-step of {_STEPS} steps, {num_tasks} digits MLPs",
        ours,
        {name: (program, ">= 2") for name, program in torch_step.items()},
        benchmark,
    )
    rate = num_tasks * _STEPS / medians["ours"]
    compare.note(f"the same, inner steps per second, {num_tasks} at once", f"{rate:,.0f}")


@pytest.mark.parametrize("order", ["exact", "first order"])
def test_gru_on_quadratics(compare, benchmark, order):
    exact = order == "exact"
    num_tasks, num_steps = 64, 200
    estimator = Exact() if exact else FirstOrder()
    optimizer = GRU(64, output_scale=1e-3, key=_KEY)
    ours = _meta_step(optimizer, tasks.QuadraticFamily(), estimator, num_tasks, num_steps)
    factor = torch.randn(num_tasks, 5, 5)
    loss = quadratic_loss(factor @ factor.mT / 5, torch.randn(num_tasks, 5))
    torch_step = _in_torch(
        torch_meta_gradient,
        TorchGRU(64),
        loss,
        torch.randn(num_tasks * 5),
        num_steps,
        exact=exact,
    )
    cell = optimizer.network.layers[0]
    floor = all_products([cell.gate_weight, cell.candidate_weight], 5 * num_tasks, num_steps)
    compare(
        f"GRU(64), meta-step of {num_steps} steps, {num_tasks} quadratics, {order}",
        ours,
        {
            **{name: (program, ">= 10") for name, program in torch_step.items()},
            "products alone": (floor, None),
        },
        benchmark,
    )
