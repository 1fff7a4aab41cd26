"""Fixed points of a GRU's state, against the minimisation by Adam that is customary."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from l2o.mechanisms import coordinate_dynamics, double_precision, find_fixed_points
from l2o.mechanisms.starts import default_starts
from l2o.optimizers import GRU

# As many starts and steps as in the tutorial of Maheswaranathan et al. 2021's public code.
_STARTS, _STEPS = 505, 1000


def test_gru(compare, benchmark):
    optimizer = GRU(64, key=jax.random.key(0))
    dynamics = coordinate_dynamics(optimizer)
    with double_precision():
        starts = default_starts(dynamics, jax.random.key(1))
        starts = jnp.tile(starts, (-(-_STARTS // len(starts)), 1))[:_STARTS]
        starts += 0.1 * jax.random.normal(jax.random.key(2), starts.shape)

    def ours():
        return find_fixed_points(dynamics, starts=starts)

    def with_adam():
        with double_precision():
            return jax.block_until_ready(_adam(dynamics, starts))

    found = ours()
    points, losses = map(np.asarray, with_adam())
    best = points[np.argmin(losses)]
    assert found.residuals[0] <= 1e-24
    assert found.num_starts[0] == _STARTS
    np.testing.assert_allclose(found.states[0], best, atol=1e-3)
    compare(
        f"All fixed points of a GRU(64) from {_STARTS} starts",
        ours,
        {f"{_STEPS:,} iterations of Adam": (with_adam, "20")},
        benchmark,
        rounds=5,
    )


@eqx.filter_jit
def _adam(dynamics, starts):
    """Minimises |F(h) - h|^2 / 2 from all starts, with Adam at a learning rate of 0.01."""
    optimizer = optax.adam(0.01)

    def loss(state):
        return jnp.sum((dynamics.next_state(state, jnp.zeros(())) - state) ** 2) / 2

    def step(_, carry):
        states, opt_state = carry
        updates, opt_state = optimizer.update(jax.vmap(jax.grad(loss))(states), opt_state)
        return optax.apply_updates(states, updates), opt_state

    states, _ = jax.lax.fori_loop(0, _STEPS, step, (starts, optimizer.init(starts)))
    return states, jax.vmap(loss)(states)
