"""Weightings of all forms as transformations of stacked gradients."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import optax

from l2o.composition import WEIGHTING, find_member
from l2o.multiobjective.aggregate import aggregate, aggregate_jacobian
from l2o.multiobjective.stateful_weighting import StatefulWeighting
from l2o.multiobjective.weightings.scalarized import Scalarized

Weighting = Callable[..., Any] | StatefulWeighting | optax.GradientTransformation
"""What `make_aggregator` takes."""


def find_weighting(name: str) -> Weighting:
    """The weighting of this name, as `l2o list` shows it.

    >>> find_weighting("nash-mtl").__name__
    'nash_mtl'

    **Raises:** `ValueError` for an unknown name.
    """
    return find_member(WEIGHTING, name).load()


def make_aggregator(
    weighting: Weighting, num_objectives: int | None = None
) -> optax.GradientTransformation:
    """Makes what combines the gradients of several objectives, whatever form a weighting has.

    The form of a function shows in the name of its first argument. One that must have a key gets
    that of seed 0.

    **Arguments:**

    - `weighting`: a function of the `gramian`, the `jacobian` or the `losses`, the last being a
      scalarization; one of `num_objectives` that makes a transformation, such as `moco`; a
      `StatefulWeighting`, or a class of them; or a transformation of stacked gradients.
    - `num_objectives`: m, which all need that remember something of every objective.

    **Returns:** a transformation, to be the first of a chain.

    **Raises:** `ValueError` for one that needs `num_objectives` without it, and for what is no
    weighting.
    """
    if isinstance(weighting, optax.GradientTransformation):
        return weighting
    if inspect.isclass(weighting) and issubclass(weighting, StatefulWeighting):
        weighting = weighting()
    if isinstance(weighting, StatefulWeighting) or not callable(weighting):
        return aggregate(weighting, num_objectives=num_objectives)
    return _make_of_function(weighting, num_objectives)


def _make_of_function(
    function: Callable[..., Any], num_objectives: int | None
) -> optax.GradientTransformation:
    parameters = inspect.signature(function).parameters
    must_have_key = "key" in parameters and parameters["key"].default is inspect.Parameter.empty
    key = jax.random.key(0) if must_have_key else None
    match next(iter(parameters), None):
        case "num_objectives":
            if num_objectives is None:
                name = getattr(function, "__name__", function)
                raise ValueError(f"{name} remembers every objective: pass num_objectives.")
            return function(num_objectives)
        case "jacobian":
            return aggregate_jacobian(function, key=key)
        case "losses":
            return aggregate(Scalarized(function), num_objectives=num_objectives)
    return aggregate(function, num_objectives=num_objectives, key=key)
