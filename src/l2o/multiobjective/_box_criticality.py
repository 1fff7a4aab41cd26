"""Pareto-criticality where the parameters are kept in a box."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from l2o.multiobjective.programs.simplex import project_onto_simplex
from l2o.support.scaling import power_of_two

_NUM_STEPS = 3000


def box_criticality(
    jacobian: Float[Array, "m d"],
    params: Float[Array, " d"],
    lower: ArrayLike,
    upper: ArrayLike,
) -> Float[Array, ""]:
    """`sqrt(-2 theta)`, where `theta = min_y max_i <g_i, y - x> + |y - x|^2 / 2` over a box.

    It is omega where no bound matters, and zero exactly where no direction into the box descends
    on all objectives. The dual, a concave function on the simplex, is climbed by accelerated
    projected gradients with restarts; the result is that of the primal point, so it is never too
    large, and near zero wherever the point is critical.

    Source: Fliege and Svaiter 2000 for theta; Fukuda and Grana Drummond 2014 for boxes.

    **Arguments:** `jacobian`, the gradients as rows; `params`, x, in the box; `lower`, `upper`,
    bounds, one number or d.

    ```pycon
    >>> jacobian = jnp.array([[1.0, 0.0], [1.0, 0.0]])
    >>> float(l2o.multiobjective.box_criticality(jacobian, jnp.zeros(2), lower=0.0, upper=1.0))
    0.0
    ```
    """
    # In units in which squares of gradients are in the range of numbers.
    unit = power_of_two(jacobian)
    jacobian = jacobian / unit
    low, high = (jnp.asarray(lower) - params) / unit, (jnp.asarray(upper) - params) / unit
    step = 1 / jnp.maximum(jnp.sum(jacobian**2), jnp.finfo(jacobian.dtype).tiny)

    def best_move(weights: Float[Array, " m"]) -> Float[Array, " d"]:
        return jnp.clip(-(weights @ jacobian), low, high)

    def climb(_: Any, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        weights, ahead, momentum = state
        slope = jacobian @ best_move(ahead)
        new = project_onto_simplex(ahead + step * slope)
        restarts = slope @ (new - weights) < 0.0
        momentum = jnp.where(restarts, 1.0, momentum)
        next_momentum = (1 + jnp.sqrt(1 + 4 * momentum**2)) / 2
        ahead = new + jnp.where(restarts, 0.0, (momentum - 1) / next_momentum) * (new - weights)
        return new, ahead, next_momentum

    start = jnp.full_like(jacobian[:, 0], 1 / len(jacobian))
    weights, _, _ = jax.lax.fori_loop(0, _NUM_STEPS, climb, (start, start, jnp.ones_like(step)))
    move = best_move(weights)
    theta = jnp.max(jacobian @ move) + move @ move / 2
    return unit * jnp.sqrt(jnp.maximum(-2 * theta, 0.0))
