"""What AdafacMLP and Celo2 remember of gradients, and what they make of it."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from l2o.optimizers.factored import (
    FactoredMoments,
    factored_axes,
    init_factored,
    inverse_roots,
    safe_rsqrt,
    update_factored,
)
from l2o.optimizers.layout import Group, Layout, Rows
from l2o.optimizers.moving_averages import moving_averages

NUM_SCALES = 3


class AdafacState(eqx.Module):
    """What is remembered of the gradients of all tensors."""

    averages: Float[Array, "3 rows width"]
    mean_squares: Rows
    factored: tuple[FactoredMoments, ...]
    """An entry for each shape that tensors have."""


def init_adafac(params: tuple[Group, ...], layout: Layout) -> AdafacState:
    """No gradient so far."""
    return AdafacState(
        averages=jnp.zeros((NUM_SCALES, *layout.shape)),
        mean_squares=jnp.zeros(layout.shape),
        factored=tuple(init_factored(group, NUM_SCALES) for group in params),
    )


def update_adafac(
    state: AdafacState,
    gradients: tuple[Group, ...],
    layout: Layout,
    average_decays: Float[Array, " 3"],
    square_decay: Float[Array, ""],
    factored_decays: Float[Array, " 3"],
) -> AdafacState:
    """With one more gradient."""
    gradient = layout.join(gradients)
    return AdafacState(
        averages=moving_averages(state.averages, gradient, average_decays),
        mean_squares=square_decay * state.mean_squares + (1 - square_decay) * gradient**2,
        factored=tuple(
            update_factored(group, factored, factored_decays)
            for group, factored in zip(gradients, state.factored, strict=True)
        ),
    )


def factors(state: AdafacState, layout: Layout, smallest_of_vectors: float) -> list[Rows]:
    """One over the roots of factored second moments, at three time scales.

    **Arguments:** `state`; `layout`; `smallest_of_vectors`, added to the moments of vectors, which
    are those in full.
    """
    of_groups = [
        safe_rsqrt(factored.rows + smallest_of_vectors)
        if factored_axes(shape) is None
        else inverse_roots(factored, shape)
        for factored, shape in zip(state.factored, layout.shapes, strict=True)
    ]
    return [layout.join([group[scale] for group in of_groups]) for scale in range(NUM_SCALES)]


def moments_of_axes(
    state: AdafacState, layout: Layout, axes: int | None, smallest: float, *, of_vectors: bool
) -> list[Rows]:
    """The moments of rows, those of columns, and one over the roots of both, normalised.

    **Arguments:** `state`; `layout`; `axes`, how many of the last axes are normalised along
    together, all by default; `smallest`, added to mean squares; `of_vectors`, whether vectors have
    these, their moments in full twice, or zeros.
    """

    def features(factored: FactoredMoments, shape: tuple[int, ...]) -> Sequence[Array]:
        if factored_axes(shape) is not None:
            moments = [*factored.rows, *factored.columns]
        elif of_vectors:
            moments = 2 * [*factored.rows]
        else:
            return 4 * NUM_SCALES * [jnp.zeros(shape, factored.rows.dtype)]
        roots = [jax.lax.rsqrt(moment + 1e-8) for moment in moments]
        along = tuple(range(1, len(shape)))[-axes if axes else None :]
        return [
            feature * jax.lax.rsqrt(smallest + jnp.mean(feature**2, axis=along, keepdims=True))
            for feature in (*moments, *roots)
        ]

    of_groups = map(features, state.factored, layout.shapes)
    return [layout.join(groups) for groups in zip(*of_groups, strict=True)]
