"""Weightings as Optax transformations of stacked gradients."""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from l2o.multiobjective.gradients import Gradients, StackedGradients
from l2o.multiobjective.jacobian import Jacobian, combine, gramian
from l2o.multiobjective.stateful_weighting import StatefulWeighting
from l2o.optimizers import OptState


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

    **Arguments:**

    - `weighting`: a function of the Gramian, options bound with `functools.partial`, or a
      `StatefulWeighting`.
    - `num_objectives`: m, which a stateful weighting needs for its first state.
    - `key`: randomness, of which the weighting gets a part of its own at every step as `key=`.

    **Returns:** the transformation.

    **Raises:** `ValueError` for a stateful weighting without `num_objectives`.
    """
    if isinstance(weighting, StatefulWeighting) and num_objectives is None:
        raise ValueError(
            f"{type(weighting).__name__} has a state for every objective: pass num_objectives."
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
        value: Float[Array, " m"] | None = None,
        **extra: Any,
    ) -> tuple[PyTree, OptState]:
        del params, extra
        own = {} if key is None else {"key": jax.random.fold_in(key, state.step)}
        if isinstance(updates, Gradients):
            products, combined = updates.gramian(), updates.combine
            value = updates.losses if value is None else value
        else:
            products, combined = gramian(updates), partial(combine, updates)
        if isinstance(weighting, StatefulWeighting):
            weights, kept = weighting.update(products, state.weighting, losses=value, **own)
        else:
            weights, kept = partial(weighting, **own)(products), None
        return combined(weights), AggregateState(state.step + 1, kept)

    return optax.GradientTransformationExtraArgs(init, update)


def aggregate_jacobian(
    aggregator: Callable[..., PyTree], *, key: PRNGKeyArray | None = None
) -> optax.GradientTransformationExtraArgs:
    """The same for an aggregator that looks at the gradients themselves, such as `graddrop`.

    **Arguments:** `aggregator`, from stacked gradients to one update; `key`, randomness, of which
    it gets a part of its own at every step as `key=`.

    **Returns:** the transformation; its update raises a `ValueError` for gradients that are not
    stacked.
    """

    def init(params: PyTree) -> OptState:
        del params
        return AggregateState(jnp.zeros((), jnp.int32), None)

    def update(
        updates: Jacobian | Gradients,
        state: OptState,
        params: PyTree | None = None,
        **extra: Any,
    ) -> tuple[PyTree, OptState]:
        del params, extra
        if isinstance(updates, StackedGradients):
            updates = updates.jacobian
        if isinstance(updates, Gradients):
            raise ValueError(
                "The aggregator looks at the gradients themselves: pass them stacked, got "
                f"{type(updates).__name__}."
            )
        own = {} if key is None else {"key": jax.random.fold_in(key, state.step)}
        return aggregator(updates, **own), AggregateState(state.step + 1, None)

    return optax.GradientTransformationExtraArgs(init, update)
