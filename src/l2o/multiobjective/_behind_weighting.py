"""Learned optimizers for one gradient behind an aggregator, made of settings."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from l2o.composition import (
    LEARNED_OPTIMIZER,
    WEIGHTING,
    Setting,
    find_member,
    settings_of,
    summary,
)
from l2o.gradients import Gradients, num_objectives
from l2o.multiobjective.aggregators import (
    check_settings,
    configured,
    find_weighting,
    make_aggregator,
    remembers_objectives,
)
from l2o.optimizers import LearnedOptimizer, OptState, Updates, check_optimizer
from l2o.optimizers.parameters import (
    check_gradients,
    check_parameters,
    with_dtype,
    with_dtypes_of,
    working_dtype,
)
from l2o.support.checks import check_integer

PREFIX = "weighting_"
"""What the settings of a weighting begin with, where an optimizer has settings, too."""


class BehindWeighting(LearnedOptimizer):
    """A learned optimizer for one gradient, to which a weighting combines those of several losses.

    The meta-parameters are the optimizer's. Where the gradients that it sees are held constant
    (`l2o.metatraining.FirstOrder`), so are the weights, which are a function of them; otherwise
    meta-gradients go through the program that the weighting solves.

    **Arguments:** `optimizer`; `weighting`, its name; `settings`, of the weighting, those not given
    with their defaults; `num_objectives`, for a weighting that remembers something of each.

    **Raises:** `ValueError` for an unknown weighting or settings out of range.
    """

    optimizer: LearnedOptimizer
    weighting: str = eqx.field(static=True)
    settings: tuple[tuple[str, Any], ...] = eqx.field(static=True)
    num_objectives: int | None = eqx.field(static=True)

    def __init__(
        self,
        optimizer: LearnedOptimizer,
        weighting: str,
        settings: Mapping[str, Any] | None = None,
        num_objectives: int | None = None,
    ) -> None:
        check_optimizer(optimizer)
        if num_objectives is not None:
            check_integer("num_objectives", num_objectives, least=1)
        self.optimizer = optimizer
        self.weighting = find_member(WEIGHTING, weighting).name
        self.settings = tuple((settings or {}).items())
        needs_number = remembers_objectives(find_weighting(weighting))
        self.num_objectives = num_objectives if needs_number else None
        if needs_number and num_objectives is None:
            raise ValueError(
                f"{self.weighting} remembers something of every loss: give num_objectives."
            )
        if self.settings:
            check_settings(configured(find_weighting(self.weighting), dict(self.settings)))

    @property
    def title(self) -> str:
        """The weighting's name and the optimizer's."""
        return f"{self.weighting}-{self.optimizer.title}"

    @property
    def maker(self) -> Callable[..., "BehindWeighting"]:
        """What makes one of the same structure of `config()`."""
        return behind_weighting(self.weighting, type(self.optimizer))

    def config(self) -> dict[str, Any]:
        """The keywords of `maker`, without the key."""
        of_weighting = {PREFIX + name: value for name, value in self.settings}
        config = getattr(self.optimizer, "config", dict)()
        return {**config, **of_weighting, "num_objectives": self.num_objectives}

    def init(self, params: PyTree) -> OptState:
        """The states of the aggregator and of the optimizer before the first step.

        **Raises:** `ValueError` for parameters that are no real floating-point numbers.
        """
        check_parameters(params)
        of_aggregator = self._aggregator().init(params)
        dtype = working_dtype(self.optimizer, params)
        return with_dtype(of_aggregator, dtype), self.optimizer.init(params)

    def update(
        self,
        grads: PyTree,
        state: OptState,
        params: PyTree | None = None,
        *,
        value: Float[Array, "..."] | None = None,
        value_fn: Callable[[PyTree], Float[Array, "..."]] | None = None,
        **extra: Any,
    ) -> tuple[Updates, OptState]:
        """One step of the optimizer along the combined gradient.

        **Arguments:** `grads`, of all objectives, as `aggregate` takes them; `state`; `params`;
        `value`, all losses. The optimizer is told their mean.

        **Raises:** `ValueError` for gradients that are no real floating-point numbers, and as
        `aggregate` does.
        """
        gradients: Any = grads
        if not isinstance(grads, Gradients):
            check_gradients(grads, None)
            check_gradients(grads, params, num_objectives(grads))
        aggregator = self._aggregator()
        combined, of_aggregator = aggregator.update(gradients, state[0], params, value=value)
        of_aggregator = with_dtypes_of(of_aggregator, state[0])
        updates, of_optimizer = self.optimizer.update(
            combined,
            state[1],
            params,
            value=None if value is None else jnp.mean(value),
            value_fn=None if value_fn is None else lambda params: jnp.mean(value_fn(params)),
            **{**extra, "grad": combined},
        )
        return updates, (of_aggregator, of_optimizer)

    def _aggregator(self) -> optax.GradientTransformationExtraArgs:
        made = configured(find_weighting(self.weighting), dict(self.settings))
        return optax.with_extra_args_support(make_aggregator(made, self.num_objectives))


def behind_weighting(
    weighting: str, optimizer: Callable[..., LearnedOptimizer]
) -> Callable[..., BehindWeighting]:
    """What makes a learned optimizer behind a weighting of the settings of both.

    **Arguments:** `weighting`, its name; `optimizer`, what makes the optimizer for one gradient.

    **Returns:** a function of the optimizer's settings, the weighting's with `weighting_` before
    their names, `num_objectives`, and the key of the initial weights.

    ```pycon
    >>> make = l2o.multiobjective.behind_weighting("cagrad", l2o.optimizers.RNNProp)
    >>> optimizer = make(hidden_size=2, weighting_c=0.2, key=jax.random.key(0))
    >>> params = jnp.zeros(3)
    >>> updates, _ = optimizer.update(jnp.eye(2, 3), optimizer.init(params), params)
    >>> updates.shape
    (3,)
    ```
    """
    settings = settings_of(optimizer, LEARNED_OPTIMIZER.given)
    names_of_optimizer = set(settings)
    for setting in settings_of(find_weighting(weighting), WEIGHTING.given).values():
        name, text = PREFIX + setting.name, setting.description or setting.name
        description = f"Of the weighting: {text}"
        settings[name] = replace(setting, name=name, description=description)
    settings["num_objectives"] = Setting(
        "num_objectives",
        int | None,
        None,
        "Losses of the tasks, which weightings need that remember something of each.",
    )

    def make(
        *, key: PRNGKeyArray, num_objectives: int | None = None, **keywords: Any
    ) -> BehindWeighting:
        of_optimizer = {n: value for n, value in keywords.items() if n in names_of_optimizer}
        of_weighting = {
            n.removeprefix(PREFIX): value for n, value in keywords.items() if n not in of_optimizer
        }
        return BehindWeighting(
            optimizer(**of_optimizer, key=key), weighting, of_weighting, num_objectives
        )

    # What its settings, and so flags and files, are made of.
    make.__name__ = make.__qualname__ = f"{weighting}-{optimizer.__name__}"
    lines = "\n".join(f"- `{setting.name}`: {setting.description}" for setting in settings.values())
    make.__doc__ = (
        f"{summary(optimizer)} Behind a weighting of several losses: {weighting}.\n\n"
        f"**Arguments:**\n\n{lines}"
    )
    make.__annotations__ = {setting.name: setting.type for setting in settings.values()}
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter(setting.name, keyword, default=setting.default, annotation=setting.type)
        for setting in settings.values()
    ]
    make.__signature__ = inspect.Signature([*parameters, inspect.Parameter("key", keyword)])
    return make
