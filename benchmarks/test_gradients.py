"""Gradients of all objectives of a network with a trunk and heads, and an update from them."""

from functools import partial

import jax
import jax.numpy as jnp
import pytest

from l2o import multiobjective as mo
from l2o.gradients import stacked_at_trunk
from l2o.tasks import TrunkAndHeads

_ROWS, _INPUTS, _HIDDEN, _FEATURES = 128, 784, 512, 256


def _representation(inputs, trunk):
    hidden = jax.nn.relu(inputs @ trunk["first"])
    return jax.nn.relu(hidden @ trunk["second"])


def _head_loss(targets, index, head, features):
    return jnp.mean((features @ head - targets[:, index, None]) ** 2)


def _losses(inputs, targets, params):
    features = _representation(inputs, params.trunk)
    return jnp.stack(
        [_head_loss(targets, index, head, features) for index, head in enumerate(params.heads)]
    )


def _draw(m):
    keys = jax.random.split(jax.random.key(0), m + 4)
    trunk = {
        "first": 0.05 * jax.random.normal(keys[0], (_INPUTS, _HIDDEN)),
        "second": 0.05 * jax.random.normal(keys[1], (_HIDDEN, _FEATURES)),
    }
    heads = tuple(0.05 * jax.random.normal(key, (_FEATURES, 10)) for key in keys[4:])
    inputs = jax.random.normal(keys[2], (_ROWS, _INPUTS))
    return inputs, jax.random.normal(keys[3], (_ROWS, m)), TrunkAndHeads(trunk, heads)


WAYS = {
    "stacked": lambda inputs, targets, params: mo.stacked(
        partial(_losses, inputs, targets), params
    ),
    "linearized, one at a time": lambda inputs, targets, params: mo.linearized(
        partial(_losses, inputs, targets), params
    ),
    "linearized, 8 at a time": lambda inputs, targets, params: mo.linearized(
        partial(_losses, inputs, targets), params, chunk_size=8
    ),
    "stacked, heads once": lambda inputs, targets, params: stacked_at_trunk(
        partial(_representation, inputs), partial(_head_loss, targets), params
    ),
    "trunk split": lambda inputs, targets, params: mo.trunk_split(
        partial(_representation, inputs), partial(_head_loss, targets), params
    ),
    "trunk split, 8 at a time": lambda inputs, targets, params: mo.trunk_split(
        partial(_representation, inputs), partial(_head_loss, targets), params, chunk_size=8
    ),
}


@pytest.mark.parametrize("m", [2, 8, 40])
def test_an_update(m, compare, benchmark):
    data = _draw(m)

    def update(way, *data):
        found = way(*data)
        return found.combine(mo.upgrad(found.gramian()))

    def gradient_of_the_mean(inputs, targets, params):
        return jax.grad(lambda params: jnp.mean(_losses(inputs, targets, params)))(params)

    programs = {
        name: jax.jit(partial(update, way)).lower(*data).compile() for name, way in WAYS.items()
    }
    programs["gradient of the mean"] = jax.jit(gradient_of_the_mean).lower(*data).compile()

    def timed(name):
        return lambda: jax.block_until_ready(programs[name](*data))

    others = {name: (timed(name), None) for name in programs if name != "trunk split"}
    title = f"Update from {m} gradients, trunk split"
    compare(title, timed("trunk split"), others, benchmark)
    for name, program in programs.items():
        memory = program.memory_analysis().temp_size_in_bytes / 2**20
        compare.note(f"Memory of an update from {m} gradients, {name}", f"{memory:.1f} MiB")
