"""Which objectives take part in a step, and what happens to what is remembered of the others."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from l2o.gradients import Jacobian, gradient_norms, num_objectives


def present_gradients(jacobian: Jacobian, expected: int) -> Bool[Array, " m"]:
    """Which of the gradients are finite and not zero.

    **Arguments:** `jacobian`, stacked gradients; `expected`, how many of them.

    **Raises:** `ValueError` if there is another number of gradients.
    """
    m = num_objectives(jacobian)
    if m != expected:
        raise ValueError(f"The state is that of {expected} objectives, got gradients of {m}.")
    norms = gradient_norms(jacobian)
    return jnp.isfinite(norms) & (norms > 0.0)


def keep_absent(new: PyTree, old: PyTree, present: Bool[Array, " m"]) -> PyTree:
    """Leaves what is remembered of absent objectives as it was.

    **Arguments:** `new` and `old` states; `present`, of m objectives. Leaves with a leading axis m
    have a row an objective, matrices (m, m) an entry a pair; all others, such as counters, are
    about all objectives together and stay as they were if none is present.
    """
    m = len(present)

    def keep(new: Array, old: Array) -> Array:
        new = jnp.asarray(new)
        if new.shape[:1] != (m,):
            return jnp.where(jnp.any(present), new, old)
        of_rows = present.reshape(m, *[1] * (new.ndim - 1))
        if new.shape == (m, m):
            of_rows = of_rows & present
        return jnp.where(of_rows, new, old)

    return jax.tree.map(keep, new, old)


def share_of_present(logits: Float[Array, " m"], present: Bool[Array, " m"]) -> Float[Array, " m"]:
    """The softmax over those present; zero for the others."""
    shares = jax.nn.softmax(jnp.where(present, logits, -jnp.inf))
    return jnp.where(present, shares, 0.0)


def mean_of_present(values: Float[Array, " m"], present: Bool[Array, " m"]) -> Float[Array, ""]:
    """The mean over those present; zero if none is."""
    total = jnp.sum(jnp.where(present, values, 0.0))
    return total / jnp.maximum(jnp.sum(present), 1)
