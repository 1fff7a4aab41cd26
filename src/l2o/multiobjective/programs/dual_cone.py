"""Projections onto the dual cone of gradients: the directions that conflict with none of them."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from l2o.gradients import Gramian
from l2o.multiobjective.programs.nonnegative_program import program_of
from l2o.multiobjective.programs.nonnegative_programs import programs_of


def dual_cone_weights(
    gramian: Gramian, weights: Float[Array, "*combinations m"]
) -> Float[Array, "*combinations m"]:
    """`argmin v'Gv` over `v >= u`: J'v is the projection of J'u onto `{d: Jd >= 0}`.

    It is solved for v times the gradients' norms, in which it is a program of their cosines
    alone: gradients of very different size do not make it ill-conditioned.

    Source: Quinton and Rey 2024, Jacobian Descent for Multi-Objective Optimization, proposition
    1; the change of variables is ours.

    **Arguments:** `gramian`; `weights`, u, of the combination to project, or those of several as
    rows.

    **Returns:** v; of a gradient that is zero, u.
    """
    norms = gramian.relative.norms
    bounds = norms * weights
    size = jnp.max(jnp.abs(bounds), axis=-1, keepdims=True)
    size = jnp.where(size > 0.0, size, 1.0)
    solve = program_of if weights.ndim == 1 else programs_of
    excess = size * solve(_projection, gramian.cosines, gramian.remainder, bounds / size)
    is_zero = norms == 0.0
    return weights + jnp.where(is_zero, 0.0, excess / jnp.where(is_zero, 1.0, norms))


def _projection(cosines: Array, bounds: Array) -> tuple[Array, Array]:
    return cosines, bounds @ cosines.T
