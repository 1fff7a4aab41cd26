"""Planted optimizers in which one mechanism looks like another, or hides."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from planted_zoo import COSINE, COSINE_200, Planted, through_optax

from l2o.optimizers import LearnedOptimizer

LEARNING_RATE = 0.1


class ByCoordinate(LearnedOptimizer):
    """A rule for a single number, with named numbers and a counter of steps for a state."""

    rule: Callable = eqx.field(static=True)
    """Of the gradient, the numbers by name and the time: what is taken off, and new numbers."""
    start: tuple[tuple[str, float], ...] = eqx.field(static=True)

    def init(self, params):
        state = {
            name: jax.tree.map(lambda p, v=value: jnp.full_like(p, v), params)
            for name, value in self.start
        }
        return state, jnp.zeros((), jnp.int32)

    def update(self, grads, state, params=None, *, value=None, **extra):
        numbers, time = state
        names = [name for name, _ in self.start]
        leaves, structure = jax.tree.flatten(grads)
        columns = [structure.flatten_up_to(numbers[name]) for name in names]
        done = [
            self.rule(g, dict(zip(names, row, strict=True)), time)
            for g, *row in zip(leaves, *columns, strict=True)
        ]
        updates = structure.unflatten([-LEARNING_RATE * taken for taken, _ in done])
        new = {name: structure.unflatten([after[name] for _, after in done]) for name in names}
        return updates, (new, time + 1)


def rule(function, **start):
    return ByCoordinate(function, tuple(start.items()))


def adam(learning_rate, **settings):
    return through_optax(optax.adam(learning_rate, **settings))


def heavy(learning_rate):
    return through_optax(optax.sgd(learning_rate, momentum=0.9))


def drop(step, factor=0.1):
    return lambda time: jnp.where(time < step, 0.1, 0.1 * factor)


def square_wave(time):
    return jnp.where((time // 20) % 2 == 0, 0.1, 0.02)


def sawtooth(period):
    return lambda time: 0.1 * (1 - (time % period) / period)


def restarts(time):
    return 0.05 * (1 + jnp.cos(jnp.pi * (time % 50) / 50))


def power(exponent, offset):
    return lambda time: 0.1 * (1 + time / offset) ** -exponent


def signal_to_noise(g, h, time):
    m, v = 0.9 * h["m"] + 0.1 * g, 0.9 * h["v"] + 0.1 * g**2
    return g * m**2 / (v + 1e-8), {"m": m, "v": v}


def with_largest(g, h, time):
    m, v = 0.9 * h["m"] + 0.1 * g, 0.99 * h["v"] + 0.01 * g**2
    w = jnp.maximum(h["w"], v)
    return m / (jnp.sqrt(w) + 1e-6), {"m": m, "v": v, "w": w}


def by_shares(g, h, time):
    m, a = 0.9 * h["m"] + 0.1 * g, 0.9 * h["a"] + 0.1 * jnp.abs(g)
    return g * (0.5 + jnp.abs(m) / (a + 1e-12)), {"m": m, "a": a}


def by_largest(g, h, time):
    largest = jnp.maximum(0.9 * h["v"], jnp.abs(g))
    return g / (largest + 1e-8), {"v": largest}


def last_four(g, h, time):
    return (g + h["a"] + h["b"] + h["c"]) / 4, {"a": h["b"], "b": h["c"], "c": g}


def one_late(g, h, time):
    return h["a"], {"a": g}


def extrapolated(g, h, time):
    return 2 * g - h["a"], {"a": g}


def slight_but_long(g, h, time):
    m = 0.99 * h["m"] + g
    return g + 0.005 * m, {"m": m}


def for_500_steps(g, h, time):
    m = jnp.where(time < 500, 0.9, 0.0) * h["m"] + g
    return m, {"m": m}


def between(low, high):
    def clipped(g, h, time):
        m = 0.9 * h["m"] + jnp.clip(g, low, high)
        return m, {"m": m}

    return clipped


def without_large(g, h, time):
    return jnp.where(jnp.abs(g) > 5, 0.0, g), h


def by_agreement(g, h, time):
    agrees = g * h["m"] > 0
    rate = jnp.where(agrees, jnp.minimum(1.05 * h["r"], 1.0), jnp.maximum(0.7 * h["r"], 1e-3))
    return rate * g, {"m": 0.9 * h["m"] + 0.1 * g, "r": rate}


def halved_at_flips(g, h, time):
    rate = h["r"] * jnp.where(g * h["a"] < 0, 0.5, 1.0)
    return rate * g, {"a": g, "r": rate}


def of_logarithms(g, h, time):
    m = 0.9 * h["m"] + jnp.sign(g) * jnp.log1p(jnp.abs(g))
    return m, {"m": m}


BIAS_OR_SCHEDULE = {
    "adam, warm-up": Planted(
        adam(optax.linear_schedule(0.0, 0.1, 100)),
        (0.9,),
        law="constant",
        parameters={"warmup_steps": 100, "peak": 0.1},
        rates={0: 0.0, 50: 0.05, 150: 0.1},
        adapts=True,
    ),
    "adam, two drops": Planted(
        adam(optax.piecewise_constant_schedule(0.1, {30: 0.1, 60: 0.1})),
        (0.9,),
        law="",
        rates={0: 0.1, 45: 0.01, 100: 0.001},
        adapts=True,
    ),
    "adam, restarts": Planted(
        adam(restarts), (0.9,), law="", rates={0: 0.1, 25: 0.05, 50: 0.1}, adapts=True
    ),
    "adam, sawtooth": Planted(
        adam(sawtooth(10)), (0.9,), law="", rates={0: 0.1, 5: 0.05, 10: 0.1}, adapts=True
    ),
    "adam, square wave": Planted(
        adam(square_wave), (0.9,), law="", rates={10: 0.1, 30: 0.02, 50: 0.1}, adapts=True
    ),
    "adam, late drop": Planted(
        adam(drop(3000)), (0.9,), law="", rates={0: 0.1, 199: 0.1, 3000: 0.01}, adapts=True
    ),
    "adam, short memory of squares": Planted(
        adam(0.1, b1=0.99, b2=0.9), (0.99,), (1e-3,), adapts=True
    ),
    "adam, long momentum": Planted(adam(0.1, b1=0.999), (0.999,), (1e-4,), adapts=True),
    "adam, long momentum, cosine": Planted(
        adam(COSINE, b1=0.999), (0.999,), law="cosine", parameters=COSINE_200, adapts=True
    ),
    "heavy, adam": Planted(
        through_optax(optax.trace(0.9), optax.adam(0.01, b1=0.0)), (0.9,), adapts=True
    ),
    "adam, heavy": Planted(
        through_optax(optax.scale_by_adam(b1=0.0), optax.trace(0.9), optax.scale(-0.01)),
        (0.9,),
        (0.01,),
        adapts=True,
    ),
    "rms, heavy, cosine": Planted(
        through_optax(
            optax.scale_by_rms(0.999, bias_correction=True),
            optax.trace(0.5),
            optax.scale_by_schedule(COSINE),
            optax.scale(-1.0),
        ),
        (0.5,),
        law="cosine",
        parameters={"steps": 200.0},
        adapts=True,
    ),
    "adam, very long memory": Planted(adam(1e-3, b2=0.9999), (0.9,), (1e-4,), adapts=True),
    "lion, cosine": Planted(
        through_optax(optax.lion(COSINE)), goes_on=True, law="cosine", parameters=COSINE_200
    ),
    "plain, a long line": Planted(
        through_optax(optax.sgd(optax.linear_schedule(0.1, 0.02, 50_000))),
        law="linear",
        parameters={"steps": 50_000.0, "peak": 0.1, "end": 0.02},
    ),
    "heavy, five late steps": Planted(
        heavy(lambda t: jnp.where((t >= 7000) & (t < 7005), 0.0, 0.1)),
        (0.9,),
        law="",
        rates={0: 0.1, 7000: 0.0, 7005: 0.1},
    ),
    "amsgrad": Planted(through_optax(optax.amsgrad(0.01)), (0.9,), adapts=True),
    "nadam": Planted(through_optax(optax.nadam(0.01)), (0.9,), adapts=True),
    "yogi": Planted(
        through_optax(optax.yogi(0.01)), (0.9,), adapts=True, unclear=frozenset({"schedule"})
    ),
    "debiased ema, long": Planted(
        through_optax(optax.ema(0.99), optax.scale(-0.1)), (0.99,), (1e-3,)
    ),
    "debiased ema, cosine": Planted(
        through_optax(optax.ema(0.9), optax.scale_by_schedule(COSINE), optax.scale(-1.0)),
        (0.9,),
        law="cosine",
        parameters=COSINE_200,
    ),
    "debiased ema, sawtooth": Planted(
        through_optax(optax.ema(0.9), optax.scale_by_schedule(sawtooth(30)), optax.scale(-1.0)),
        (0.9,),
        law="",
        rates={0: 0.1, 15: 0.05, 30: 0.1},
    ),
    "heavy, 1 / root of t": Planted(
        heavy(power(0.5, 1)), (0.9,), law="power", parameters={"exponent": 0.5, "offset": 1.0}
    ),
    "heavy, 1 / t": Planted(
        heavy(power(1.0, 3)), (0.9,), law="power", parameters={"exponent": 1.0, "offset": 3.0}
    ),
    "heavy, by halves": Planted(
        heavy(optax.exponential_decay(0.1, 1, 0.5)),
        (0.9,),
        law="exponential",
        parameters={"factor": 0.5, "peak": 0.1},
    ),
    "heavy, early drop": Planted(heavy(drop(5)), (0.9,), law="", rates={0: 0.1, 5: 0.01}),
    "heavy, other first step": Planted(
        heavy(drop(1, 0.5)), (0.9,), law="", rates={0: 0.1, 1: 0.05}
    ),
    "heavy, every other step": Planted(
        heavy(lambda time: jnp.where(time % 2 == 0, 0.1, 0.0)),
        (0.9,),
        law="",
        rates={0: 0.1, 1: 0.0, 2: 0.1},
    ),
    "heavy, sawtooth": Planted(
        heavy(sawtooth(30)), (0.9,), law="", rates={0: 0.1, 15: 0.05, 30: 0.1}
    ),
    "plain, very late drop": Planted(
        through_optax(optax.sgd(drop(15_000))), law="", rates={0: 0.1, 15_000: 0.01}
    ),
    "plain, a burst": Planted(
        through_optax(optax.sgd(lambda t: jnp.where((t >= 1000) & (t < 1010), 0.1, 1e-3))),
        law="",
        rates={0: 1e-3, 1000: 0.1, 1010: 1e-3},
    ),
}
"""Counters that make up for averages that start at zero, that set the learning rate, or both."""

MEMORIES = {
    "centered rms": Planted(through_optax(optax.rmsprop(0.01, centered=True)), adapts=True),
    "signal to noise": Planted(rule(signal_to_noise, m=0.0, v=0.0), adapts=True),
    "mean of four": Planted(rule(last_four, a=0.0, b=0.0, c=0.0), window=3),
    "one step late": Planted(rule(one_late, a=0.0), window=1, unclear=frozenset({"adaptation"})),
    "extrapolated": Planted(rule(extrapolated, a=0.0)),
    "slight but long": Planted(rule(slight_but_long, m=0.0), (0.99,), (5e-4,)),
    "for 500 steps": Planted(rule(for_500_steps, m=0.0), (0.9,), unclear=frozenset({"momentum"})),
    "adabelief": Planted(
        through_optax(optax.adabelief(0.1)),
        (0.9,),
        adapts=True,
        unclear=frozenset({"schedule"}),
    ),
    "largest by hand": Planted(rule(with_largest, m=0.0, v=0.0, w=0.0), (0.9,), adapts=True),
    "by shares": Planted(rule(by_shares, m=0.0, a=0.0), adapts=True),
    "lion": Planted(through_optax(optax.lion(1e-3)), goes_on=True),
    "of logarithms": Planted(rule(of_logarithms, m=0.0), (0.9,), (0.1,)),
    "rprop": Planted(through_optax(optax.rprop(0.01)), window=1, adapts=True),
    "by agreement": Planted(rule(by_agreement, m=0.0, r=0.1), adapts=True),
    "halved at flips": Planted(rule(halved_at_flips, a=0.0, r=0.1), adapts=True),
}
"""What is remembered without a decay, to adapt alone, for a while, or of signs alone."""

CLIPS = {
    "adamax": Planted(through_optax(optax.adamax(0.01)), (0.9,), adapts=True),
    "adam, low clip": Planted(
        through_optax(optax.scale_by_adam(b1=0.95, b2=0.95), optax.clip(0.5), optax.scale(-0.1)),
        (0.95,),
        clipped_update=0.05,
        adapts=True,
    ),
    "nesterov, low clip": Planted(
        through_optax(optax.trace(0.8, nesterov=True), optax.clip(0.3), optax.scale(-1.0)),
        (0.8,),
        (0.8,),
        clipped_update=0.3,
        unclear=frozenset({"adaptation"}),
    ),
    "clip, lion": Planted(
        through_optax(optax.clip(0.01), optax.lion(1e-3)), goes_on=True, clip=0.01
    ),
    "adadelta": Planted(through_optax(optax.adadelta(1.0)), adapts=True),
    "by the largest": Planted(rule(by_largest, v=0.0), adapts=True),
    "between two": Planted(rule(between(-2.0, 0.5), m=0.0), (0.9,), (0.1,), sides=(2.0, 0.5)),
    "from below": Planted(
        rule(between(-1.0, jnp.inf), m=0.0), (0.9,), (0.1,), sides=(1.0, float("inf"))
    ),
    "without large": Planted(rule(without_large), rejects=True),
}
"""Divisions that level off like clips, and clips of one side."""

HARD = BIAS_OR_SCHEDULE | MEMORIES | CLIPS
