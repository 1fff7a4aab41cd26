"""Optax transformations that compare and pickle by what they are made of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import optax

Build = Callable[..., optax.GradientTransformation]


@dataclass(frozen=True)
class _Function:
    """`init` or `update` of a transformation that is made when it is called."""

    build: Build
    hyperparameters: tuple[tuple[str, Any], ...]
    name: Literal["init", "update"]

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        # Not kept: what is made while JAX traces may hold on to the trace.
        made = optax.with_extra_args_support(self.build(**dict(self.hyperparameters)))
        return getattr(made, self.name)(*arguments, **keywords)


def built(build: Build, **hyperparameters: Any) -> optax.GradientTransformationExtraArgs:
    """The transformation `build(**hyperparameters)`, equal to all others made alike.

    Optax's own are closures: two of them are never equal, so every new one is compiled anew, and
    none can be pickled.

    **Arguments:** `build`, which can be pickled if the result is to be; `hyperparameters`,
    numbers and what else has a hash.
    """
    values = tuple(sorted(hyperparameters.items()))
    return optax.GradientTransformationExtraArgs(
        _Function(build, values, "init"), _Function(build, values, "update")
    )
