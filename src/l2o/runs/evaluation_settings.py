"""Settings of the comparison with tuned baselines."""

from dataclasses import dataclass
from typing import TypedDict

import tyro

from l2o.composition import Composed
from l2o.runs.by_name import ByName
from l2o.runs.hand_designed import check_hand_designed
from l2o.support.checks import check_size, check_unique
from l2o.support.kinds import check_fields

CUSTOMARY_BASELINES = ("momentum", "rmsprop", "adam")
CUSTOMARY_FOR_SEVERAL_LOSSES = ("mean-adam", "upgrad-adam", "imtl-g-adam")
"""What the customary baselines stand for where tasks have several losses."""


@dataclass(frozen=True)
class EvaluationSettings:
    """How the optimizer is compared with tuned baselines."""

    baselines: tuple[str, ...] = CUSTOMARY_BASELINES
    """Hand-designed optimizers to compare with, by name (see `l2o list`); for tasks with several
    losses WEIGHTING-OPTIMIZER, where those that are so by default are mean-adam, upgrad-adam and
    imtl-g-adam."""
    num_configurations: int = 256
    """Hyperparameter configurations to try for each baseline."""
    tuning_tasks: int = 8
    """Tasks that each configuration is tried on."""
    configurations_at_once: int | None = None
    """Configurations to run side by side; by default as many as are fast for most tasks."""
    num_tasks: int = 64
    """Fresh tasks to compare on."""
    num_steps: int = 100
    """Steps of each run, for tuning too."""
    longer_steps: int | None = None
    """Steps of further runs at a longer horizon, without tuning again; none by default."""
    other_tasks: tyro.conf.Suppress[tuple[ByName, ...]] = ()
    """Further tasks to run on, without tuning again."""

    def check(self) -> None:
        """Makes sure that the settings are in range; JAX is left alone.

        **Raises:** `ValueError` that names the setting.
        """
        check_fields(self)
        for name in ("num_configurations", "tuning_tasks", "num_tasks", "num_steps"):
            check_size(name, getattr(self, name))
        for name in ("configurations_at_once", "longer_steps"):
            value = getattr(self, name)
            if value is not None:
                check_size(name, value)
        check_unique("baselines", self.baselines)
        for name in self.baselines:
            check_hand_designed(name)


class EvaluationChanges(TypedDict, total=False):
    """Some of the `EvaluationSettings`, to be changed."""

    baselines: tuple[str, ...]
    num_configurations: int
    tuning_tasks: int
    configurations_at_once: int | None
    num_tasks: int
    num_steps: int
    longer_steps: int | None
    other_tasks: tuple[Composed, ...]
