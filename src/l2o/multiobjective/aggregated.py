"""Hand-designed optimizers for several objectives: an aggregator, and then one for one gradient."""

from collections.abc import Callable
from dataclasses import dataclass

import optax
from jaxtyping import Array, Float, ScalarLike

from l2o.multiobjective.aggregate import aggregate
from l2o.multiobjective.stateful_weighting import StatefulWeighting
from l2o.multiobjective.weightings import mean, mgda, pcgrad, upgrad
from l2o.optimizers import HandDesigned, adam, sgd
from l2o.support.checks import check_instance


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
    check_instance("optimizer", optimizer, HandDesigned, "Take one such as l2o.optimizers.adam.")
    build = _Chain(aggregator, num_objectives, optimizer.build)
    build.first()
    return HandDesigned(name, build, optimizer.space, optimizer.defaults)


@dataclass(frozen=True)
class _Chain:
    """An aggregator and an optimizer, put together when hyperparameters are known.

    It is data and no closure, so that what is made of it compares and pickles by value.
    """

    aggregator: Callable[..., Float[Array, " m"]] | StatefulWeighting | optax.GradientTransformation
    num_objectives: int | None
    build: Callable[..., optax.GradientTransformation]

    def first(self) -> optax.GradientTransformation:
        """The aggregator, as a transformation of stacked gradients."""
        if isinstance(self.aggregator, optax.GradientTransformation):
            return self.aggregator
        return aggregate(self.aggregator, num_objectives=self.num_objectives)

    def __call__(self, **hyperparameters: ScalarLike) -> optax.GradientTransformation:
        """Both, one after the other."""
        return optax.chain(self.first(), self.build(**hyperparameters))


ALL_AGGREGATED: tuple[HandDesigned, ...] = tuple(
    aggregated(f"{name}-{optimizer.name}", weighting, optimizer)
    for name, weighting in (("mean", mean), ("mgda", mgda), ("upgrad", upgrad), ("pcgrad", pcgrad))
    for optimizer in (sgd, adam)
)
"""Optimizers for tasks with several losses, to be tuned and compared with."""
