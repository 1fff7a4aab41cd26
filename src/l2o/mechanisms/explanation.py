"""What all analyses of one optimizer say, in numbers and in sentences."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from l2o.mechanisms._update_function import UpdateFunction
from l2o.mechanisms.adaptation import AdaptationCurve
from l2o.mechanisms.findings import Mechanisms, Presence, ScheduleFinding
from l2o.mechanisms.fixed_points import FixedPoints
from l2o.mechanisms.linearization import Linearization
from l2o.mechanisms.momentum import Mode
from l2o.mechanisms.sentences import (
    adaptation_sentence,
    clipping_sentence,
    momentum_sentence,
    schedule_sentence,
)
from l2o.mechanisms.state_space import GradientRecord, PrincipalComponents

_SHOWN_STEPS = 60


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
    mechanisms: Mechanisms
    """Which mechanisms it has, and what they are."""
    gradient: float
    """The constant gradient of the fixed point that the pictures are of."""
    conditions: tuple[str, ...]
    """Why that gradient and time, a sentence each; none for a gradient of 0 where time does not
    matter."""
    fixed_points: FixedPoints
    momentum: LinearResponse | Inapplicable
    update_function: UpdateFunction
    adaptation: AdaptationCurve
    state_space: StateSpace | Inapplicable
    record: GradientRecord | None
    """The gradients met on a task, where some were recorded."""

    @property
    def depends_on_time(self) -> bool:
        """Whether it changes with the number of steps, whatever gradients are met."""
        return self.mechanisms.survey.dynamics.depends_on_time

    @property
    def time(self) -> int:
        """The number of steps at which time was held."""
        return self.mechanisms.survey.time

    @property
    def schedule(self) -> ScheduleFinding:
        """The learning rate at each step that was followed."""
        return self.mechanisms.schedule

    @property
    def share_clipped(self) -> float | None:
        """The share of recorded gradients beyond the half height of the update function."""
        saturation = self.update_function.saturation
        if self.record is None or not saturation.saturates:
            return None
        met = np.abs(self.record.gradients[np.isfinite(self.record.gradients)])
        return float(np.mean(met > saturation.half_height))

    @property
    def summary(self) -> str:
        """All mechanisms in a sentence, or two."""
        presence = self.mechanisms.presence
        present, absent, unclear = (
            [name for name, seen in presence.items() if seen is kind] for kind in Presence
        )
        known = []
        if present:
            known.append(f"has {_listed(present)}")
        if absent:
            known.append(f"{'but no' if present else 'has no'} {' and no '.join(absent)}")
        said = [f"It {', '.join(known)}."] if known else []
        if unclear:
            said.append(f"Whether it has {_listed(unclear)} cannot be told here.")
        return " ".join(said)

    @property
    def findings(self) -> dict[str, str]:
        """One sentence or two for each mechanism, with the number that matters."""
        mechanisms = self.mechanisms
        findings = {
            "momentum": momentum_sentence(mechanisms.momentum, mechanisms.survey),
            "clipping": clipping_sentence(mechanisms.clipping, self.update_function.saturation),
            "schedule": schedule_sentence(mechanisms.schedule, mechanisms.survey),
            "adaptation": adaptation_sentence(mechanisms.adaptation, self.adaptation),
        }
        share = self.share_clipped
        if share is not None and mechanisms.clipping.presence is Presence.PRESENT:
            findings["clipping"] += (
                f" {100 * share:.2g} % of the gradients met on the task lie beyond the one that "
                "gives half of it."
            )
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
            "summary": self.summary,
            "presence": {name: str(found) for name, found in self.mechanisms.presence.items()},
            "findings": self.findings,
            "momentum": self._momentum_numbers(),
            "clipping": self._clipping_numbers(),
            "schedule": self._schedule_numbers(),
            "adaptation": {
                "present": self.mechanisms.adaptation.presence is Presence.PRESENT,
                "gradients": _numbers(self.adaptation.gradients),
                "effective_learning_rate": _numbers(self.adaptation.effective_learning_rate),
                "finite_learning_rate": _numbers(self.adaptation.finite_learning_rate),
                "jumps_at_zero": self.adaptation.jumps_at_zero,
                "num_steps": self.adaptation.num_steps,
            },
        }

    def _schedule_numbers(self) -> dict[str, Any]:
        found = self.mechanisms.schedule
        return {
            "present": found.presence is Presence.PRESENT,
            "effective_learning_rate": _numbers(self.schedule.effective_learning_rate),
            "law": None
            if found.law is None
            else {
                "name": found.law.name,
                "warmup_steps": found.law.warmup_steps,
                **{name: _number(value) for name, value in found.law.parameters.items()},
            },
            "corrects_bias": found.corrects_bias,
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
            "present": self.mechanisms.clipping.presence is Presence.PRESENT,
            "saturates": saturation.saturates,
            "threshold": _number(self.mechanisms.clipping.threshold),
            "peak": _number(saturation.peak),
            "plateau": _number(saturation.plateau),
            "half_height": _number(saturation.half_height),
            "share_of_gradients_beyond_half_height": self.share_clipped,
        }

    def _state_space_sentence(self, space: StateSpace) -> str:
        shares = 100 * space.components.variance_explained
        return (
            f"Of the variance of its {self.state_size} state variables on the task, the first "
            f"principal component explains {shares[0]:.3g} % and the first two "
            f"{np.sum(shares[:2]):.3g} %."
        )


def _listed(names: list[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _numbers(values: Float[np.ndarray, " values"]) -> list[float | None]:
    return [_number(value) for value in values]
