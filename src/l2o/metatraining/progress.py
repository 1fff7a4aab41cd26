"""How far a meta-training run has come, and how long the rest will take."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Progress:
    """How far a run has come."""

    meta_step: int
    meta_steps: int
    meta_loss: float
    meta_steps_per_second: float | None
    """Since the first meta-step of this process, most of which is compilation; `None` at that."""
    seconds_left: float | None
    """At that rate; `None` at the first meta-step, unless it is also the last."""
    num_skipped: int
    """Meta-gradients that were not applied, since they, or what the meta-optimizer made of them,
    were not finite."""
    validation_score: float | None
    """The latest; `None` before the first validation."""


class ProgressReports:
    """Tells a listener after every meta-step how far the run has come.

    **Arguments:** `meta_steps`, the length of the run; `listener`, called with a `Progress`.
    """

    def __init__(self, meta_steps: int, listener: Callable[[Progress], None] | None) -> None:
        self._meta_steps = meta_steps
        self._listener = listener
        self._count = 0
        # When the first meta-step was done.
        self._began = 0.0

    def report(self, row: dict[str, Any], validation_score: float | None) -> None:
        """To be called after every meta-step.

        **Arguments:** `row`, what was measured at it; `validation_score`, the latest.
        """
        rate = self._rate()
        steps_left = self._meta_steps - row["meta_step"]
        if self._listener is not None:
            self._listener(
                Progress(
                    meta_step=row["meta_step"],
                    meta_steps=self._meta_steps,
                    meta_loss=row["meta_loss"],
                    meta_steps_per_second=rate,
                    seconds_left=0.0 if steps_left == 0 else rate and steps_left / rate,
                    num_skipped=row["num_skipped"],
                    validation_score=validation_score,
                )
            )

    def _rate(self) -> float | None:
        """Steps a second after the first one."""
        now = time.perf_counter()
        self._count += 1
        if self._count == 1:
            self._began = now
            return None
        return (self._count - 1) / (now - self._began)
