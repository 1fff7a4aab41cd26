"""Optimizers with planted mechanisms, each with what is to be found."""

from dataclasses import dataclass, field
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import l2o
from l2o.optimizers import LearnedOptimizer


@dataclass(frozen=True)
class Planted:
    """An optimizer and its mechanisms."""

    optimizer: LearnedOptimizer
    betas: tuple[float, ...] = ()
    alphas: tuple[float, ...] | None = None
    """Of the momenta, in the order of the betas; not looked at where `None`."""
    window: int = 0
    """How many gradients before the present one updates answer to, where none before these do."""
    goes_on: bool = False
    """Whether there is a momentum of which no beta can be told."""
    clip: float | None = None
    """The gradient from which on it clips."""
    clipped_update: float | None = None
    """The largest update, where the update is clipped."""
    sides: tuple[float, float] | None = None
    """Thresholds below and above zero, where they differ."""
    rejects: bool = False
    """Whether large gradients are dropped, which is clipping at no sharp size."""
    law: str | None = None
    """Of the schedule; `""` where it follows none that has a name, `None` without a schedule."""
    parameters: dict[str, float] = field(default_factory=dict)
    """Of the law."""
    rates: dict[int, float] = field(default_factory=dict)
    """Learning rates at some steps of the schedule."""
    adapts: bool = False
    unclear: frozenset[str] = frozenset()
    """Mechanisms of which it may be said that they cannot be told."""


class HandWritten(LearnedOptimizer):
    """A chain of stages written by hand, whose schedule is in its floating-point state.

    Hyperparameters are arrays, so that chains of the same stages share their programs.
    """

    stages: tuple[str, ...] = eqx.field(static=True)
    beta: jax.Array
    other_beta: jax.Array
    threshold: jax.Array
    rate: jax.Array
    decay: jax.Array
    """Of the learning rate r <- decay r, or of the squares' average."""

    def init(self, params):
        zeros = jax.tree.map(jnp.zeros_like, params)
        return {
            "averages": {str(n): zeros for n in range(len(self.stages))},
            "second": {str(n): zeros for n in range(len(self.stages))},
            "clock": jnp.ones(()) if "state rate" in self.stages else jnp.zeros(()),
        }

    def update(self, grads, state, params=None, *, value=None, **extra):
        averages, second = dict(state["averages"]), dict(state["second"])
        clock, values = state["clock"], grads
        for number, stage in enumerate(self.stages):
            name = str(number)
            if stage in CLOCKS:
                share = CLOCKS[stage](clock)
                clock = self.decay * clock if stage == "state rate" else clock + 1
                values = jax.tree.map(partial(jnp.multiply, share), values)
            else:
                values, averages[name], second[name] = self.pass_through(
                    stage, values, averages[name], second[name], params
                )
        updates = jax.tree.map(lambda g: -self.rate * g, values)
        return updates, {"averages": averages, "second": second, "clock": clock}

    def pass_through(self, stage, values, memory, other, params):
        """What a stage makes of gradients: them, and what it remembers."""
        of_all = jax.tree.map

        def average(memory, decay, share, power=1):
            return of_all(lambda m, g: decay * m + share * g**power, memory, values)

        if stage == "heavy":
            memory = average(memory, self.beta, 1)
            return memory, memory, other
        if stage == "ema":
            memory = average(memory, self.beta, 1 - self.beta)
            return memory, memory, other
        if stage == "nesterov":
            memory = average(memory, self.beta, 1)
            return of_all(lambda m, g: self.beta * m + g, memory, values), memory, other
        if stage == "two":
            memory = average(memory, self.beta, 1)
            other = average(other, self.other_beta, 1)
            return of_all(lambda a, b: a + 3 * b, memory, other), memory, other
        if stage in ("rms", "adagrad"):
            decay, share = (self.decay, 1 - self.decay) if stage == "rms" else (1, 1)
            memory = average(memory, decay, share, power=2)
            return of_all(lambda v, g: g / (jnp.sqrt(v) + 1e-12), memory, values), memory, other
        if stage == "weight decay":
            return of_all(lambda g, p: g + 0.1 * p, values, params), memory, other
        norm = jnp.sqrt(sum(jnp.sum(g**2) for g in jax.tree.leaves(values)))
        memoryless = {
            "clip": lambda g: jnp.clip(g, -self.threshold, self.threshold),
            "norm": lambda g: g * jnp.where(norm > self.threshold, self.threshold / norm, 1.0),
            "soft": lambda g: self.threshold * jnp.tanh(g / self.threshold),
            "sign": jnp.sign,
        }
        return of_all(memoryless[stage], values), memory, other


CLOCKS = {
    "state rate": lambda rate: rate,
    "warm-up": lambda step: jnp.where(
        step < 30, step / 30, 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum((step - 30) / 120, 1)))
    ),
    "power": lambda step: (1 + step / 20) ** -0.5,
    "cyclic": lambda step: 0.3 + 0.7 * jnp.abs((step / 25) % 2 - 1),
}
"""Factors of the learning rate, of a number in the state that evolves by itself."""


def by_hand(*stages, beta=0.9, other_beta=0.7, threshold=0.5, rate=0.05, decay=0.95):
    numbers = (jnp.asarray(value, float) for value in (beta, other_beta, threshold, rate, decay))
    return HandWritten(stages, *numbers)


def through_optax(*transformations):
    return l2o.from_optax(optax.chain(*transformations))


def cyclic(step):
    return 0.1 * (0.3 + 0.7 * jnp.abs((step / 20) % 2 - 1))


def power(step):
    return 0.1 / (1 + step / 10) ** 0.7


COSINE = optax.cosine_decay_schedule(0.1, 200)
EXPONENTIAL = optax.exponential_decay(0.1, 1, 0.98)
WARMUP_COSINE = optax.warmup_cosine_decay_schedule(0.0, 0.1, 20, 150)
COSINE_200 = {"steps": 200.0, "peak": 0.1}
FACTOR_98 = {"factor": 0.98, "peak": 0.1}
WARMUP_20 = {"warmup_steps": 20, "steps": 130.0, "peak": 0.1}
POWER_70 = {"exponent": 0.7, "offset": 10.0, "peak": 0.1}


def in_row(first, second):
    """The alphas of two momenta in a row."""
    return first / (first - second), -second / (first - second)


OPTAX = {
    "plain": Planted(through_optax(optax.sgd(0.1))),
    "heavy": Planted(through_optax(optax.sgd(0.3, momentum=0.95)), (0.95,), (0.3,)),
    "nesterov": Planted(
        through_optax(optax.sgd(0.1, momentum=0.9, nesterov=True)), (0.9,), (0.09,)
    ),
    "ema": Planted(through_optax(optax.ema(0.8, debias=False), optax.scale(-1.0)), (0.8,), (0.2,)),
    "debiased ema": Planted(through_optax(optax.ema(0.8), optax.scale(-1.0)), (0.8,), (0.2,)),
    "two momenta in a row": Planted(
        through_optax(optax.trace(0.9), optax.trace(0.7), optax.scale(-1.0)),
        (0.9, 0.7),
        in_row(0.9, 0.7),
    ),
    "clip, heavy": Planted(
        through_optax(optax.clip(0.7), optax.sgd(0.1, momentum=0.9)), (0.9,), (0.1,), clip=0.7
    ),
    "clip at the reference, heavy": Planted(
        through_optax(optax.clip(1.0), optax.sgd(0.1, momentum=0.9)), (0.9,), (0.1,), clip=1.0
    ),
    "heavy, clip": Planted(
        through_optax(optax.trace(0.9), optax.clip(1.2), optax.scale(-0.1)),
        (0.9,),
        (0.1,),
        clip=1.2,
    ),
    "norm, nesterov": Planted(
        through_optax(optax.clip_by_global_norm(1.0), optax.sgd(0.1, 0.9, nesterov=True)),
        (0.9,),
        (0.09,),
        clip=1.0,
    ),
    "block, ema": Planted(
        through_optax(
            optax.clip_by_block_rms(0.2), optax.ema(0.9, debias=False), optax.scale(-1.0)
        ),
        (0.9,),
        (0.1,),
        clip=0.2,
    ),
    "norm, adam": Planted(
        through_optax(optax.clip_by_global_norm(1.0), optax.scale_by_adam(), optax.scale(-1e-3)),
        (0.9,),
        clip=1.0,
        adapts=True,
    ),
    "low clip, adam": Planted(
        through_optax(optax.clip(1e-3), optax.scale_by_adam(eps=1e-12), optax.scale(-1e-3)),
        (0.9,),
        clip=1e-3,
        adapts=True,
    ),
    "adam": Planted(through_optax(optax.adam(1e-2)), (0.9,), (1e-3,), adapts=True),
    "adam, norm": Planted(
        # Under any constant gradient Adam's ratio settles at 1, beyond the clip.
        through_optax(optax.scale_by_adam(), optax.clip_by_global_norm(0.9), optax.scale(-0.1)),
        (0.9,),
        clipped_update=0.09,
        adapts=True,
    ),
    "adamw, warm-up and cosine": Planted(
        through_optax(optax.adamw(WARMUP_COSINE)),
        (0.9,),
        law="cosine",
        parameters=WARMUP_20,
        adapts=True,
    ),
    "adam, exponential": Planted(
        through_optax(optax.adam(EXPONENTIAL, b1=0.8)),
        (0.8,),
        law="exponential",
        parameters=FACTOR_98,
        adapts=True,
    ),
    "adam, cyclic": Planted(through_optax(optax.adam(cyclic)), (0.9,), law="", adapts=True),
    "rms": Planted(through_optax(optax.rmsprop(0.1, eps=1e-12)), adapts=True),
    "rms, heavy of the same beta": Planted(
        through_optax(optax.rmsprop(0.1, decay=0.9, eps=1e-12, momentum=0.9)),
        (0.9,),
        (0.1,),
        adapts=True,
    ),
    "heavy, rms": Planted(
        through_optax(optax.trace(0.8), optax.scale_by_rms(eps=1e-12), optax.scale(-0.1)),
        (0.8,),
        adapts=True,
    ),
    "rms, cosine": Planted(
        through_optax(optax.rmsprop(COSINE, eps=1e-12)),
        law="cosine",
        parameters={"steps": 200.0},
        adapts=True,
    ),
    "rms, warm-up and cosine, decay": Planted(
        through_optax(
            optax.scale_by_rms(eps=1e-12),
            optax.add_decayed_weights(0.01),
            optax.scale_by_schedule(WARMUP_COSINE),
            optax.scale(-1.0),
        ),
        law="cosine",
        parameters={"warmup_steps": 20, "steps": 130.0},
        adapts=True,
    ),
    "adagrad": Planted(through_optax(optax.adagrad(0.1)), adapts=True),
    "adagrad, heavy": Planted(
        through_optax(optax.scale_by_rss(), optax.trace(0.9), optax.scale(-0.1)),
        (0.9,),
        adapts=True,
    ),
    "adagrad, cosine": Planted(
        through_optax(optax.adagrad(COSINE)),
        law="cosine",
        parameters={"steps": 200.0},
        adapts=True,
    ),
    "sign": Planted(through_optax(optax.scale_by_sign(), optax.scale(-0.1))),
    "sign, heavy": Planted(
        through_optax(optax.scale_by_sign(), optax.trace(0.9), optax.scale(-0.1)), (0.9,), (0.1,)
    ),
    "heavy, sign": Planted(
        through_optax(optax.trace(0.9), optax.scale_by_sign(), optax.scale(-0.1)), goes_on=True
    ),
    "sign, cosine": Planted(
        through_optax(optax.scale_by_sign(), optax.scale_by_schedule(COSINE), optax.scale(-1.0)),
        law="cosine",
        parameters=COSINE_200,
    ),
    "heavy, cosine": Planted(
        through_optax(optax.sgd(COSINE, momentum=0.9)), (0.9,), law="cosine", parameters=COSINE_200
    ),
    "heavy, long cosine": Planted(
        through_optax(optax.sgd(optax.cosine_decay_schedule(0.1, 10_000), momentum=0.9)),
        (0.9,),
        law="cosine",
        parameters={"steps": 10_000.0, "peak": 0.1},
    ),
    "heavy, exponential": Planted(
        through_optax(optax.sgd(EXPONENTIAL, momentum=0.9)),
        (0.9,),
        law="exponential",
        parameters=FACTOR_98,
    ),
    "exponential before heavy": Planted(
        through_optax(optax.scale_by_schedule(EXPONENTIAL), optax.trace(0.9), optax.scale(-1.0)),
        (0.9,),
        law="exponential",
        parameters=FACTOR_98,
    ),
    "nesterov, power": Planted(
        through_optax(
            optax.trace(0.9, nesterov=True), optax.scale_by_schedule(power), optax.scale(-1 / 1.9)
        ),
        (0.9,),
        law="power",
        parameters=POWER_70,
    ),
    "heavy, cyclic": Planted(through_optax(optax.sgd(cyclic, momentum=0.9)), (0.9,), law=""),
    "clip, decay, heavy, warm-up and cosine": Planted(
        through_optax(
            optax.clip(0.5),
            optax.add_decayed_weights(0.01),
            optax.sgd(WARMUP_COSINE, momentum=0.9),
        ),
        (0.9,),
        clip=0.5,
        law="cosine",
        parameters=WARMUP_20,
    ),
    "ema, linear": Planted(
        through_optax(
            optax.ema(0.9, debias=False),
            optax.scale_by_schedule(optax.linear_schedule(1.0, 0.1, 120)),
            optax.scale(-1.0),
        ),
        (0.9,),
        law="linear",
        parameters={"steps": 120.0, "peak": 0.1, "end": 0.01},
    ),
    "rate in the state, heavy": Planted(
        l2o.from_optax(optax.inject_hyperparams(optax.sgd)(COSINE, momentum=0.9)),
        (0.9,),
        law="cosine",
        parameters=COSINE_200,
    ),
}

BY_HAND = {
    "heavy, rate in the state": Planted(
        by_hand("heavy", "state rate", decay=0.98),
        (0.9,),
        law="exponential",
        parameters={"factor": 0.98, "peak": 0.05},
    ),
    "clip, nesterov, rate in the state": Planted(
        by_hand("clip", "nesterov", "state rate", decay=0.97),
        (0.9,),
        clip=0.5,
        law="exponential",
        parameters={"factor": 0.97, "peak": 0.095},
    ),
    "rate in the state, heavy, norm": Planted(
        by_hand("state rate", "heavy", "norm", decay=0.99),
        (0.9,),
        clipped_update=0.025,
        law="exponential",
        parameters={"factor": 0.99, "peak": 0.05},
    ),
    "two": Planted(by_hand("two"), (0.9, 0.7), (0.05, 0.15)),
    "two, other betas": Planted(
        by_hand("two", beta=0.99, other_beta=0.5, rate=1e-3), (0.99, 0.5), (1e-3, 3e-3)
    ),
    "norm, two, decay": Planted(
        by_hand("norm", "weight decay", "two"), (0.9, 0.7), (0.05, 0.15), clip=0.5
    ),
    "soft clip, heavy": Planted(by_hand("soft", "heavy"), (0.9,), (0.05,), clip=0.5),
    "heavy, soft clip": Planted(
        by_hand("heavy", "soft"), (0.9,), (0.05,), clip=0.5, unclear=frozenset({"adaptation"})
    ),
    "heavy, warm-up and cosine": Planted(
        by_hand("heavy", "warm-up"),
        (0.9,),
        law="cosine",
        parameters={"warmup_steps": 30, "steps": 120.0, "peak": 0.05},
    ),
    "clip, ema, power": Planted(
        by_hand("clip", "ema", "power"),
        (0.9,),
        clip=0.5,
        law="power",
        parameters={"exponent": 0.5, "offset": 20.0, "peak": 0.005},
    ),
    "nesterov, cyclic": Planted(by_hand("nesterov", "cyclic"), (0.9,), law=""),
    "rms": Planted(by_hand("rms"), adapts=True),
    "clip, rms, heavy": Planted(by_hand("clip", "rms", "heavy"), (0.9,), clip=0.5, adapts=True),
    "rms, clip": Planted(by_hand("rms", "clip"), clipped_update=0.025, adapts=True),
    "rms, ema, rate by warm-up": Planted(
        by_hand("rms", "ema", "warm-up"),
        (0.9,),
        law="cosine",
        parameters={"warmup_steps": 30, "steps": 120.0},
        adapts=True,
    ),
    "adagrad, nesterov": Planted(by_hand("adagrad", "nesterov"), (0.9,), adapts=True),
    "adagrad, power": Planted(
        by_hand("adagrad", "power"),
        law="power",
        parameters={"exponent": 0.5, "offset": 20.0},
        adapts=True,
    ),
    "sign, heavy, rate in the state": Planted(
        by_hand("sign", "heavy", "state rate", decay=0.98),
        (0.9,),
        law="exponential",
        parameters={"factor": 0.98, "peak": 0.05},
    ),
}
