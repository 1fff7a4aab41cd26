"""Weightings as Optax transformations of stacked gradients."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from l2o.gradients import Gradients, Jacobian, as_jacobian, check_stacked, combine, gramian
from l2o.multiobjective.stateful_weighting import StatefulWeighting
from l2o.optimizers import OptState
from l2o.support.checks import check_integer, in_a_line
from l2o.support.keys import check_key


class AggregateState(eqx.Module):
    """What `aggregate` keeps from step to step."""

    step: Int[Array, ""]
    weighting: PyTree
    """The weighting's own state; `None` if it has none."""


def aggregate(
    weighting: Callable[..., Float[Array, " m"]] | StatefulWeighting,
    *,
    num_objectives: int | None = None,
    key: PRNGKeyArray | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Combines the gradients of several objectives into one update.

    It takes `Gradients`, or plain ones that are stacked along the leading axis of every leaf, so
    it stands first in a chain: `optax.chain(aggregate(upgrad), optax.adam(1e-3))`. The losses of a
    stateful weighting are Optax's extra argument `value`, by default those of the `Gradients`.

    What wraps a transformation of ordinary gradients goes after it, not around it: masks,
    partitions, `optax.apply_if_finite` and `optax.MultiSteps` expect gradients of the shape of
    the parameters (`docs/multiobjective.md`).

    **Arguments:**

    - `weighting`: a function of the Gramian, options bound with `functools.partial`, or a
      `StatefulWeighting`.
    - `num_objectives`: m, which a stateful weighting needs for its first state.
    - `key`: randomness, of which the weighting gets a part of its own at every step as `key=`.

    **Returns:** the transformation.

    **Raises:** `ValueError` for a stateful weighting without `num_objectives`, a class in place
    of an object, a key that the weighting has no use for or one that it lacks; and at every step
    for gradients that are masked, or not stacked over the shapes of the parameters, another
    number of objectives than was said, and losses that are not one for each objective.

    ```pycon
    >>> aggregator = l2o.multiobjective.aggregate(l2o.multiobjective.mgda)
    >>> descent = optax.chain(aggregator, optax.sgd(1.0))
    >>> jacobian = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    >>> updates, state = descent.update(jacobian, descent.init(jnp.zeros(2)))
    >>> updates
    Array([-0.5, -0.5], dtype=float32)
    ```
    """
    _check_weighting(weighting, key)
    if num_objectives is not None:
        check_integer("num_objectives", num_objectives, least=1)
    elif isinstance(weighting, StatefulWeighting):
        name = type(weighting).__name__
        raise ValueError(
            f"{name} has a state for every objective: pass num_objectives, as in "
            f"aggregate({name}(...), num_objectives=2)."
        )

    def init(params: PyTree) -> OptState:
        del params
        state = None
        if isinstance(weighting, StatefulWeighting) and num_objectives is not None:
            state = weighting.init(num_objectives)
        return AggregateState(jnp.zeros((), jnp.int32), state)

    def update(
        updates: Jacobian | Gradients,
        state: OptState,
        params: PyTree | None = None,
        *,
        value: Float[Array, "..."] | None = None,
        **extra: Any,
    ) -> tuple[PyTree, OptState]:
        del extra
        randomness = {} if key is None else {"key": jax.random.fold_in(key, state.step)}
        if isinstance(updates, Gradients):
            products, combined = updates.gramian(), updates.combine
            value = updates.losses if value is None else value
        else:
            check_stacked(updates, params)
            products, combined = gramian(updates), partial(combine, updates)
        _check_numbers(len(products), num_objectives, value)
        if isinstance(weighting, StatefulWeighting):
            weights, kept = weighting.update(products, state.weighting, losses=value, **randomness)
        else:
            weights, kept = partial(weighting, **randomness)(products), None
        return combined(weights), AggregateState(state.step + 1, kept)

    return optax.GradientTransformationExtraArgs(init, update)


def aggregate_jacobian(
    aggregator: Callable[..., PyTree], *, key: PRNGKeyArray | None = None
) -> optax.GradientTransformationExtraArgs:
    """The same for an aggregator that looks at the gradients themselves, such as `graddrop`.

    **Arguments:** `aggregator`, from stacked gradients to one update; `key`, randomness, of which
    it gets a part of its own at every step as `key=`.

    **Returns:** the transformation.

    **Raises:** `ValueError` as `aggregate` does.

    ```pycon
    >>> aggregator = l2o.multiobjective.aggregate_jacobian(
    ...     lambda jacobian: l2o.multiobjective.trimmed_mean(jacobian, num_trimmed=1)
    ... )
    >>> jacobian = jnp.array([[0.0], [1.0], [50.0]])
    >>> aggregator.update(jacobian, aggregator.init(jnp.zeros(1)))[0]
    Array([1.], dtype=float32)
    ```
    """
    _check_weighting(aggregator, key)

    def init(params: PyTree) -> OptState:
        del params
        return AggregateState(jnp.zeros((), jnp.int32), None)

    def update(
        updates: Jacobian | Gradients,
        state: OptState,
        params: PyTree | None = None,
        **extra: Any,
    ) -> tuple[PyTree, OptState]:
        del extra
        jacobian = as_jacobian(updates)
        check_stacked(jacobian, params)
        randomness = {} if key is None else {"key": jax.random.fold_in(key, state.step)}
        return aggregator(jacobian, **randomness), AggregateState(state.step + 1, None)

    return optax.GradientTransformationExtraArgs(init, update)


def _check_weighting(weighting: Callable[..., Any] | StatefulWeighting, key: Any) -> None:
    """Makes sure that a weighting is an object and gets randomness if and only if it wants it."""
    if inspect.isclass(weighting):
        raise ValueError(
            f"A weighting is an object, not a class: pass {weighting.__name__}(...), got "
            f"{weighting.__name__}."
        )
    if not (callable(weighting) or isinstance(weighting, StatefulWeighting)):
        raise ValueError(f"A weighting is a function of the Gramian, got {in_a_line(weighting)}.")
    called = weighting.update if isinstance(weighting, StatefulWeighting) else weighting
    parameters = inspect.signature(called).parameters
    name = getattr(weighting, "__name__", type(weighting).__name__)
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    if key is not None and not ("key" in parameters or takes_any):
        raise ValueError(f"{name} has no randomness: it takes no key.")
    if key is not None:
        check_key(key)
    elif "key" in parameters and parameters["key"].default is inspect.Parameter.empty:
        raise ValueError(f"{name} draws random numbers: pass key.")


def _check_numbers(m: int, num_objectives: int | None, value: Any) -> None:
    """Makes sure that gradients and losses are of as many objectives as was said."""
    if num_objectives is not None and m != num_objectives:
        raise ValueError(
            f"The gradients are of {m} objectives, num_objectives is {num_objectives}."
        )
    if value is not None and jnp.shape(value) != (m,):
        raise ValueError(
            f"value is one loss for each of the {m} objectives, got shape {jnp.shape(value)}."
        )
