"""What a user sees while a command works: a bar on a terminal, a line now and then elsewhere."""

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from l2o.cli.terminal import PlainConsole
from l2o.runs import ComparisonProgress

if TYPE_CHECKING:
    from l2o.metatraining import Progress as MetaTrainingProgress

_SECONDS_BETWEEN_LINES = 10.0


class LiveProgress:
    """Shows how far work is, on standard error, once all that could be refused is checked.

    Until then there is a bar on a terminal, of which nothing stays, and nothing elsewhere.

    **Arguments:** `title`, what is being done; `details`, what is known before it begins; `note`, a
    line to say when it begins.
    """

    def __init__(self, title: str, details: str = "checking", note: str = "") -> None:
        self._console = PlainConsole(stderr=True)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[details]}", markup=False),
            console=self._console,
            transient=True,
        )
        self._title = title
        self._note = note
        self._task = self._bar.add_task(title, total=None, details=details)
        self._last_line = -float("inf")

    def __enter__(self) -> Self:
        """Shows the bar."""
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Takes the bar away."""
        if self._console.is_terminal:
            self._bar.stop()

    def on_start(self) -> None:
        """Shows that work has begun."""
        self._show(self._title, 0, None, "starting")

    def on_meta_step(self, progress: "MetaTrainingProgress") -> None:
        """Shows how far meta-training is."""
        validation = (
            ""
            if progress.validation_score is None
            else f"  validation {progress.validation_score:.4g}"
        )
        skipped = f"  skipped {progress.num_skipped}" if progress.num_skipped else ""
        rate, left = progress.meta_steps_per_second, progress.seconds_left
        pace = "" if rate is None else f"  {rate:.1f} meta-steps/s"
        pace += "" if left is None else f"  {_duration(left)} left"
        self._show(
            self._title,
            progress.meta_step,
            progress.meta_steps,
            f"{progress.meta_step}/{progress.meta_steps}  meta-loss {progress.meta_loss:.4g}"
            f"{validation}{pace}{skipped}",
        )

    def on_comparison(self, progress: ComparisonProgress) -> None:
        """Shows how far tuning and comparing are."""
        done, total = progress.done, progress.total
        details = f"{done}/{total}" if total is not None else f"{done} done" if done else ""
        self._show(progress.activity, progress.done, progress.total, details)

    def _show(self, title: str, done: int, total: int | None, details: str) -> None:
        """Moves the bar, or writes a line if the last one is old enough."""
        if self._note:
            self._console.print(self._note, soft_wrap=True)
            self._note = ""
        if self._console.is_terminal:
            self._bar.update(
                self._task, description=title, completed=done, total=total, details=details
            )
        elif done == total or time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES:
            self._console.print(f"{title}: {details}" if details else title, soft_wrap=True)
            self._last_line = time.monotonic()


def _duration(seconds: float) -> str:
    """Minutes and seconds, with hours where there are some."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
