"""Hand-designed optimizers for several objectives: an aggregator, and then one for one gradient."""

from collections.abc import Callable

import optax
from jaxtyping import Array, Float, ScalarLike

from l2o.multiobjective.aggregate import aggregate
from l2o.multiobjective.stateful_weighting import StatefulWeighting
from l2o.multiobjective.weightings import mean, mgda, pcgrad, upgrad
from l2o.optimizers import HandDesigned, adam, sgd


def aggregated(
    name: str,
    aggregator: Callable[..., Float[Array, " m"]]
    | StatefulWeighting
    | optax.GradientTransformation,
    optimizer: HandDesigned,
    *,
    num_objectives: int | None = None,
) -> HandDesigned:
    """A hand-designed optimizer behind an aggregator, with its hyperparameters to be tuned.

    **Arguments:** `name`, of the whole; `aggregator`, a weighting as for `aggregate`, or a
    transformation of stacked gradients such as `moco(2)`; `optimizer`, for one gradient;
    `num_objectives`, for a weighting with a state.

    **Raises:** `ValueError` for a weighting with a state without `num_objectives`.
    """
    first = aggregator
    if not isinstance(first, optax.GradientTransformation):
        first = aggregate(first, num_objectives=num_objectives)

    def build(**hyperparameters: ScalarLike) -> optax.GradientTransformation:
        return optax.chain(first, optimizer.build(**hyperparameters))

    return HandDesigned(name, build, optimizer.space, optimizer.defaults)


ALL_AGGREGATED: tuple[HandDesigned, ...] = tuple(
    aggregated(f"{name}-{optimizer.name}", weighting, optimizer)
    for name, weighting in (("mean", mean), ("mgda", mgda), ("upgrad", upgrad), ("pcgrad", pcgrad))
    for optimizer in (sgd, adam)
)
"""Optimizers for tasks with several losses, to be tuned and compared with."""
