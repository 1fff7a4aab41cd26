"""Who wins, in plain sentences that follow from intervals and tests."""

from dataclasses import dataclass

from l2o.evaluation import PairedDifference, metric_label
from l2o.evaluation.statistics import CONFIDENCE
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
    def few(self) -> str:
        """A sentence where there are too few tasks to tell anything, if so."""
        return too_few(self.setting.evaluation.num_tasks, "tasks") if self.differences else ""

    @property
    def reservations(self) -> tuple[str, ...]:
        """Where tasks are few, or means over some of them, or skewed, a sentence for each kind."""
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
        sentences = [self.few] if self.few else []
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
    >>> firsts = (4.0, 2.0, 3.0, 2.5, 3.5, 2.2)
    >>> runs = {
    ...     name: l2o.evaluation.Runs(losses, objective=losses.mean(1), held_out={})
    ...     for name, losses in (
    ...         ("mine", np.array([[first, 1.0] for first in firsts])),
    ...         ("sgd", np.array([[first, 2.0 + first / 9] for first in firsts])),
    ...     )
    ... }
    >>> setting = Setting("six tasks, 1 step", l2o.evaluation.Evaluation(runs, 6, 1))
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


def too_few(num: int, units: str) -> str:
    """A sentence where pairs are so few that even winning all of them could be chance.

    **Arguments:** `num`, of pairs; `units`, what they are called.

    **Returns:** nothing from six pairs on, of which all go one way by chance in 3 % of cases: no
    more than what a 95 % interval leaves to chance.
    """
    chance = 2 * 0.5**num
    if chance <= 1 - CONFIDENCE:
        return ""
    if num == 1:
        return f"There is only one of the {units}, which tells nothing of others."
    return (
        f"There are only {num} {units}: one of two equally good optimizers is ahead on all of them "
        f"in {100 * chance:.0f} % of cases, so that little is to be made of this."
    )


def listing(items: tuple[str, ...]) -> str:
    """Items with commas and a last "and"."""
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))
