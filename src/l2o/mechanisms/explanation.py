"""What all analyses of one optimizer say, in numbers and in sentences."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from l2o.mechanisms.adaptation import AdaptationCurve
from l2o.mechanisms.fixed_points import FixedPoints
from l2o.mechanisms.linearization import Linearization
from l2o.mechanisms.momentum import Mode
from l2o.mechanisms.schedule import Schedule
from l2o.mechanisms.state_space import GradientRecord, PrincipalComponents
from l2o.mechanisms.update_function import UpdateFunction

_SHOWN_STEPS = 60
# A momentum with less than this share of the effective learning rate is not spoken of.
_WORTH_SAYING = 0.01


@dataclass(frozen=True)
class Inapplicable:
    """In place of an analysis that cannot be made."""

    reason: str
    """A sentence that says why."""


@dataclass(frozen=True)
class LinearResponse:
    """How updates answer to past gradients near the fixed point, as a sum of momenta."""

    linearization: Linearization
    modes: tuple[Mode, ...]
    """The largest |alpha| first."""

    def draw(self, axes: Any) -> None:
        """Draws the answer of updates to a gradient of 1 against the steps since.

        **Arguments:** `axes`, of matplotlib.
        """
        response = -self.linearization.impulse_response(_SHOWN_STEPS)
        axes.plot(response, ".-")
        axes.axhline(0, color="#999999", linewidth=1)
        axes.set_xlabel("steps since the gradient")
        axes.set_ylabel("minus update, for a gradient of 1")


@dataclass(frozen=True)
class StateSpace:
    """Where the state goes, along its two most important directions."""

    components: PrincipalComponents
    """Of the states that recorded parameters went through."""
    trajectories: Float[np.ndarray, "steps coordinates 2"]
    """Some of these states."""
    fixed_point: Float[np.ndarray, " 2"]
    under_constant_gradients: Float[np.ndarray, "gradients 2"]
    """The fixed points h*(g) of the adaptation curve."""
    gradients: Float[np.ndarray, " gradients"]

    def draw(self, axes: Any) -> None:
        """Draws trajectories, the fixed point, and fixed points under constant gradients.

        **Arguments:** `axes`, of matplotlib.
        """
        axes.plot(*np.moveaxis(self.trajectories, 2, 0), color="#BBBBBB", linewidth=0.6)
        for arm, color, label in (
            (self.gradients > 0, "#009E73", "h*(g), g > 0"),
            (self.gradients < 0, "#D55E00", "h*(g), g < 0"),
        ):
            axes.plot(
                *self.under_constant_gradients[arm].T, ".-", color=color, label=label, markersize=4
            )
        axes.plot(*self.fixed_point, "s", color="black", label="fixed point")
        axes.legend(frameon=False, fontsize=8)
        axes.set_xlabel("first principal component")
        axes.set_ylabel("second principal component")


@dataclass(frozen=True)
class Explanation:
    """All analyses of one optimizer; what could not be analysed says why."""

    state_size: int
    """Numbers that the optimizer remembers of a parameter."""
    depends_on_time: bool
    """Whether it counts its steps and acts accordingly."""
    gradient: float
    """The constant gradient of the fixed point at which the optimizer was looked at."""
    time: int
    """The number of steps at which counters were held for that."""
    conditions: tuple[str, ...]
    """Why that gradient and time, a sentence each; none for a gradient of 0 without counters."""
    fixed_points: FixedPoints
    momentum: LinearResponse | Inapplicable
    update_function: UpdateFunction
    schedule: Schedule
    adaptation: AdaptationCurve
    state_space: StateSpace | Inapplicable
    record: GradientRecord | None
    """The gradients met on a task, where some were recorded."""

    @property
    def share_clipped(self) -> float | None:
        """The share of recorded gradients beyond the half height of the update function."""
        saturation = self.update_function.saturation
        if self.record is None or not saturation.saturates:
            return None
        met = np.abs(self.record.gradients[np.isfinite(self.record.gradients)])
        return float(np.mean(met > saturation.half_height))

    @property
    def findings(self) -> dict[str, str]:
        """One sentence for each mechanism, with the number that matters."""
        findings = {
            "momentum": self._momentum_sentence(),
            "clipping": self._clipping_sentence(),
            "schedule": self._schedule_sentence(),
            "adaptation": self._adaptation_sentence(),
        }
        if isinstance(self.state_space, StateSpace):
            findings["state space"] = self._state_space_sentence(self.state_space)
        return findings

    def as_dict(self) -> dict[str, Any]:
        """All of it in numbers, for JSON; what is not finite is `None`."""
        return {
            "state_size": self.state_size,
            "depends_on_time": self.depends_on_time,
            "reference_gradient": self.gradient,
            "time": self.time,
            "conditions": list(self.conditions),
            "findings": self.findings,
            "momentum": self._momentum_numbers(),
            "clipping": self._clipping_numbers(),
            "schedule": {
                "present": self.schedule.present,
                "effective_learning_rate": _numbers(self.schedule.effective_learning_rate),
            },
            "adaptation": {
                "present": self.adaptation.present,
                "gradients": _numbers(self.adaptation.gradients),
                "effective_learning_rate": _numbers(self.adaptation.effective_learning_rate),
                "finite_learning_rate": _numbers(self.adaptation.finite_learning_rate),
                "jumps_at_zero": self.adaptation.jumps_at_zero,
                "num_steps": self.adaptation.num_steps,
            },
        }

    def _momentum_numbers(self) -> dict[str, Any]:
        points = self.fixed_points
        numbers = {
            "num_fixed_points": len(points.states),
            "num_attracting": int(np.sum(points.attracting)),
        }
        if isinstance(self.momentum, Inapplicable):
            return {
                "fixed_point_residual": None,
                "modes": [],
                "effective_learning_rate": None,
                "reason": self.momentum.reason,
                **numbers,
            }
        linearization = self.momentum.linearization
        return {
            "fixed_point_residual": _number(linearization.residual),
            "modes": [
                {
                    "beta": [mode.beta.real, mode.beta.imag],
                    "alpha": [_number(mode.alpha.real), _number(mode.alpha.imag)],
                    "time_constant": _number(mode.time_constant),
                    "num_eigenvalues": mode.num_eigenvalues,
                }
                for mode in self.momentum.modes
            ],
            "effective_learning_rate": _number(linearization.effective_learning_rate),
            **numbers,
        }

    def _clipping_numbers(self) -> dict[str, Any]:
        saturation = self.update_function.saturation
        return {
            "saturates": saturation.saturates,
            "threshold": _number(saturation.threshold),
            "peak": _number(saturation.peak),
            "plateau": _number(saturation.plateau),
            "half_height": _number(saturation.half_height),
            "share_of_gradients_beyond_half_height": self.share_clipped,
        }

    def _momentum_sentence(self) -> str:
        if isinstance(self.momentum, Inapplicable):
            return self.momentum.reason
        rate = self.momentum.linearization.effective_learning_rate
        total = sum(abs(mode.alpha) for mode in self.momentum.modes)
        lasting = [
            mode
            for mode in self.momentum.modes
            if mode.remembers and abs(mode.alpha) > _WORTH_SAYING * total
        ]
        momenta = [mode for mode in lasting if mode.alpha.real > 0]
        if not self.momentum.modes:
            return "No momentum: to first order, updates do not answer to gradients here."
        kind = {0: "No momentum", 1: "One momentum"}.get(len(momenta), f"{len(momenta)} momenta")
        listed = "; ".join(_momentum_text(mode) for mode in momenta[:3])
        more = f"; and {len(momenta) - 3} weaker ones" if len(momenta) > 3 else ""
        sentence = f"{kind}{': ' if listed else ''}{listed}{more}."
        counteracting = [mode for mode in lasting if mode.alpha.real <= 0]
        if counteracting:
            sentence += (
                f" What it remembers also takes back part of the update, as an adapting learning "
                f"rate does: {_momentum_text(counteracting[0])}."
            )
        return f"{sentence} The effective learning rate is {rate:.4g}."

    def _clipping_sentence(self) -> str:
        saturation = self.update_function.saturation
        if not saturation.saturates:
            return "No clipping: larger gradients give larger updates without end."
        peak, plateau = abs(saturation.peak), abs(saturation.plateau)
        end = (
            f"grow up to {peak:.3g} and fall to {plateau:.3g} again"
            if saturation.falls_again
            else f"level off at {plateau:.3g}"
        )
        sentence = (
            f"Large gradients are clipped: updates {end}, and reach half of {peak:.3g} at a "
            f"gradient of {saturation.half_height:.3g}."
        )
        share = self.share_clipped
        if share is not None:
            sentence += f" {100 * share:.2g} % of the gradients met on the task lie beyond."
        return sentence

    def _schedule_sentence(self) -> str:
        rates = self.schedule.effective_learning_rate
        under = "" if self.schedule.gradient == 0 else " under a constant gradient"
        if not np.all(np.isfinite(rates)):
            return f"The effective learning rate{under} does not stay finite."
        if not self.schedule.present:
            return f"No schedule: left to itself{under}, its learning rate stays at {rates[0]:.4g}."
        peak = int(np.argmax(rates))
        lowest = int(np.argmin(rates))
        carrying = self.schedule.carrying_mode
        by = (
            ""
            if carrying is None
            else f" Most of it is along a mode that decays over {carrying.time_constant:.3g} steps."
        )
        turn = peak if 0 < peak < rates.size - 1 else lowest
        middle = f"{rates[turn]:.4g} at step {turn}, " if 0 < turn < rates.size - 1 else ""
        return (
            f"A schedule: left to itself{under}, its learning rate goes from {rates[0]:.4g} to "
            f"{middle}{rates[-1]:.4g} at step {rates.size - 1}.{by}"
        )

    def _adaptation_sentence(self) -> str:
        curve = self.adaptation
        finite = np.isfinite(curve.effective_learning_rate)
        rates, sizes = curve.effective_learning_rate[finite], np.abs(curve.gradients[finite])
        if not rates.size:
            return "Under constant gradients its learning rate is not finite."
        when = "" if curve.num_steps is None else f" for {curve.num_steps} steps"
        small, large = int(np.argmin(sizes)), int(np.argmax(sizes))
        if curve.jumps_at_zero:
            rates = curve.telling_learning_rate[finite]
            return (
                "Its update jumps at zero, so the slope there says nothing of the gradients looked "
                f"at. Having met a constant gradient of {sizes[small]:.3g}{when}, it takes "
                f"{rates[small]:.3g} times a gradient of that size off; of {sizes[large]:.3g}, "
                f"{rates[large]:.3g} times."
            )
        if not curve.present:
            return (
                f"No adaptation: whatever constant gradient was met{when}, its learning rate is "
                f"{rates[0] + 0.0:.4g}."
            )
        return (
            f"It adapts: having met a constant gradient of {sizes[small]:.3g}{when}, its learning "
            f"rate is {rates[small]:.3g}; of {sizes[large]:.3g}, {rates[large]:.3g}."
        )

    def _state_space_sentence(self, space: StateSpace) -> str:
        shares = 100 * space.components.variance_explained
        return (
            f"Of the variance of its {self.state_size} state variables on the task, the first "
            f"principal component explains {shares[0]:.3g} % and the first two "
            f"{np.sum(shares[:2]):.3g} %."
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


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _numbers(values: Float[np.ndarray, " values"]) -> list[float | None]:
    return [_number(value) for value in values]
