"""How far parameters are from Pareto-critical, and the way down that all objectives share."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from l2o.gradients import (
    Jacobian,
    combine,
    gradient_norms,
    gramian,
    norm_of,
    products_with,
)
from l2o.multiobjective.programs.min_norm import min_norm_weights


class CommonDescent(eqx.Module):
    """The steepest common descent direction, and the proof that it is one."""

    direction: PyTree
    """v, with the structure of the parameters: `-J'w`."""
    weights: Float[Array, " m"]
    """w, on the simplex: with them the objectives' gradients nearly cancel where omega is small."""
    criticality: Float[Array, ""]
    """omega, the norm of v: zero where the parameters are Pareto-critical, and nowhere else."""
    certificate: Float[Array, ""]
    """`min_i <g_i, -v> / |v|^2`, 1 but for rounding; if positive, v descends on all objectives."""


def common_descent(jacobian: Jacobian) -> CommonDescent:
    """The steepest common descent direction, `argmin_v max_i <g_i, v> + |v|^2 / 2`.

    Source: Fliege and Svaiter 2000, Steepest descent methods for multicriteria optimization.

    **Arguments:** `jacobian`, gradients stacked along the leading axis of every leaf, or a matrix
    (m, d).

    **Raises:** `ValueError` if the leaves have no common leading axis.

    ```pycon
    >>> found = l2o.multiobjective.common_descent(jnp.array([[1.0, 0.0], [0.0, 1.0]]))
    >>> found.direction, found.weights
    (Array([-0.5, -0.5], dtype=float32), Array([0.5, 0.5], dtype=float32))
    ```
    """
    weights = min_norm_weights(gramian(jacobian))
    direction = jax.tree.map(jnp.negative, combine(jacobian, weights))
    # From the direction itself: the Gramian holds but half of the digits of a small norm.
    omega = norm_of(direction)
    is_zero = omega == 0.0
    safe = jnp.where(is_zero, 1.0, omega)
    unit = jax.tree.map(lambda leaf: leaf / safe.astype(leaf.dtype), direction)
    certificate = jnp.min(-products_with(jacobian, unit)) / safe
    return CommonDescent(direction, weights, omega, jnp.where(is_zero, 1.0, certificate))


def criticality(jacobian: Jacobian) -> Float[Array, ""]:
    """Omega: the least norm of a convex combination of the gradients, zero where critical.

    Source: Fliege and Svaiter 2000.

    **Arguments:** `jacobian`, gradients stacked along the leading axis of every leaf, or a matrix
    (m, d).

    **Raises:** `ValueError` if the leaves have no common leading axis.

    ```pycon
    >>> float(l2o.multiobjective.criticality(jnp.array([[1.0, 0.0], [-2.0, 0.0]])))
    0.0
    ```
    """
    return common_descent(jacobian).criticality


def relative_criticality(jacobian: Jacobian) -> Float[Array, ""]:
    """Omega over the largest norm of a gradient: between 0 and 1, whatever the losses' scale.

    Where all gradients fade, far from any critical point, omega alone would look like success.

    **Arguments:** `jacobian`, gradients stacked along the leading axis of every leaf, or a matrix
    (m, d).

    **Raises:** `ValueError` if the leaves have no common leading axis.

    ```pycon
    >>> jacobian = jnp.array([[3.0, 0.0], [3.0, 0.0]])
    >>> print(f"{l2o.multiobjective.relative_criticality(jacobian):.3f}")
    1.000
    ```
    """
    largest = jnp.max(gradient_norms(jacobian))
    safe = jnp.where(largest > 0.0, largest, 1.0)
    return jnp.where(largest > 0.0, criticality(jacobian) / safe, 0.0)
