"""Who wins, in plain sentences that follow from the intervals."""

from dataclasses import dataclass

from l2o.report.comparison import Setting
from l2o.report.figures import metric_label

_LARGER_IS_BETTER = ("test_accuracy",)


@dataclass(frozen=True)
class Verdict:
    """How the learned optimizer stands against all baselines in one metric."""

    setting: Setting
    learned: str
    metric: str
    beaten: tuple[str, ...]
    """Baselines than which it is better: the 95 % interval of the difference excludes zero."""
    undecided: tuple[str, ...]
    """Baselines with an interval that includes zero, or none since runs diverged."""
    beaten_by: tuple[str, ...]
    """Baselines than which it is worse."""

    @property
    def wins(self) -> bool:
        """Whether it is better than every baseline."""
        return not self.undecided and not self.beaten_by

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        parts = []
        if self.beaten:
            parts.append(f"is better than {_listing(self.beaten)}")
        if self.beaten_by:
            parts.append(f"is worse than {_listing(self.beaten_by)}")
        if self.undecided:
            parts.append(f"cannot be told from {_listing(self.undecided)}")
        what = metric_label(self.metric)
        return f"In {what}, {self.learned} {_listing(tuple(parts)) or 'has no one to beat'}."


def judge(setting: Setting, learned: str, metric: str) -> Verdict:
    """Compares the learned optimizer with every baseline in one metric.

    **Arguments:** `setting`; `learned`, its name; `metric`, as `Evaluation.compare` takes it.
    """
    larger_is_better = metric in _LARGER_IS_BETTER
    sign = -1 if larger_is_better else 1
    groups: dict[str, list[str]] = {"beaten": [], "undecided": [], "beaten_by": []}
    for name in setting.evaluation.runs:
        if name == learned:
            continue
        difference = setting.evaluation.compare(
            learned, name, metric, larger_is_better=larger_is_better
        )
        low, high = sorted(sign * end for end in difference.interval)
        # Comparisons with what is not a number are false, which leaves the pair undecided.
        group = "beaten" if high < 0 else "beaten_by" if low > 0 else "undecided"
        groups[group].append(name)
    return Verdict(setting, learned, metric, *(tuple(names) for names in groups.values()))


def _listing(items: tuple[str, ...]) -> str:
    """Items with commas and a last "and"."""
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))
