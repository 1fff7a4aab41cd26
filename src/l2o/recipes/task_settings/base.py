"""What all settings of task families have in common."""

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from l2o.tasks import TaskFamily

JudgeOn = Literal["validation", "test"]
"""The split for held-out metrics: validation for all choices, test for the final word."""


@dataclass(frozen=True)
class TaskSettings(abc.ABC):
    """What all families of tasks have in common."""

    max_log_scale: float = 0.0
    """Puts every parameter in random units: a factor of exp(U(-r, r)) with this r."""

    @property
    @abc.abstractmethod
    def title(self) -> str:
        """The family in a few words, for tables and figures."""

    @abc.abstractmethod
    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        """The family, in its own units."""

    def family(self, judge_on: JudgeOn) -> "TaskFamily":
        """Builds the family of tasks.

        **Arguments:** `judge_on`, the split for held-out metrics, where there are some.

        **Raises:** `ValueError` for settings out of range, and for data that are missing.
        """
        from l2o.tasks import ReparameterizedFamily

        family = self._family(judge_on)
        return ReparameterizedFamily(family, self.max_log_scale) if self.max_log_scale else family
