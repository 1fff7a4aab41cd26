"""Products of the Hessian with vectors, without the Hessian."""

from collections.abc import Callable

import jax
from jaxtyping import Array, Float

from l2o.flatness.raveled import Loss
from l2o.tasks.task import Params


def hessian_product(loss: Loss, params: Params) -> Callable[[Params], Params]:
    """The Hessian of a loss as a linear map.

    The gradient is linearized once, so that each product costs no more than the derivative of a
    gradient along one direction: the loss itself is not evaluated again.

    **Arguments:** `loss`; `params`, where to differentiate.

    **Returns:** a function from a tangent v, a pytree like `params`, to H v.
    """
    return jax.linearize(jax.grad(loss), params)[1]


def curvature(loss: Loss, params: Params, direction: Params) -> Float[Array, ""]:
    """The second derivative of a loss along a direction: v'Hv.

    Two derivatives forward and none backward, so that one more, backward, gives its gradient with
    respect to `params` at little cost.

    **Arguments:** `loss`; `params`, where to differentiate; `direction`, v, a pytree like `params`.
    """

    def slope(point: Params) -> Float[Array, ""]:
        return jax.jvp(loss, (point,), (direction,))[1]

    return jax.jvp(slope, (params,), (direction,))[1]
