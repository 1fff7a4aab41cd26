"""Hand-designed optimizers for several objectives: an aggregator, and then one for one gradient."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import optax

from l2o.multiobjective.aggregators import Weighting, check_settings, make_aggregator
from l2o.optimizers import HandDesigned
from l2o.support.checks import check_instance


def aggregated(
    name: str,
    aggregator: Weighting,
    optimizer: HandDesigned,
    *,
    num_objectives: int | None = None,
) -> HandDesigned:
    """A hand-designed optimizer behind an aggregator, with its hyperparameters to be tuned.

    **Arguments:** `name`, of the whole; `aggregator`, a weighting in any form that
    `make_aggregator` takes, such as `upgrad`, `FAMO` or `moco`; `optimizer`, for one gradient;
    `num_objectives`, for a weighting that remembers something of every objective.

    **Raises:** `ValueError` as `make_aggregator` does.

    ```pycon
    >>> both = l2o.multiobjective.aggregated("mgda", l2o.multiobjective.mgda, l2o.optimizers.sgd)
    >>> both.name, sorted(both.space)
    ('mgda', ['learning_rate'])
    ```
    """
    check_instance("optimizer", optimizer, HandDesigned, "Take one such as l2o.optimizers.adam.")
    make_aggregator(aggregator, num_objectives)
    if isinstance(aggregator, partial):
        check_settings(aggregator)
    build = _Chain(aggregator, num_objectives, optimizer.build)
    return replace(optimizer, name=name, build=build)


@dataclass(frozen=True)
class _Chain:
    """A weighting and an optimizer, put together when hyperparameters are known.

    It is data and no closure, so that what is made of it compares and pickles by value.
    """

    aggregator: Weighting
    num_objectives: int | None
    build: Callable[..., optax.GradientTransformation]

    def __call__(self, **hyperparameters: Any) -> optax.GradientTransformation:
        """Both, one after the other."""
        first = make_aggregator(self.aggregator, self.num_objectives)
        return optax.chain(first, self.build(**hyperparameters))
