"""What was found of each mechanism, in sentences."""

import math

import numpy as np

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
from l2o.mechanisms.update_function import Saturation

_MOST_MOMENTA = 3


def momentum_sentence(found: MomentumFinding, survey: Survey) -> str:
    """Which momenta there are, and the effective learning rate beside them."""
    if found.presence is Presence.UNCLEAR:
        return f"Momentum cannot be told here, because {found.reason}."
    rate = f" The effective learning rate{_where(found, survey)} is {found.rate:.4g}."
    if found.presence is Presence.ABSENT:
        sentence = f"No momentum: {found.reason}."
    else:
        count = len(found.momenta)
        kind = "One momentum" if count == 1 else f"{count} momenta"
        listed = "; ".join(map(_momentum_text, found.momenta[:_MOST_MOMENTA]))
        more = f"; and {count - _MOST_MOMENTA} weaker ones" if count > _MOST_MOMENTA else ""
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


def schedule_sentence(found: ScheduleFinding, survey: Survey) -> str:
    """How the learning rate changes by itself."""
    rates, times = found.rates, found.times
    under = " under a constant gradient" if found.under_gradient else ""
    if found.presence is Presence.UNCLEAR:
        return f"A schedule cannot be told here, because {found.reason}."
    bias = (
        " Its counter makes up for averages that start at zero (a bias correction), which is no "
        "schedule."
        if found.corrects_bias
        else ""
    )
    if found.presence is Presence.ABSENT:
        return (
            f"No schedule: left to itself{under}, its learning rate stays at {rates[0]:.4g}.{bias}"
        )
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
        f"A schedule: left to itself{under}, its learning rate goes from {rates[0]:.4g} to "
        f"{middle}{rates[last]:.4g} at step {last}{later}.{law}{bias}"
    )


def _turn(rates: np.ndarray) -> int:
    """The step of the extreme value in between; 0 where there is none."""
    peak, lowest = int(np.argmax(rates)), int(np.argmin(rates))
    turn = peak if 0 < peak < rates.size - 1 else lowest
    return turn if 0 < turn < rates.size - 1 else 0


def adaptation_sentence(found: AdaptationFinding, curve: AdaptationCurve) -> str:
    """What the gradients that were met make of the learning rate."""
    if found.presence is Presence.UNCLEAR:
        return f"Adaptation cannot be told here, because {found.reason}."
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
