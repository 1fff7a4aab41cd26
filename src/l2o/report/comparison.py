"""A learned optimizer against tuned baselines: all that a report tells."""

from dataclasses import dataclass
from typing import Any

from l2o.evaluation import Evaluation, Summary, Tuned, finite_or_none


@dataclass(frozen=True)
class Setting:
    """What the optimizers were run on.

    ```pycon
    >>> losses = np.array([[4.0, 1.0], [2.0, 1.0]])
    >>> runs = l2o.evaluation.Runs(losses, objective=losses.mean(1), held_out={})
    >>> from l2o.report import Setting
    >>> setting = Setting("two tasks, 1 step", l2o.evaluation.Evaluation({"mine": runs}, 2, 1))
    >>> setting.title
    'two tasks, 1 step'
    ```
    """

    title: str
    """The tasks, in a few words."""
    evaluation: Evaluation


@dataclass(frozen=True)
class Comparison:
    """A learned optimizer and tuned baselines on the same fresh tasks.

    ```pycon
    >>> from l2o.report import Comparison, Setting
    >>> losses = np.array([[4.0, 1.0], [2.0, 1.0]])
    >>> runs = l2o.evaluation.Runs(losses, objective=losses.mean(1), held_out={})
    >>> setting = Setting("two tasks, 1 step", l2o.evaluation.Evaluation({"mine": runs}, 2, 1))
    >>> comparison = Comparison("mine", "mean loss", (), setting, others=(), seed=0)
    >>> comparison.as_dict()["setting"]
    'two tasks, 1 step'
    ```
    """

    learned: str
    """The name of the learned optimizer in the evaluations."""
    objective: str
    """What it was meta-trained, and the baselines tuned, to make small, in a few words."""
    tuned: tuple[Tuned, ...]
    """The baselines with the hyperparameters they ran with."""
    main: Setting
    """Where the optimizer was meta-trained and the baselines were tuned: the fair comparison."""
    others: tuple[Setting, ...]
    """Longer horizons and other tasks, for which nothing was trained or tuned again."""
    seed: int
    """Of all tasks, initialisations and minibatches."""
    reused: tuple[str, ...] = ()
    """The baselines whose hyperparameters an earlier comparison had found under the same
    conditions."""

    def as_dict(self) -> dict[str, Any]:
        """All numbers of the comparison, for JSON.

        **Returns:** `results` and `paired` of the main setting, as `Evaluation.as_dict` has them,
        and in `results` the `objective` unless it is the mean training loss; `tuning`, with the
        scores of baselines there and `in_comparison`; `setting`, `num_tasks`, `num_steps`,
        `objective` and `seed`; and `others`, a list with the same entries for every other setting.
        """
        return {
            **self._numbers(self.main),
            "objective": self.objective,
            "seed": self.seed,
            "tuning": [
                {**tuned_as_dict(tuned), "in_comparison": self.in_comparison(tuned).as_dict()}
                for tuned in self.tuned
            ],
            "others": [self._numbers(other) for other in self.others],
        }

    def _numbers(self, setting: Setting) -> dict[str, Any]:
        """The numbers of one setting."""
        evaluation = setting.evaluation
        hyperparameters = {tuned.name: tuned.hyperparameters for tuned in self.tuned}
        numbers = evaluation.as_dict(learned=[self.learned], hyperparameters=hyperparameters)
        if self.objective != "mean loss":
            numbers["results"] = [
                {"objective": evaluation.summary(result["name"], "objective").as_dict(), **result}
                for result in numbers["results"]
            ]
        return {
            **numbers,
            "setting": setting.title,
            "num_tasks": evaluation.num_tasks,
            "num_steps": evaluation.num_steps,
        }

    def in_comparison(self, tuned: Tuned) -> Summary:
        """The objective of a tuned baseline in the comparison, beside its score in tuning.

        In tuning it was chosen for that score, which is too good by as much as luck had its part.
        """
        return self.main.evaluation.summary(tuned.name, "objective")


def tuned_as_dict(tuned: Tuned) -> dict[str, Any]:
    """What tuning found, for JSON; a score that is not finite is `None`."""
    return {
        "name": tuned.name,
        "hyperparameters": tuned.hyperparameters,
        "score": finite_or_none(tuned.score),
        "sem": finite_or_none(tuned.sem),
        "num_runs": tuned.num_runs,
        "diverged_runs": tuned.diverged_runs,
        "edges": list(tuned.edges),
        "num_configurations": len(tuned.scores),
        "num_diverged": tuned.num_diverged,
        "num_tasks": tuned.num_tasks,
        "num_steps": tuned.num_steps,
    }
