"""Trimmed mean of gradients."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from l2o.gradients import Jacobian, num_objectives
from l2o.support.checks import check_integer


def trimmed_mean(jacobian: Jacobian, *, num_trimmed: int) -> PyTree:
    """The mean without the largest and the smallest numbers, in every coordinate by itself.

    It protects from faulty workers, not from conflicts.

    Source: Yin et al. 2018, Byzantine-Robust Distributed Learning, definition 2.

    **Arguments:** `jacobian`, gradients stacked along the leading axis of every leaf;
    `num_trimmed`, how many numbers are left out at each end.

    **Returns:** the means, with the structure of the parameters.

    **Raises:** `ValueError` if `num_trimmed` is negative, or nothing would be left.

    ```pycon
    >>> l2o.multiobjective.trimmed_mean(jnp.array([[0.0], [1.0], [50.0]]), num_trimmed=1)
    Array([1.], dtype=float32)
    ```
    """
    m = num_objectives(jacobian)
    check_integer("num_trimmed", num_trimmed)
    if not 0 <= 2 * num_trimmed < m:
        raise ValueError(
            f"Of {m} gradients at least 0 and at most {(m - 1) // 2} can be left out at each end, "
            f"got {num_trimmed}."
        )

    def trim(leaf: Float[Array, "m ..."]) -> Float[Array, "..."]:
        return jnp.mean(jnp.sort(leaf, axis=0)[num_trimmed : m - num_trimmed], axis=0)

    return jax.tree.map(trim, jacobian)
