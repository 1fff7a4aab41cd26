"""The orders in which gradients are compared with one another."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from l2o.support.keys import check_key


def random_orders(m: int, key: PRNGKeyArray | None) -> Int[Array, "m m"]:
    """An order of all m gradients for each of them; without a key, that of the rows."""
    orders = jnp.broadcast_to(jnp.arange(m, dtype=jnp.int32), (m, m))
    if key is None:
        return orders
    check_key(key)
    return jax.random.permutation(key, orders, axis=1, independent=True)
