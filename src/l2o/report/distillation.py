"""What a page says of an optimizer's closed form."""

from dataclasses import asdict, dataclass
from typing import Any

from matplotlib.figure import Figure

from l2o.evaluation import Summary, Tuned
from l2o.mechanisms import Distilled
from l2o.report.comparison import tuned_as_dict
from l2o.report.drawing import blank_figure, style
from l2o.report.plain import plain
from l2o.report.verdict import too_few


@dataclass(frozen=True)
class Score:
    """How good an optimizer is on the task."""

    name: str
    objective: Summary
    diverged: int
    """How many runs did."""


@dataclass(frozen=True)
class Distillation:
    """A closed form of an optimizer, and how good it is beside it."""

    distilled: Distilled
    tuned: Tuned
    """Its numbers tuned for the objective, like those of a baseline."""
    objective: str
    """What the scores are, in words."""
    num_tasks: int
    """That the scores are means over."""
    scores: tuple[Score, ...]
    verdicts: dict[str, dict[str, str]]
    """What the closed form, and the tuned one, are against each of the others: "better", "worse" or
    "undecided", as `PairedDifference.verdict` has it."""

    @property
    def few(self) -> str:
        """A sentence where there are too few tasks to tell anything, if so."""
        return too_few(self.num_tasks, "tasks")

    def as_dict(self) -> dict[str, Any]:
        """All of it in numbers and words, for JSON."""
        return plain(
            {
                **self.distilled.as_dict(),
                "scores": list(map(asdict, self.scores)),
                "verdicts": self.verdicts,
                "tuning": tuned_as_dict(self.tuned),
            }
        )

    def draw(self) -> Figure:
        """Draws its updates against those that were made, and what each mechanism is worth."""
        figure = blank_figure(9.0, 3.2)
        left, right = figure.subplots(1, 2)
        for axes in (left, right):
            style(axes)
        self.distilled.draw(left)
        self.distilled.draw_ablations(right)
        return figure
