"""The numbers of a distilled optimizer as a least-squares fit moves them: free of constraints."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from l2o.mechanisms.distillation.adaptation import Adaptation
from l2o.mechanisms.distillation.momentum import Momentum
from l2o.mechanisms.distillation.optimizer import DistilledOptimizer
from l2o.mechanisms.distillation.saturation import Saturation
from l2o.mechanisms.distillation.schedule import Decay, WarmUp

_Number = float | Float[Array, ""]

LARGEST_POWER = 2.0
"""Of adaptation, in either direction: RMSProp's and Adam's power is one."""

_LARGEST_DECAY = 0.9999
"""Of averages and momenta: longer memories than the records fitted to cannot be told apart."""


class Form(NamedTuple):
    """What cannot be fitted by degrees."""

    after_momentum: bool | Bool[Array, ""]
    """Whether adaptation is for what comes out of momentum, or for what goes in."""
    corrected: bool | Bool[Array, ""]
    """Whether averages make up for having started at zero."""


class Numbers(eqx.Module):
    """All numbers of all mechanisms, on scales without ends.

    What is positive is kept as its logarithm; shares between zero and one, and betas and powers,
    as what `sigmoid` and `tanh` turn into them. Alphas are learning rates at gradients of size
    `unit`.
    """

    threshold: _Number
    average_decay: _Number
    scale: _Number
    power: _Number
    betas: tuple[_Number, ...]
    alphas: tuple[_Number, ...]
    warm_up_start: _Number
    warm_up_time: _Number
    decay_final: _Number
    decay_time: _Number
    decay_shape: _Number
    offset: _Number
    unit: float = eqx.field(static=True)

    def build(self, form: Form) -> DistilledOptimizer:
        """The optimizer with all mechanisms, those too that do nothing."""
        adaptation = Adaptation(
            _LARGEST_DECAY * jax.nn.sigmoid(jnp.asarray(self.average_decay)),
            jnp.exp(self.scale),
            LARGEST_POWER * jnp.tanh(self.power),
            form.after_momentum,
            form.corrected,
        )
        at_unit = (adaptation.scale + self.unit) ** adaptation.power
        return DistilledOptimizer(
            momentum=Momentum(
                _LARGEST_DECAY * jnp.tanh(jnp.stack(self.betas)),
                at_unit * jnp.stack(self.alphas),
                form.corrected,
            ),
            saturation=Saturation(jnp.exp(self.threshold)),
            adaptation=adaptation,
            warm_up=WarmUp(
                jax.nn.sigmoid(jnp.asarray(self.warm_up_start)), jnp.exp(self.warm_up_time)
            ),
            decay=Decay(
                jax.nn.sigmoid(jnp.asarray(self.decay_final)),
                jnp.exp(self.decay_time),
                jnp.exp(self.decay_shape),
            ),
            offset=jnp.asarray(self.offset),
        )


def linear(numbers: Numbers) -> Numbers:
    """Which of the numbers updates are linear in."""

    def where(numbers: Numbers) -> list[Any]:
        return [*numbers.alphas, numbers.offset]

    none = jax.tree.map(lambda _: False, numbers)
    return eqx.tree_at(where, none, [True] * len(where(none)))


class Part(NamedTuple):
    """Numbers that are left out together: a mechanism, or some of it."""

    name: str
    where: Callable[[Numbers], Sequence[Any]]
    """Picks the numbers."""


SATURATION = Part("saturation", lambda n: [n.threshold])
ADAPTATION = Part("adaptation", lambda n: [n.average_decay, n.scale, n.power])
MOMENTUM = Part("momentum", lambda n: n.betas)
WARM_UP = Part("warm-up", lambda n: [n.warm_up_start, n.warm_up_time])
DECAY = Part("decay", lambda n: [n.decay_final, n.decay_time, n.decay_shape])
OFFSET = Part("offset", lambda n: [n.offset])

MECHANISMS = (SATURATION, ADAPTATION, MOMENTUM, WARM_UP, DECAY, OFFSET)
"""All mechanisms. Without momentum, updates answer to the present gradient alone."""


def mode(index: int) -> Part:
    """One mode of momentum."""
    return Part(f"mode {index + 1}", lambda n: [n.betas[index], n.alphas[index]])


def memory(index: int) -> Part:
    """What makes a mode momentum; without it, it answers to the present gradient alone."""
    return Part(f"memory of mode {index + 1}", lambda n: [n.betas[index]])
