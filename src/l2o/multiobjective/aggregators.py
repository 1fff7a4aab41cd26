"""Weightings of all forms as transformations of stacked gradients."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from l2o.composition import WEIGHTING, find_member
from l2o.multiobjective._aggregate import aggregate, aggregate_jacobian
from l2o.multiobjective.stateful_weighting import StatefulWeighting
from l2o.multiobjective.weightings.scalarized import Scalarized

Weighting = Callable[..., Any] | StatefulWeighting | optax.GradientTransformation
"""What `make_aggregator` takes."""


def find_weighting(name: str) -> Callable[..., Any]:
    """The weighting of this name, as `l2o list` shows it.

    ```pycon
    >>> l2o.multiobjective.find_weighting("nash-mtl").__name__
    'nash_mtl'
    ```

    **Raises:** `ValueError` for an unknown name.
    """
    return find_member(WEIGHTING, name).load()


def remembers_objectives(weighting: Callable[..., Any]) -> bool:
    """Whether a weighting has to be told of how many objectives it is to remember something."""
    if inspect.isclass(weighting):
        return True
    return next(iter(inspect.signature(weighting).parameters)) not in ("gramian", "jacobian")


def configured(weighting: Callable[..., Any], settings: Mapping[str, Any]) -> Weighting:
    """A weighting with settings of its own.

    **Arguments:** `weighting`, a function or a class, as `find_weighting` gives it; `settings`.

    **Raises:** `ValueError` for settings out of range, at the latest when it is called.

    ```pycon
    >>> weighting = l2o.multiobjective.configured(l2o.multiobjective.cagrad, {"c": 0.0})
    >>> weighting(jnp.eye(2)).tolist()
    [0.5, 0.5]
    ```
    """
    made: Any = weighting
    if inspect.isclass(weighting):
        return made(**settings)
    return partial(made, **settings) if settings else made


def check_settings(weighting: Weighting) -> None:
    """Makes sure that the settings of a weighting are in range, before it is needed.

    **Raises:** `ValueError` if one is not.
    """
    aggregator, params = optax.with_extra_args_support(make_aggregator(weighting, 2)), jnp.ones(2)
    # A function says so when it is called; nothing is computed here.
    jax.eval_shape(
        lambda: aggregator.update(
            jnp.ones((2, 2)), aggregator.init(params), params, value=jnp.ones(2)
        )
    )


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

    ```pycon
    >>> aggregator = l2o.multiobjective.make_aggregator(l2o.multiobjective.mean)
    >>> jacobian = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    >>> aggregator.update(jacobian, aggregator.init(jnp.zeros(2)))[0]
    Array([0.5, 0.5], dtype=float32)
    ```
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
