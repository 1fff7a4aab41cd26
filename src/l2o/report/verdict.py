"""Who wins, in plain sentences that follow from intervals and tests."""

from dataclasses import dataclass

from l2o.evaluation import PairedDifference, metric_label
from l2o.report.comparison import Setting

_LARGER_IS_BETTER = ("test_accuracy",)


@dataclass(frozen=True)
class Verdict:
    """How the learned optimizer stands against all baselines in one metric."""

    setting: Setting
    learned: str
    metric: str
    differences: dict[str, PairedDifference]
    """Of the learned optimizer and each baseline."""

    @property
    def beaten(self) -> tuple[str, ...]:
        """Baselines than which it is better, as `PairedDifference.verdict` has it."""
        return self._baselines("better")

    @property
    def undecided(self) -> tuple[str, ...]:
        """Baselines that it cannot be told from."""
        return self._baselines("undecided")

    @property
    def beaten_by(self) -> tuple[str, ...]:
        """Baselines than which it is worse."""
        return self._baselines("worse")

    def _baselines(self, verdict: str) -> tuple[str, ...]:
        return tuple(name for name, each in self.differences.items() if each.verdict == verdict)

    @property
    def wins(self) -> bool:
        """Whether it is better than every baseline."""
        return not self.undecided and not self.beaten_by

    @property
    def sentence(self) -> str:
        """The verdict in words, and what is to be known about it."""
        parts = []
        if self.beaten:
            parts.append(f"is better than {listing(self.beaten)}")
        if self.beaten_by:
            parts.append(f"is worse than {listing(self.beaten_by)}")
        if self.undecided:
            parts.append(f"cannot be told from {listing(self.undecided)}")
        label = metric_label(self.metric)
        told = f"In {label}, {self.learned} {listing(tuple(parts)) or 'has no one to beat'}."
        return " ".join([told, *self.reservations])

    @property
    def reservations(self) -> tuple[str, ...]:
        """Where means are over some of the tasks, or skewed, a sentence for each kind."""
        some = tuple(
            f"{name} over {each.finished.num_tasks} of {each.num_tasks} tasks"
            for name, each in self.differences.items()
            if each.finished.num_tasks < each.num_tasks
        )
        skewed = tuple(
            f"{name} ({each.finished.skewness:.1f})"
            for name, each in self.differences.items()
            if each.finished.is_skewed
        )
        sentences = []
        if some:
            sentences.append(f"Differences are over what both finish: from {listing(some)}.")
        if skewed:
            sentences.append(
                f"Skewed, so that t-intervals are to be doubted, are differences from "
                f"{listing(skewed)}."
            )
        return tuple(sentences)


def judge(setting: Setting, learned: str, metric: str) -> Verdict:
    """Compares the learned optimizer with every baseline in one metric.

    **Arguments:** `setting`; `learned`, its name; `metric`, as `Evaluation.compare` takes it.

    ```pycon
    >>> from l2o.report import Setting, judge
    >>> runs = {
    ...     name: l2o.evaluation.Runs(losses, objective=losses.mean(1), held_out={})
    ...     for name, losses in (
    ...         ("mine", np.array([[4.0, 1.0], [2.0, 1.0], [3.0, 1.0], [2.5, 1.0]])),
    ...         ("sgd", np.array([[4.0, 2.0], [2.0, 2.1], [3.0, 2.2], [2.5, 2.0]])),
    ...     )
    ... }
    >>> setting = Setting("four tasks, 1 step", l2o.evaluation.Evaluation(runs, 4, 1))
    >>> judge(setting, "mine", "objective").sentence
    'In the objective, mine is better than sgd.'
    ```
    """
    larger_is_better = metric in _LARGER_IS_BETTER
    differences = {
        name: setting.evaluation.compare(learned, name, metric, larger_is_better=larger_is_better)
        for name in setting.evaluation.runs
        if name != learned
    }
    return Verdict(setting, learned, metric, differences)


def listing(items: tuple[str, ...]) -> str:
    """Items with commas and a last "and"."""
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))
