"""Settings of meta-training."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from l2o.composition import ESTIMATOR, TASK_FAMILY, Composed
from l2o.runs.by_name import ByName
from l2o.runs.part_settings import PartByName, named_parts
from l2o.support.checks import check_number, check_rising, check_size
from l2o.support.kinds import check_fields


@dataclass(frozen=True)
class TrainingSettings:
    """How the optimizer is meta-trained."""

    meta_steps: int = 1000
    """Updates of the meta-parameters."""
    parts: tuple[PartByName, ...] = ()
    """Families of tasks to meta-train on at once, in place of the task, which it is then only
    compared on; their other settings stand in a recipe's JSON."""
    num_tasks: int = 8
    """Tasks trained side by side."""
    horizon: int = 100
    """Inner steps after which tasks start afresh."""
    truncation: int = 20
    """Inner steps that one meta-gradient looks back over."""
    objective: Literal["mean-loss", "normalized-mean-loss", "final-loss", "mean-log-ratio"] = (
        "mean-loss"
    )
    """What is to be small along a trajectory; baselines are tuned on the same."""
    estimator: ByName = field(default_factory=lambda: Composed("first-order"))
    """Estimator of meta-gradients, as `l2o list` shows them; its settings are flags."""
    learning_rate: float = 1e-3
    """Learning rate of Adam on the meta-parameters, at its peak."""
    schedule: Literal["constant", "cosine", "exponential"] = "constant"
    """How the learning rate goes on after warm-up; cosine falls to a hundredth of its peak."""
    decay_rate: float = 0.5
    """What the exponential schedule leaves of the learning rate after decay_steps, as a factor."""
    decay_steps: int = 1000
    """Meta-steps over which the exponential schedule falls by the factor of decay_rate."""
    warmup_steps: int = 0
    """Meta-steps over which the learning rate rises from zero."""
    b1: float = 0.9
    """Decay rate of Adam's average of meta-gradients."""
    b2: float = 0.999
    """Decay rate of Adam's average of squared meta-gradients."""
    epsilon: float = 1e-8
    """Epsilon of Adam on the meta-parameters."""
    meta_l2_penalty: float = 0.0
    """Factor of the 2-norm, not squared, of the meta-parameters, added to the meta-loss."""
    clip_value: float | None = None
    """Largest size of each element of the meta-gradient; unbounded by default."""
    clip_norm: float | None = None
    """Largest 2-norm of the whole meta-gradient; unbounded by default."""
    curriculum: tuple[int, ...] | None = None
    """Horizons, rising, to meta-train on one after another instead of on one horizon, each for
    meta_steps at most, while the next one validates; the last is for validation alone."""
    imitation_ratio: float = 0.0
    """Share of meta-steps that imitate Adam with learning rate 0.01 instead."""
    validation_every: int = 100
    """Meta-steps between validations; the best optimizer is kept."""
    validation_tasks: int = 16
    """Tasks that each validation runs on, always the same ones."""
    checkpoint_every: int = 100
    """Meta-steps between checkpoints, the most that a kill can lose."""

    def check(self) -> None:
        """Makes sure that the settings are in range; JAX is left alone.

        **Raises:** `ValueError` that names the setting.
        """
        check_fields(self)
        for name in (
            "meta_steps",
            "num_tasks",
            "horizon",
            "truncation",
            "decay_steps",
            "validation_every",
            "validation_tasks",
            "checkpoint_every",
        ):
            check_size(name, getattr(self, name))
        check_size("warmup_steps", self.warmup_steps, least=0)
        for name in ("learning_rate", "meta_l2_penalty"):
            check_number(name, getattr(self, name), least=0)
        for name in ("b1", "b2"):
            check_number(name, getattr(self, name), least=0, below=1)
        check_number("decay_rate", self.decay_rate, above=0, most=1)
        check_number("epsilon", self.epsilon, above=0)
        check_number("imitation_ratio", self.imitation_ratio, least=0, most=1)
        for name in ("clip_value", "clip_norm"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), above=0)
        if self.curriculum is not None:
            check_rising("horizons", self.curriculum, shortest=2)
        for horizon in (self.horizon,) if self.curriculum is None else self.curriculum[:-1]:
            if horizon % self.truncation:
                raise ValueError(
                    f"truncation must divide horizon, got {self.truncation} and {horizon}."
                )
        for number, part in enumerate(self.parts, start=1):
            part.check(number)

    @property
    def shortest_truncation(self) -> int:
        """The fewest inner steps that a meta-gradient looks back over, of all parts."""
        return min(
            (part.truncation or self.truncation for part in self.parts), default=self.truncation
        )

    def with_parts_named(self, words: Sequence[str]) -> "TrainingSettings":
        """The same with the parts that a command line names, NAME or NAME=WEIGHT each.

        Those that are there keep their settings, but for a weight that is given.

        **Raises:** `ValueError` for an unknown name, and for a weight that is no number above 0.
        """
        return replace(self, parts=named_parts(self.parts, words))

    def naming_own_parts(self) -> list[str]:
        """The words that name the parts again, if there is code of a person's own among them."""
        names = [part.task.name for part in self.parts]
        return ["--parts", *names] if any(part.task.is_own for part in self.parts) else []

    def completed(self) -> "TrainingSettings":
        """The same with all settings of the estimator and of the parts' tasks.

        **Raises:** `ValueError` for an unknown one, and for settings that are unknown or of the
        wrong type.
        """
        parts = tuple(
            replace(part, task=part.task.completed(TASK_FAMILY)) if part.task.confirmed else part
            for part in self.parts
        )
        return replace(self, estimator=self.estimator.completed(ESTIMATOR), parts=parts)
