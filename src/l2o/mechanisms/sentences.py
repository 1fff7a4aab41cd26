"""What was found of each mechanism, in sentences."""

import math

import numpy as np

from l2o.mechanisms._update_function import Saturation
from l2o.mechanisms.adaptation import AdaptationCurve
from l2o.mechanisms.findings import (
    AdaptationFinding,
    ClippingFinding,
    MomentumFinding,
    Presence,
    ScheduleFinding,
    Survey,
)
from l2o.mechanisms.momentum import Mode

_MOST_MOMENTA = 3


def momentum_sentence(found: MomentumFinding, survey: Survey) -> str:
    """Which momenta there are, and the effective learning rate beside them."""
    if found.presence is Presence.UNCLEAR:
        return f"Momentum cannot be told here, because {found.reason}."
    rate = f" The effective learning rate{_where(found, survey)} is {found.rate:.4g}."
    rate = rate if math.isfinite(found.rate) else ""
    if found.presence is Presence.ABSENT:
        sentence = f"No momentum: {found.reason}."
    elif found.window:
        plural = "s" if found.window > 1 else ""
        sentence = (
            f"Momentum: its updates also answer to the {found.window} gradient{plural} before the "
            "present one, and to none before."
        )
    elif not found.momenta:
        sentence = (
            "Momentum: its updates go on when gradients stop. No beta can be told, because "
            f"{found.reason}."
        )
    else:
        count = len(found.momenta)
        kind = "One momentum" if count == 1 else f"{count} momenta"
        listed = "; ".join(map(_momentum_text, found.momenta[:_MOST_MOMENTA]))
        weaker = count - _MOST_MOMENTA
        more = f"; and {weaker} weaker one{'s' if weaker > 1 else ''}" if weaker > 0 else ""
        sentence = f"{kind}: {listed}{more}."
    if found.counteracting:
        sentence += (
            " What it remembers also takes back part of the update, as an adapting learning rate "
            f"does: {_momentum_text(found.counteracting[0])}."
        )
    return sentence + rate


def _where(found: MomentumFinding, survey: Survey) -> str:
    """At which gradient and time, where these matter."""
    where = f" under a constant gradient of {abs(found.gradient):.3g}" if found.gradient else ""
    return where + (f" at step {found.time:,}" if survey.dynamics.depends_on_time else "")


def clipping_sentence(found: ClippingFinding, saturation: Saturation) -> str:
    """Where updates end to grow."""
    if found.presence is Presence.UNCLEAR:
        return f"Clipping cannot be told here, because {found.reason}."
    if found.presence is Presence.ABSENT:
        size = f" (at {found.largest_update:.3g})" if math.isfinite(found.largest_update) else ""
        return f"No clipping: {found.reason}{size}."
    clipped = "Large gradients are clipped"
    if found.sides is not None:
        return _one_sided(found.sides)
    if math.isfinite(found.threshold):
        clipped += f" at about {found.threshold:.4g}"
    peak, plateau = found.largest_update, abs(saturation.plateau)
    end = (
        f"grow up to {peak:.3g} and fall to {plateau:.3g} again"
        if saturation.falls_again
        else f"level off at {peak:.3g}"
    )
    half = (
        f", and reach half of that at a gradient of {saturation.half_height:.3g}"
        if math.isfinite(saturation.half_height)
        else ""
    )
    return f"{clipped}: updates {end}{half}."


def _one_sided(sides: tuple[float, float]) -> str:
    """For thresholds that differ."""
    below, above = sides
    if math.isinf(above):
        return f"Gradients below zero are clipped at about -{below:.4g}, those above are not."
    if math.isinf(below):
        return f"Gradients above zero are clipped at about {above:.4g}, those below are not."
    return f"Large gradients are clipped at about -{below:.4g} below and {above:.4g} above zero."


def schedule_sentence(found: ScheduleFinding, survey: Survey) -> str:
    """How the learning rate changes by itself."""
    rates, times = found.rates, found.times
    measured = "left to itself, its learning rate"
    if found.gradient:
        size = f"{found.gradient:.3g}"
        measured = f"its learning rate, for a gradient of {size},"
        if found.under_gradient:
            measured = f"its update, over a constant gradient of {size},"
    # What is not zero for rounding alone.
    rates = np.where(np.abs(rates) > 1e-12 * np.max(np.abs(rates), initial=0.0), rates, 0.0)
    if found.presence is Presence.UNCLEAR:
        return f"A schedule cannot be told here, because {found.reason}."
    bias = (
        " Its counter makes up for averages that start at zero (a bias correction), which is no "
        "schedule."
        if found.corrects_bias
        else ""
    )
    if found.presence is Presence.ABSENT:
        rate = f"stays at {rates[-1]:.4g}"
        if found.first_steps:
            rate = f"begins at {rates[0]:.4g} and stays at {rates[-1]:.4g} once averages are filled"
        return f"No schedule: {measured} {rate}.{bias}"
    within = times < survey.num_steps
    turn = _turn(rates[within])
    middle = f"{rates[turn]:.4g} at step {turn}, " if turn else ""
    last = int(np.sum(within)) - 1
    later = ""
    if len(times) > last + 1:
        rest, rest_times = rates[~within], times[~within]
        change = np.abs(rest - rates[last])
        if np.max(change) > 0.05 * np.max(np.abs(rates)):
            first = int(np.argmax(change >= 0.95 * np.max(change)))
            later = f", and to {rest[first]:.4g} at step {rest_times[first]:,}"
    law = f" It is {found.law.text}." if found.law is not None else ""
    return (
        f"A schedule: {measured} goes from {rates[0]:.4g} to "
        f"{middle}{rates[last]:.4g} at step {last}{later}.{law}{bias}"
    )


def _turn(rates: np.ndarray) -> int:
    """The step of the extreme value in between; 0 where there is none."""
    peak, lowest = int(np.argmax(rates)), int(np.argmin(rates))
    ends = rates[[0, -1]]
    least = 1e-6 * np.max(np.abs(rates))
    if rates[peak] - np.max(ends) > least:
        return peak
    return lowest if np.min(ends) - rates[lowest] > least else 0


def adaptation_sentence(found: AdaptationFinding, curve: AdaptationCurve) -> str:
    """What the gradients that were met make of the learning rate."""
    if found.presence is Presence.UNCLEAR:
        return f"Adaptation cannot be told here, because {found.reason}."
    if found.by_signs is not None:
        agreed, alternated = found.by_signs
        return (
            "It adapts to signs, not to sizes: having met gradients that agree in sign, its "
            f"learning rate is {agreed:.3g}; having met ones that alternate, {alternated:.3g}."
        )
    rates, sizes = curve.telling_learning_rate, np.abs(curve.gradients)
    finite = np.isfinite(rates)
    rates, sizes = rates[finite], sizes[finite]
    when = "" if curve.num_steps is None else f" for {curve.num_steps} steps"
    if found.presence is Presence.ABSENT:
        if "is the same" in found.reason and rates.size:
            return (
                f"No adaptation: whatever constant gradient was met{when}, its learning rate is "
                f"{rates[int(np.argmin(sizes))] + 0.0:.4g}."
            )
        return f"No adaptation: {found.reason}."
    if not rates.size:
        rates, sizes = found.rates, np.abs(found.gradients)
    small, large = int(np.argmin(sizes)), int(np.argmax(sizes))
    if curve.jumps_at_zero:
        return (
            "Its update jumps at zero, so the slope there says nothing of the gradients looked "
            f"at. Having met a constant gradient of {sizes[small]:.3g}{when}, it takes "
            f"{rates[small]:.3g} times a gradient of that size off; of {sizes[large]:.3g}, "
            f"{rates[large]:.3g} times."
        )
    return (
        f"It adapts: having met a constant gradient of {sizes[small]:.3g}{when}, its learning "
        f"rate is {rates[small]:.3g}; of {sizes[large]:.3g}, {rates[large]:.3g}."
    )


def _momentum_text(mode: Mode) -> str:
    """One mode in words."""
    beta = f"{mode.beta.real:.4g}"
    if mode.beta.imag:
        beta += f"{mode.beta.imag:+.2g}i"
    together = f" ({mode.num_eigenvalues} eigenvalues together)" if mode.num_eigenvalues > 1 else ""
    return (
        f"beta = {beta}{together}, alpha = {mode.alpha.real:.4g}, time constant "
        f"{mode.time_constant:.3g} steps"
    )
