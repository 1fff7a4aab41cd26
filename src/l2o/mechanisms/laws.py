"""Which law a schedule follows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
from jaxtyping import Float, Int

# A law is named if it misses by at most this share of the largest rate (root mean square), and the
# next best law misses by so many times more.
_GOOD = 3e-3
_CLEARLY_BETTER = 3.0
# Misses below this are rounding, and all as good as one another.
_ROUNDING = 1e-6
# A rise to the peak that starts below this share of it is a warm-up.
_RISE = 0.95
_FEWEST = 8
_GRID = 60

Times = Float[np.ndarray, " times"]
# A shape over time, given two parameters, from 1 at time 0.
_Shape = Callable[[Times, float], Times]


@dataclass(frozen=True)
class Law:
    """A law that learning rates follow over time, and its parameters by name."""

    name: str
    """`linear`, `cosine`, `exponential`, `power` or `constant`: what follows the warm-up."""
    warmup_steps: int
    """The steps of a linear warm-up before it; 0 without one."""
    parameters: dict[str, float]
    """What the law has: `steps` until its end, its `factor` a step, its `exponent` and `offset`
    (the law being (1 + step / offset) to the power of minus the exponent), its `peak` and `end`."""
    miss: float
    """The root mean square of what it leaves, relative to the largest learning rate."""

    @property
    def text(self) -> str:
        """In words."""
        values = self.parameters
        text = {
            "constant": lambda: "a constant rate",
            "linear": lambda: f"a linear change over {values['steps']:.4g} steps",
            "cosine": lambda: f"a cosine decay over {values['steps']:.4g} steps",
            "exponential": lambda: f"an exponential decay by {values['factor']:.6g} a step",
            "power": lambda: (
                f"a power law, (1 + step / {values['offset']:.4g}) to the power of "
                f"-{values['exponent']:.4g}"
            ),
        }[self.name]()
        end = values.get("end", 0.0)
        if self.name in ("cosine", "exponential") and abs(end) > 1e-4 * abs(values["peak"]):
            text += f" towards {end:.4g}"
        if self.warmup_steps:
            text = f"a linear warm-up over {self.warmup_steps} steps, then {text}"
        return text


def law_of(times: Int[np.ndarray, " times"], rates: Float[np.ndarray, " times"]) -> Law | None:
    """Finds the law that learning rates follow, if one fits well, and clearly better than others.

    **Arguments:** `times`, rising, from 0; `rates`, at these times.

    **Returns:** the law, or `None` where none fits well or several fit equally well.
    """
    scale = float(np.max(np.abs(rates))) if rates.size else 0.0
    if len(times) < _FEWEST or not np.all(np.isfinite(rates)) or scale == 0:
        return None
    values = rates / scale
    if np.ptp(values) <= _ROUNDING:
        return Law("constant", 0, {"peak": float(rates[0])}, 0.0)
    fits = sorted(_fits(times.astype(float), values, scale), key=lambda law: law.miss)
    best, *others = fits
    # Every law can be nearly constant, so that the constant is none of its rivals but goes first.
    rivals = [law for law in others if best.name != law.name]
    constant = next(law for law in fits if law.name == "constant")
    if best.miss > _GOOD:
        return None
    if not _is_clearly_better(best, constant):
        return constant
    if any(not _is_clearly_better(best, rival) for rival in rivals):
        return None
    return best


def _is_clearly_better(best: Law, rival: Law) -> bool:
    """Whether a law misses by so much less than another that it is not by chance."""
    return max(rival.miss, _ROUNDING) >= _CLEARLY_BETTER * max(best.miss, _ROUNDING)


def _fits(times: Times, values: Times, scale: float) -> Iterator[Law]:
    """Every law fitted, after the warm-up where there is one."""
    # Where it is reached, but for rounding.
    peak = int(np.argmax(np.abs(values) >= (1 - _ROUNDING) * np.max(np.abs(values))))
    start, warmup_miss, warmup_steps = 0, np.zeros(0), 0
    if peak > 0 and abs(values[0]) < _RISE * abs(values[peak]):
        line = values[0] + (values[peak] - values[0]) * times[:peak] / times[peak]
        start, warmup_steps = peak, int(times[peak])
        warmup_miss = values[:peak] - line
    after, rest = times[start:] - times[start], values[start:]
    if len(rest) < _FEWEST:
        # All of it is one rise.
        start, warmup_steps, warmup_miss, after, rest = 0, 0, np.zeros(0), times, values
    for name, parameters, model in _shapes(after, rest, scale):
        missed = np.concatenate([warmup_miss, rest - model])
        yield Law(name, warmup_steps, parameters, float(np.sqrt(np.mean(missed**2))))


def _shapes(
    times: Times, values: Times, scale: float
) -> Iterator[tuple[str, dict[str, float], Times]]:
    """The best of each law, with its values at the times."""
    end = max(times[-1], 2.0)

    def cosine(steps: float) -> Times:
        return 0.5 * (1 + np.cos(np.pi * np.minimum(times / steps, 1.0)))

    def linear(steps: float) -> Times:
        return 1 - np.minimum(times / steps, 1.0)

    def exponential(constant: float) -> Times:
        return np.exp(-times / constant)

    yield (
        "constant",
        {"peak": scale * float(np.mean(values))},
        np.full_like(values, values.mean()),
    )
    for name, shape, parameter in (
        ("linear", linear, lambda steps: {"steps": steps}),
        ("cosine", cosine, lambda steps: {"steps": steps}),
        ("exponential", exponential, lambda constant: {"factor": float(np.exp(-1 / constant))}),
    ):
        best = _best(
            lambda steps, shape=shape: _with_end(shape(steps), values), values, 1.0, 20 * end
        )
        model, last, first = _with_end(shape(best), values)
        yield name, parameter(best) | {"peak": scale * first, "end": scale * last}, model

    def power(offset: float, exponent: float) -> Times:
        return (1 + times / offset) ** -exponent

    def best_exponent(offset: float) -> tuple[Times, float, float]:
        def missed(exponent: float) -> float:
            return float(np.sum((_scaled(power(offset, exponent), values)[0] - values) ** 2))

        exponent = _least(missed, 0.02, 6.0)
        model, first = _scaled(power(offset, exponent), values)
        return model, exponent, first

    offset = _best(best_exponent, values, 0.05, 20 * end)
    model, exponent, first = best_exponent(offset)
    yield "power", {"exponent": exponent, "offset": offset, "peak": scale * first}, model


def _best(
    fit: Callable[[float], tuple[Times, float, float]], values: Times, low: float, high: float
) -> float:
    """The parameter, on a logarithmic scale, whose model misses least."""

    def missed(logarithm: float) -> float:
        return float(np.sum((fit(float(np.exp(logarithm)))[0] - values) ** 2))

    grid = np.linspace(np.log(low), np.log(high), _GRID)
    middle = int(np.argmin([missed(point) for point in grid]))
    return float(np.exp(_least(missed, grid[max(0, middle - 1)], grid[min(_GRID - 1, middle + 1)])))


def _least(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function of one number is smallest between two bounds."""
    options = {"xatol": 1e-10}
    found: Any = scipy.optimize.minimize_scalar(
        function, bounds=(low, high), method="bounded", options=options
    )
    return float(found.x)


def _with_end(shape: Times, values: Times) -> tuple[Times, float, float]:
    """The best combination of a shape from 1 to 0 and a constant: model, end and beginning."""
    columns = np.stack([shape, np.ones_like(shape)], axis=1)
    size, end = np.linalg.lstsq(columns, values, rcond=None)[0]
    return columns @ np.array([size, end]), float(end), float(size + end)


def _scaled(shape: Times, values: Times) -> tuple[Times, float]:
    """The best multiple of a shape, and how often it is taken."""
    square = float(shape @ shape)
    factor = float(shape @ values) / square if square > 0 else 0.0
    return factor * shape, factor
