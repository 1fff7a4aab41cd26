"""Products of the Hessian with vectors, without the Hessian."""

from collections.abc import Callable

import equinox as eqx
import jax
from jaxtyping import Array, Float, PyTree

from l2o.flatness.raveled import Loss, moves, split, still


def hessian_product(loss: Loss, params: PyTree) -> Callable[[PyTree], PyTree]:
    """The Hessian of a loss as a linear map.

    The gradient is linearized once, so that each product costs no more than the derivative of a
    gradient along one direction: the loss itself is not evaluated again.

    **Arguments:** `loss`; `params`, where to differentiate, in their own precision.

    **Returns:** a function from a tangent v, a pytree like `params`, to H v. Leaves that are no
    floating-point arrays count for nothing: integers are 0 in H v.

    **Raises:** `ValueError` if some parameters are complex.

    ```pycon
    >>> product = l2o.flatness.hessian_product(lambda x: x[0] * x[1], jnp.zeros(2))
    >>> product(jnp.array([1.0, 0.0]))
    Array([0., 1.], dtype=float32)
    ```
    """
    moving, held = split(params)
    product = jax.linearize(jax.grad(lambda moving: loss(eqx.combine(moving, held))), moving)[1]
    mask = moves(params)
    return lambda tangent: eqx.combine(product(eqx.filter(tangent, mask)), still(held))


def curvature(loss: Loss, params: PyTree, direction: PyTree) -> Float[Array, ""]:
    """The second derivative of a loss along a direction: v'Hv.

    Two derivatives forward and none backward, so that one more, backward, gives its gradient with
    respect to `params` at little cost.

    **Arguments:** `loss`; `params`, where to differentiate, in their own precision; `direction`,
    v, a pytree like `params`, of which only floating-point arrays count.

    **Raises:** `ValueError` if some parameters are complex.

    ```pycon
    >>> loss = lambda x: x[0] ** 2 + 3 * x[1] ** 2
    >>> float(l2o.flatness.curvature(loss, jnp.zeros(2), jnp.array([0.0, 1.0])))
    6.0
    ```
    """
    moving, held = split(params)
    along = eqx.filter(direction, moves(params))

    def slope(moving: PyTree) -> Float[Array, ""]:
        return jax.jvp(lambda moving: loss(eqx.combine(moving, held)), (moving,), (along,))[1]

    return jax.jvp(slope, (moving,), (along,))[1]
