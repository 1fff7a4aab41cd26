"""What regularizers cost: whole meta-steps, and memory, against the same without them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from l2o.inner_loop import InnerState
from l2o.metatraining import FirstOrder, HessianNorm, InnerProblems, LocalEntropy, MetaLoss, Window
from l2o.metatraining.meta_step import MetaStep, PartStep, Update
from l2o.metatraining.programs import init
from l2o.objectives import MeanLoss
from l2o.optimizers import RNNProp
from l2o.tasks import SingleTask, TaskBatch, image_mlp
from l2o.tasks.datasets import Classification

_KEY = jax.random.key(0)
_STEPS = 20
_TERMS = [
    pytest.param(HessianNorm(1e-3), "0.5", id="Hessian norm, every step"),
    pytest.param(HessianNorm(1e-3, every=5), "0.77", id="Hessian norm, every 5th step"),
    pytest.param(LocalEntropy(1e-3), "0.63", id="local entropy, every step"),
    pytest.param(LocalEntropy(1e-3, every=5), "0.83", id="local entropy, every 5th step"),
]


@pytest.fixture(scope="module")
def family():
    """The MNIST perceptron, on random data: their content does not matter to speed."""
    generator = np.random.default_rng(0)
    inputs = generator.random((4000, 784), np.float32)
    labels = generator.integers(0, 10, 4000)
    dataset = Classification.from_arrays(
        "random", inputs, labels, num_classes=10, num_validation=100, num_test=100
    )
    return SingleTask(image_mlp(dataset, (20,), "sigmoid", batch_size=128))


def _meta_step(family, regularizers):
    """A program that makes one whole meta-step, on all devices."""
    optimizer, estimator = RNNProp(key=_KEY), FirstOrder()
    part = PartStep(
        InnerProblems(family, 1, 1, _STEPS), MetaLoss(MeanLoss(), regularizers), estimator
    )
    step = MetaStep((part,), Update(optax.sgd(0.0)))
    state = init(step, optimizer, _KEY)
    advance = eqx.filter_jit(MetaStep.__call__)
    return lambda: jax.block_until_ready(advance(step, state))


def _temporary_bytes(family, regularizers):
    """What the compiler sets aside for one window."""
    optimizer = RNNProp(key=_KEY)
    task = TaskBatch.draw(family, _KEY, 1)
    params = task.init(_KEY)
    state = InnerState(params, optimizer.init(params))
    window = Window(task, _KEY, state, jnp.asarray(False), jnp.ones(1), jnp.asarray(0), _STEPS)
    arrays, rest = eqx.partition((optimizer, window), eqx.is_array)

    def program(arrays):
        optimizer, window = eqx.combine(arrays, rest)
        result = FirstOrder().through_window(optimizer, MetaLoss(MeanLoss(), regularizers), window)
        return eqx.filter(result, eqx.is_array)

    return jax.jit(program).lower(arrays).compile().memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize(("term", "wanted"), _TERMS)
def test_time(compare, benchmark, family, request, term, wanted):
    compare(
        f"RNNProp, meta-step of {_STEPS} steps, MNIST perceptron, {request.node.callspec.id}",
        _meta_step(family, (term,)),
        {"without regularizer": (_meta_step(family, ()), f">= {wanted}")},
        benchmark,
    )


@pytest.mark.parametrize(("term", "wanted"), _TERMS[::2])
def test_memory(compare, benchmark, family, request, term, wanted):
    del wanted
    ours = benchmark.pedantic(_temporary_bytes, (family, (term,)), rounds=1)
    plain = _temporary_bytes(family, ())
    compare.note(
        f"RNNProp, memory of {_STEPS} steps, MNIST perceptron, {request.node.callspec.id}",
        f"{ours / 2**20:.1f} MiB",
        "without regularizer",
        f"{plain / 2**20:.1f} MiB",
        f"{plain / ours:.2f}",
        ">= 0.83",
    )
