"""Krum: the gradients that are nearest to the others."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from l2o.gradients import AnyGramian, as_gramian
from l2o.support.checks import check_integer


def krum(gramian: AnyGramian, *, num_byzantine: int, num_selected: int = 1) -> Float[Array, " m"]:
    """The mean of those gradients that are nearest to the others, for gradients of many workers.

    The score of a gradient is the sum of its squared distances to its `m - f - 2` nearest
    neighbours, f the number of workers that may send anything; those of least score are selected.
    It protects from faulty workers, not from conflicts.

    Source: Blanchard et al. 2017, Machine Learning with Adversaries. TorchJD sums distances and
    not their squares.

    **Arguments:** `gramian`, of inner products of m gradients; `num_byzantine`, f;
    `num_selected`, how many gradients are averaged.

    **Returns:** `1 / num_selected` for those selected and 0 for the others.

    **Raises:** `ValueError` if f is negative or larger than m - 3, or `num_selected` is not
    between 1 and m.

    ```pycon
    >>> jacobian = jnp.array([[1.0], [1.1], [0.9], [50.0]])
    >>> l2o.multiobjective.krum(l2o.multiobjective.gramian(jacobian), num_byzantine=1)
    Array([1., 0., 0., 0.], dtype=float32)
    ```
    """
    gramian = as_gramian(gramian)
    m = len(gramian)
    check_integer("num_byzantine", num_byzantine)
    check_integer("num_selected", num_selected)
    if not 0 <= num_byzantine <= m - 3:
        raise ValueError(
            f"Of {m} gradients at least 0 and at most {m - 3} may be faulty, got {num_byzantine}."
        )
    if not 1 <= num_selected <= m:
        raise ValueError(f"Of {m} gradients 1 to {m} can be selected, got {num_selected}.")
    # In units of the largest norm, and without taking squares from one another.
    norms = gramian.relative.norms
    apart = (1.0 - gramian.cosines) - gramian.remainder
    distances = (norms[:, None] - norms) ** 2 + 2 * norms[:, None] * norms * apart
    distances = jnp.where(jnp.eye(m, dtype=bool), jnp.inf, distances)
    scores = jnp.sum(jnp.sort(distances, axis=1)[:, : m - num_byzantine - 2], axis=1)
    selected = jnp.argsort(scores)[:num_selected]
    return jnp.zeros_like(norms).at[selected].set(1 / num_selected)
