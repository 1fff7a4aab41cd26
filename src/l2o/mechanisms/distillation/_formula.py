"""A closed-form optimizer written out, in symbols and in words."""

import math

from jaxtyping import Array, Float

from l2o.mechanisms.distillation.adaptation import Adaptation
from l2o.mechanisms.distillation.momentum import Momentum
from l2o.mechanisms.distillation.optimizer import DistilledOptimizer
from l2o.mechanisms.distillation.schedule import Decay, WarmUp

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def formula(optimizer: DistilledOptimizer) -> str:
    """What happens to a parameter x at step k, counted from 0: a line for each assignment.

    Assignments `←` take place from top to bottom. g is the gradient; v and all m start at zero,
    and d is the direction that the parameter moves along.
    """
    lines: list[str] = []
    factors: list[str] = []
    adaptation, seen = optimizer.adaptation, "g"
    if optimizer.saturation is not None:
        threshold = _number(optimizer.saturation.threshold)
        lines.append(f"g ← {threshold} tanh(g / {threshold})")
    if adaptation is not None:
        lines += _adaptation(adaptation)
        if adaptation.after_momentum:
            factors.append("a")
        else:
            seen = "a g"
    lines += _momentum(optimizer.momentum, seen)
    if optimizer.warm_up is not None:
        lines.append(f"w ← {_warm_up(optimizer.warm_up)}")
        factors.append("w")
    if optimizer.decay is not None:
        lines.append(f"s ← {_decay(optimizer.decay)}")
        factors.append("s")
    offset = "" if optimizer.offset is None else _plus(float(optimizer.offset))
    lines.append(f"x ← x + {' '.join([*factors, 'd'])}{offset}")
    return "\n".join(lines)


def describe(optimizer: DistilledOptimizer) -> tuple[str, ...]:
    """What each mechanism does, a sentence for each."""
    sentences = []
    if optimizer.saturation is not None:
        threshold = _number(optimizer.saturation.threshold)
        sentences.append(f"Clipping: gradients are bounded softly by {threshold}.")
    if optimizer.adaptation is not None:
        what = "updates" if optimizer.adaptation.after_momentum else "gradients"
        sentences.append(
            f"Adaptation: {what} are divided by (r + {_number(optimizer.adaptation.scale)}) to the "
            f"power {_number(optimizer.adaptation.power)}, where r is the root mean square of the "
            f"gradients of the last {_number(1 / (1 - optimizer.adaptation.decay))} steps or so."
        )
    for beta, alpha in _modes(optimizer.momentum):
        if beta == 0:
            sentences.append(
                "Gradient descent: the present gradient counts with learning rate "
                f"{_number(alpha)}."
            )
        else:
            sentences.append(
                f"Momentum: beta = {_number(beta)} (time constant "
                f"{_number(-1 / math.log(abs(beta)))} steps), alpha = {_number(alpha)}."
            )
    if optimizer.warm_up is not None:
        sentences.append(
            f"Warm-up: updates rise from {_percent(optimizer.warm_up.start)} of their size with a "
            f"time constant of {_number(optimizer.warm_up.time_constant)} steps."
        )
    if optimizer.decay is not None:
        sentences.append(
            f"Decay: updates shrink to {_percent(optimizer.decay.final)} of their size within "
            f"about {_number(optimizer.decay.time_constant)} steps."
        )
    if optimizer.offset is not None:
        sentences.append(
            f"Offset: {_number(optimizer.offset)} is added to the parameter at every step."
        )
    return tuple(sentences)


def _adaptation(adaptation: Adaptation) -> list[str]:
    """The moving average, and the factor that comes of it."""
    decay, scale = float(adaptation.decay), _number(adaptation.scale)
    mean = f"v / (1 - {_number(decay)}^(k+1))" if adaptation.corrected else "v"
    return [
        f"v ← {_number(decay)} v + {_number(1 - decay)} g²",
        f"a ← 1 / ({scale} + √({mean})){_power(adaptation.power)}",
    ]


def _momentum(momentum: Momentum, seen: str) -> list[str]:
    """The modes, and the direction that comes of them."""
    lines, direction = [], ""
    for index, (beta, alpha) in enumerate(_modes(momentum), start=1):
        name = f"m{index}".translate(_SUBSCRIPTS)
        if beta == 0:
            direction += f"{_plus(-alpha)} {seen}"
            continue
        lines.append(f"{name} ← {_number(beta)} {name}{_plus(-alpha)} {seen}")
        correction = f" / (1 - {_number(beta)}^(k+1))" if momentum.corrected else ""
        direction += f" + {name}{correction}"
    first = direction.removeprefix(" + ").removeprefix(" - ")
    sign = "-" if direction.startswith(" -") else ""
    return [*lines, f"d ← {sign}{first}"]


def _modes(momentum: Momentum) -> list[tuple[float, float]]:
    """Beta and alpha of each mode."""
    pairs = zip(momentum.betas, momentum.alphas, strict=True)
    return [(float(beta), float(alpha)) for beta, alpha in pairs]


def _warm_up(warm_up: WarmUp) -> str:
    return f"1 - {_share(1 - warm_up.start)} exp(-k / {_number(warm_up.time_constant)})"


def _decay(decay: Decay) -> str:
    elapsed = f"k / {_number(decay.time_constant)}"
    shaped = elapsed if _number(decay.shape) == "1" else f"({elapsed}){_power(decay.shape)}"
    final, fall = _share(decay.final), f"exp(-{shaped})"
    return fall if final == "0" else f"{final} + {_share(1 - decay.final)} {fall}"


def _power(exponent: float | Float[Array, ""]) -> str:
    """Raising to a power; nothing for a power of one."""
    text = _number(exponent)
    return "" if text == "1" else f"^{text}"


def _plus(value: float) -> str:
    """A number to be added, after its sign."""
    return f" {'-' if value < 0 else '+'} {_number(abs(value))}"


def _share(value: Float[Array, ""]) -> str:
    """A number between zero and one, to a ten-thousandth."""
    return f"{round(float(value), 4):g}"


def _percent(share: Float[Array, ""]) -> str:
    return f"{round(100 * float(share), 2):g} %"


def _number(value: float | Float[Array, ""]) -> str:
    """Four significant digits."""
    return f"{float(value):.4g}"
