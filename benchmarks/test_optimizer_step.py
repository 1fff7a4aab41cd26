"""One step of a learned optimizer, as a user's training loop makes it."""

import jax
import jax.numpy as jnp
import optax

import l2o
from l2o.optimizers import RNNProp

_KEY = jax.random.key(0)


def test_rnnprop_on_the_mnist_mlp(compare, benchmark):
    params = {
        "first": (jnp.ones((784, 20)), jnp.ones(20)),
        "second": (jnp.ones((20, 10)), jnp.ones(10)),
    }
    optimizers = {"ours": l2o.as_optax(RNNProp(key=_KEY)), "adam": optax.adam(1e-3)}
    programs = {}
    for name, optimizer in optimizers.items():
        step = jax.jit(optimizer.update)
        state = optimizer.init(params)
        programs[name] = lambda step=step, state=state: jax.block_until_ready(step(params, state))
    medians = compare(
        "RNNProp, one step on 784-20-10 (15,910 parameters)",
        programs["ours"],
        {"Adam": (programs["adam"], None)},
        benchmark,
        rounds=51,
    )
    compare.note("the same", f"{medians['ours'] * 1e3:.2g} ms", wanted="<= 6 ms")
