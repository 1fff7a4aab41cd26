"""Settings of the comparison with tuned baselines."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import tyro

from l2o.recipes.task_settings import AnyTask

if TYPE_CHECKING:
    from l2o.optimizers import HandDesigned


@dataclass(frozen=True)
class EvaluationSettings:
    """How the optimizer is compared with tuned baselines."""

    baselines: tuple[str, ...] = ("momentum", "rmsprop", "adam")
    """Hand-designed optimizers to compare with, by name (see `l2o list`)."""
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
    other_tasks: tyro.conf.Suppress[tuple[AnyTask, ...]] = ()
    """Further tasks to run on, without tuning again."""

    def build_baselines(self) -> "tuple[HandDesigned, ...]":
        """Looks up the baselines.

        **Raises:** `ValueError` for an unknown name.
        """
        return tuple(find_hand_designed(name) for name in dict.fromkeys(self.baselines))

    def check(self) -> None:
        """Makes sure that the settings are in range, before any time is spent.

        **Raises:** `ValueError` that names the setting.
        """
        from l2o.tasks.checks import check_at_least

        for name in ("num_configurations", "tuning_tasks", "num_tasks", "num_steps"):
            check_at_least(name, getattr(self, name), 1)
        for name in ("configurations_at_once", "longer_steps"):
            value = getattr(self, name)
            if value is not None:
                check_at_least(name, value, 1)
        self.build_baselines()


def find_hand_designed(name: str) -> "HandDesigned":
    """The hand-designed optimizer of this name.

    **Raises:** `ValueError` for an unknown name.
    """
    from l2o.multiobjective import ALL_AGGREGATED
    from l2o.optimizers import ALL_HAND_DESIGNED
    from l2o.tasks.checks import check_choice

    known = {each.name: each for each in (*ALL_HAND_DESIGNED, *ALL_AGGREGATED)}
    check_choice("A hand-designed optimizer", name, known)
    return known[name]
