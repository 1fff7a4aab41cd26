"""ConFIG: the direction of equal cosines."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from l2o.gradients import AnyGramian
from l2o.multiobjective.programs.cosines import cosines_of


def config(gramian: AnyGramian) -> Float[Array, " m"]:
    """The direction with equal cosines to all gradients, as long as its products with them.

    `A = (sum_i <g_i, r>) r`, r of norm 1 along `pinv(J^) 1`, J^ the gradients divided by their
    norms. It conflicts with none if they are linearly independent. The pseudo-inverse of J^ is
    `J^' pinv(C)`, so the Gramian is enough.

    Source: Liu et al. 2024, ConFIG, equation 2; the form in the Gramian is ours.

    **Arguments:** `gramian`, of inner products of m gradients.

    **Raises:** `ValueError` if the Gramian is not a square matrix.

    ```pycon
    >>> gramian = l2o.multiobjective.gramian(jnp.diag(jnp.array([1.0, 3.0])))
    >>> np.round(l2o.multiobjective.config(gramian), 3)
    Array([2.        , 0.66700006], dtype=float32)
    ```
    """
    norms, cosines = cosines_of(gramian)
    is_zero = norms == 0.0
    ones = jnp.where(is_zero, 0.0, 1.0).astype(norms.dtype)
    inverse = jnp.linalg.pinv(cosines, hermitian=True)
    solution = inverse @ ones
    solution = solution + inverse @ (ones - cosines @ solution)
    square = solution @ cosines @ solution
    largest = jnp.max(norms)
    largest = jnp.where(largest > 0.0, largest, 1.0)
    sizes = norms / largest
    length = sizes @ (cosines @ solution) / jnp.maximum(square, jnp.finfo(norms.dtype).tiny)
    return length * jnp.where(is_zero, 0.0, solution / jnp.where(is_zero, 1.0, sizes))
