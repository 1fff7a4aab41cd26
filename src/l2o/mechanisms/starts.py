"""Where to start looking for fixed points of an optimizer."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from l2o.mechanisms.dynamics import Dynamics
from l2o.mechanisms.precision import in_double_precision

_NUM_SEQUENCES = 32
_SEQUENCE_LENGTH = 32
_NUM_RANDOM = 64
# The sizes of the random gradients, as powers of ten.
_SMALLEST, _LARGEST = -2.0, 1.0


@in_double_precision
def default_starts(
    dynamics: Dynamics, key: PRNGKeyArray, *, time: int = 0
) -> Float[Array, "starts state"]:
    """The initial state, states visited when random gradients are met, and random ones around.

    Gradients are of sizes from 0.01 to 10. What no gradient changes, such as a hyperparameter that
    is kept in the state, is left as it is.

    **Arguments:** `dynamics`; `key`; `time`, the number of steps at which counters are held.

    **Returns:** 97 states, the initial one first.
    """
    return _draw(dynamics, key, jnp.asarray(time))


@eqx.filter_jit
def _draw(
    dynamics: Dynamics, key: PRNGKeyArray, time: Int[Array, ""]
) -> Float[Array, "starts state"]:
    size_key, gradient_key, pick_key, noise_key = jax.random.split(key, 4)
    exponents = jax.random.uniform(size_key, (_NUM_SEQUENCES, 1), minval=_SMALLEST, maxval=_LARGEST)
    normal = jax.random.normal(gradient_key, (_NUM_SEQUENCES, _SEQUENCE_LENGTH))

    def visit(gradients: Array) -> Array:
        def step(state: Array, gradient: Array) -> tuple[Array, Array]:
            following = dynamics.next_state(state, gradient, time)
            return following, following

        return jax.lax.scan(step, dynamics.initial_state, gradients)[1]

    visited = jax.vmap(visit)(10**exponents * normal)
    spread = jnp.std(visited, axis=(0, 1))
    # A state that gradients do not reach at all may still move by itself.
    spread = jnp.where(jnp.any(spread > 0), spread, 1.0)
    last = visited[:, -1]
    picked = last[jax.random.randint(pick_key, (_NUM_RANDOM,), 0, _NUM_SEQUENCES)]
    around = picked + spread * jax.random.normal(noise_key, picked.shape)
    return jnp.concatenate([dynamics.initial_state[None], last, around])
