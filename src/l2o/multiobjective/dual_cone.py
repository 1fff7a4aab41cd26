"""Projections onto the dual cone of gradients: the directions that conflict with none of them."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from l2o.multiobjective.cosines import Cosines
from l2o.multiobjective.nonnegative_program import nonnegative_program
from l2o.multiobjective.nonnegative_programs import nonnegative_programs


def dual_cone_weights(
    scaled: Cosines, weights: Float[Array, "*combinations m"]
) -> Float[Array, "*combinations m"]:
    """`argmin v'Gv` over `v >= u`: J'v is the projection of J'u onto `{d: Jd >= 0}`.

    It is solved for v times the gradients' norms, in which it is a program of their cosines
    alone: gradients of very different size do not make it ill-conditioned.

    Source: Quinton and Rey 2024, Jacobian Descent for Multi-Objective Optimization, proposition
    1; the change of variables is ours.

    **Arguments:** `scaled`, the Gramian as norms and cosines; `weights`, u, of the combination to
    project, or those of several as rows.

    **Returns:** v.
    """
    norms, cosines = scaled
    bounds = norms * weights
    size = jnp.max(jnp.abs(bounds), axis=-1, keepdims=True)
    size = jnp.where(size > 0.0, size, 1.0)
    solve = nonnegative_program if weights.ndim == 1 else nonnegative_programs
    excess = size * solve(cosines, (bounds / size) @ cosines.T)
    is_zero = norms == 0.0
    return weights + jnp.where(is_zero, 0.0, excess / jnp.where(is_zero, 1.0, norms))
