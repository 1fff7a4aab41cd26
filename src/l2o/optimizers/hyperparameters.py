"""What makes an optimizer hand-designed: hyperparameters, and where to search for them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import numpy as np
import optax
from jax.core import Tracer
from jaxtyping import ScalarLike

from l2o.optimizers.built import built
from l2o.optimizers.learned_optimizer import OptaxOptimizer, from_optax
from l2o.optimizers.schedules import SHAPES, Schedule
from l2o.optimizers.search_ranges import SearchRange, Share
from l2o.support.checks import check_choice, check_size

_WARM_UP = Share(0.0, 0.5, low_is_limit=True)
_CUSTOMARY_WARM_UP = 0.05


class HandDesigned(eqx.Module):
    """A hand-designed optimizer, its hyperparameters and where to search for them.

    ```pycon
    >>> optimizer = l2o.optimizers.momentum.with_hyperparameters(learning_rate=0.1, momentum=0.9)
    >>> updates, state = optimizer.update(jnp.ones(1), optimizer.init(jnp.zeros(1)))
    >>> updates
    Array([-0.1], dtype=float32)
    >>> sorted(l2o.optimizers.momentum.space)
    ['learning_rate', 'momentum']
    ```
    """

    name: str
    build: Callable[..., optax.GradientTransformation]
    """Takes the hyperparameters as keywords. They may be traced scalars."""
    space: dict[str, SearchRange]
    """The range of each hyperparameter that is tuned."""
    defaults: dict[str, float]
    """The customary value of each hyperparameter in `space`."""
    shapes: tuple[str, ...] = SHAPES
    """Of the schedules that the learning rate may have."""
    shape: str | None = None
    """Of the schedule that the learning rate has; `None` if it is constant."""
    num_steps: int | None = None
    """Of the run that the schedule is for; `None` before it is known."""

    def __check_init__(self) -> None:
        if not self.space or self.space.keys() != self.defaults.keys():
            raise ValueError(
                f"{self.name}: space and defaults must name the same hyperparameters, at least "
                "one (what has none to tune goes through from_optax), got "
                f"{sorted(self.space)} and {sorted(self.defaults)}."
            )
        for name, value in self.defaults.items():
            self.space[name].check(f"The default of {self.name}'s {name}", value)

    def scheduled(self, shape: str = "cosine") -> "HandDesigned":
        """The optimizer with a learning rate that grows and falls in the course of a run.

        Its hyperparameter `learning_rate` is then the largest one, and `warm_up`, to be tuned with
        the others, the share of the steps before it is reached. Over how many steps a schedule goes
        is not tuned: `tune`, and all that runs optimizers by name, say so with `over`.

        ```pycon
        >>> falling = l2o.optimizers.adamw.scheduled()
        >>> falling.name, "warm_up" in falling.space
        ('adamw-cosine', True)
        >>> optimizer = falling.over(1000).with_hyperparameters(learning_rate=1e-3, warm_up=0.1)
        ```

        **Arguments:** `shape`, as for `Schedule`.

        **Raises:** `ValueError` for an unknown shape, one that the optimizer does not take, an
        optimizer that has a schedule, and one without a hyperparameter `learning_rate`.
        """
        if self.shape is not None:
            raise ValueError(f"{self.name} has a schedule already.")
        if "learning_rate" not in self.space:
            raise ValueError(f"{self.name} has no learning_rate that could have a schedule.")
        check_choice(f"The shape of {self.name}'s schedule", shape, self.shapes)
        return replace(
            self,
            name=f"{self.name}-{shape}",
            space=self.space | {"warm_up": _WARM_UP},
            defaults=self.defaults | {"warm_up": _CUSTOMARY_WARM_UP},
            shape=shape,
        )

    def over(self, num_steps: int) -> "HandDesigned":
        """The optimizer for runs of so many steps; the same if it has no schedule.

        **Raises:** `ValueError` for a number of steps below 1.
        """
        check_size("num_steps", num_steps)
        return self if self.shape is None else replace(self, num_steps=num_steps)

    def with_hyperparameters(self, **values: ScalarLike) -> OptaxOptimizer:
        """The optimizer with these hyperparameters, and the defaults of those not given.

        Optimizers with the same hyperparameters, unless traced, are equal, and compiled once.

        **Arguments:** values for names in `space`: numbers or scalar arrays, traced ones too.

        **Raises:** `ValueError` for a hyperparameter that the optimizer does not have, or that is
        out of range, and if it has a schedule and the number of steps is not known.
        """
        numbers: dict[str, float] = {}
        for name, value in values.items():
            check_choice(f"A hyperparameter of {self.name}", name, self.space)
            if not isinstance(value, Tracer):
                number = _number(value)
                self.space[name].check(f"{self.name}'s {name}", number)
                numbers[name] = float(number)
        if len(numbers) < len(values):
            return from_optax(self.build(**self._keywords(self.defaults | values | numbers)))
        return from_optax(built(self.build, **self._keywords(self.defaults | numbers)))

    def _keywords(self, values: dict[str, Any]) -> dict[str, Any]:
        """What `build` takes: where there is a schedule it is the learning rate."""
        if self.shape is None:
            return values
        if self.num_steps is None:
            raise ValueError(
                f"{self.name} has a schedule, which has to know how long the run is: say so with "
                "over(num_steps) before with_hyperparameters()."
            )
        values = dict(values)
        schedule = Schedule(
            self.num_steps, values.pop("learning_rate"), values.pop("warm_up"), self.shape
        )
        return values | {"learning_rate": schedule}


def _number(value: Any) -> Any:
    """A scalar array as a number; anything else as it is."""
    is_scalar = isinstance(value, jax.Array | np.ndarray | np.generic) and value.ndim == 0
    return value.item() if is_scalar else value
