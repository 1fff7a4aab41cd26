"""Optimizers side by side on tasks that none of them was chosen on."""

import json
from collections.abc import Collection, Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from l2o.evaluation.divergence import diverged
from l2o.evaluation.draw import Draw, draw_tasks, evaluation_key
from l2o.evaluation.statistics import (
    PairedDifference,
    Summary,
    finite_or_none,
    paired_difference,
)
from l2o.objectives import MeanLoss, Objective
from l2o.optimizers import LearnedOptimizer, check_optimizer
from l2o.support.canonical import canonical
from l2o.support.checks import check_choice, check_instance, check_size
from l2o.support.programs import forget_programs_if_many
from l2o.tasks import TaskFamily, check_family


class Runs(eqx.Module):
    """One optimizer's runs, one a task. Runs that diverge are kept as they are.

    ```pycon
    >>> losses = np.array([[4.0, 1.0], [2.0, np.inf]])
    >>> runs = l2o.evaluation.Runs(losses, objective=losses.mean(1), held_out={})
    >>> runs.diverged
    array([False,  True])
    ```
    """

    losses: Float[np.ndarray, "tasks losses *objectives"]
    """The loss before every step and, last, at the final parameters: minibatch losses, noisy
    where minibatches are; all losses of a task that has several."""
    objective: Float[np.ndarray, " tasks"]
    held_out: dict[str, Float[np.ndarray, " tasks"]]
    """What the tasks' `evaluate` says of the final parameters."""

    @property
    def curves(self) -> Float[np.ndarray, "tasks losses"]:
        """The losses, averaged over those of a task that has several."""
        return self.losses.reshape(*self.losses.shape[:2], -1).mean(axis=2)

    @property
    def metrics(self) -> dict[str, Float[np.ndarray, " tasks"]]:
        """What optimizers are compared on.

        `mean_train_loss` is over the whole run, `final_train_loss` on a single minibatch, both
        averaged over the losses of a task that has several, which follow one by one; then the
        held-out metrics, save those whose names are taken.
        """
        with np.errstate(invalid="ignore", over="ignore"):
            mean = np.asarray(self.losses.mean(axis=1, dtype=np.float64))
        final = self.losses[:, -1]
        own = {
            "mean_train_loss": _over_objectives(mean),
            "final_train_loss": _over_objectives(final),
        }
        if mean.ndim > 1:
            for index in range(mean.shape[1]):
                own[f"mean_train_loss_{index + 1}"] = mean[:, index]
                own[f"final_train_loss_{index + 1}"] = final[:, index]
        taken = {"objective", *own}
        return own | {name: each for name, each in self.held_out.items() if name not in taken}

    @property
    def diverged(self) -> Bool[np.ndarray, " tasks"]:
        """Whether any loss is not finite, or any one's last is above ten times its first.

        For first losses below zero: whether the loss rises by more than nine times their size.
        """
        losses = self.losses.reshape(*self.losses.shape[:2], -1)
        return np.asarray(np.any(diverged(np.moveaxis(losses, 1, -1)), axis=1))


class Evaluation(eqx.Module):
    """Several optimizers' runs on the same tasks, initialisations and minibatches.

    ```pycon
    >>> losses = np.array([[4.0, 1.0], [2.0, 1.0]])
    >>> runs = l2o.evaluation.Runs(losses, objective=losses.mean(1), held_out={})
    >>> evaluation = l2o.evaluation.Evaluation({"mine": runs}, num_tasks=2, num_steps=1)
    >>> evaluation.summary("mine", "objective").mean
    2.0
    ```
    """

    runs: dict[str, Runs]
    """Each optimizer's runs; tasks are in the same order for all."""
    num_tasks: int
    num_steps: int

    def summary(self, name: str, metric: str) -> Summary:
        """One metric of one optimizer over all tasks.

        **Arguments:** `name`, of the optimizer; `metric`, "objective" or one of `Runs.metrics`.

        **Raises:** `ValueError` for a name that the evaluation does not have.
        """
        return Summary.of(self._values(name, metric))

    def compare(
        self, first: str, second: str, metric: str, *, larger_is_better: bool = False
    ) -> PairedDifference:
        """The difference in one metric between two optimizers, task by task.

        **Arguments:** `first` and `second`, names of optimizers; `metric`, as for `summary`;
        `larger_is_better`, for metrics such as accuracies.

        **Raises:** `ValueError` for a name that the evaluation does not have.
        """
        return paired_difference(
            self._values(first, metric),
            self._values(second, metric),
            larger_is_better=larger_is_better,
        )

    def _values(self, name: str, metric: str) -> Float[np.ndarray, " tasks"]:
        check_choice("The name of an optimizer", name, self.runs)
        values = self.runs[name].metrics | {"objective": self.runs[name].objective}
        check_choice("A metric", metric, values)
        return values[metric]

    def as_dict(
        self,
        *,
        learned: Collection[str] = (),
        hyperparameters: Mapping[str, Mapping[str, float]] | None = None,
        larger_is_better: Collection[str] = ("test_accuracy", "validation_accuracy"),
    ) -> dict[str, Any]:
        """The whole comparison in numbers, for JSON.

        **Arguments:**

        - `learned`: the names of the learned optimizers. Each is paired with each of the others.
        - `hyperparameters`: those of each optimizer that has some.
        - `larger_is_better`: the metrics that are to be large.

        **Returns:** `results`, one entry an optimizer: `name`, `hyperparameters`, every metric as
        `{"mean", "sem"}`, and `diverged`, the number of its runs that did; and `paired`, one
        entry for every learned optimizer, baseline and metric, with the fields of
        `PairedDifference` and its verdict. Numbers that are not finite are `None`, since JSON has
        none.

        **Raises:** `ValueError` for a name that the evaluation does not have.
        """
        given = {} if hyperparameters is None else hyperparameters
        for name in (*learned, *given):
            check_choice("The name of an optimizer", name, self.runs)
        results = []
        for name, runs in self.runs.items():
            summaries = {metric: Summary.of(values) for metric, values in runs.metrics.items()}
            results.append(
                {
                    "name": name,
                    "hyperparameters": {
                        k: finite_or_none(v) for k, v in given.get(name, {}).items()
                    },
                    **{
                        metric: {
                            "mean": finite_or_none(summary.mean),
                            "sem": finite_or_none(summary.sem),
                        }
                        for metric, summary in summaries.items()
                    },
                    "diverged": int(np.sum(runs.diverged)),
                }
            )
        baselines = [name for name in self.runs if name not in learned]
        paired = [
            self._paired(name, baseline, metric, metric in larger_is_better)
            for name in learned
            for baseline in baselines
            for metric in self.runs[name].metrics
        ]
        return {"results": results, "paired": paired}

    def _paired(
        self, learned: str, baseline: str, metric: str, larger_is_better: bool
    ) -> dict[str, Any]:
        difference = self.compare(learned, baseline, metric, larger_is_better=larger_is_better)
        return {
            "learned": learned,
            "baseline": baseline,
            "metric": metric,
            "mean": finite_or_none(difference.mean),
            "sem": finite_or_none(difference.sem),
            "interval": [finite_or_none(end) for end in difference.interval],
            "wins": difference.wins,
            "ties": difference.ties,
            "num_tasks": difference.num_tasks,
            "p_value": difference.p_value,
            "finished": difference.finished.as_dict(),
            "verdict": difference.verdict,
        }

    def to_json(
        self,
        *,
        learned: Collection[str] = (),
        hyperparameters: Mapping[str, Mapping[str, float]] | None = None,
        larger_is_better: Collection[str] = ("test_accuracy", "validation_accuracy"),
    ) -> str:
        """`as_dict`, with the same arguments, as strictly valid JSON."""
        content = self.as_dict(
            learned=learned, hyperparameters=hyperparameters, larger_is_better=larger_is_better
        )
        return json.dumps(content, indent=2, allow_nan=False)


def evaluate(
    optimizers: Mapping[str, LearnedOptimizer],
    family: TaskFamily,
    *,
    key: PRNGKeyArray,
    num_tasks: int,
    num_steps: int,
    objective: Objective = MeanLoss(),  # noqa: B008 (immutable)
) -> Evaluation:
    """Runs every optimizer on the same fresh tasks.

    **Arguments:**

    - `optimizers`: learned and hand-designed ones (`Tuned.optimizer`, `l2o.from_optax`) by name.
    - `family`: where the tasks come from.
    - `key`: decides tasks, initialisations and minibatches, the same for all optimizers and other
      than those of `tune` with the same key.
    - `num_tasks`: how many tasks to run on, at least 1.
    - `num_steps`: the length of each run, at least 1.
    - `objective`: reported for every run as `Runs.objective`.

    **Returns:** the losses and held-out metrics of every run. None is left out: what is not
    finite stays so, and `Runs.diverged` tells.

    **Raises:** `ValueError` for a number below 1, arguments of another kind, or no optimizers.

    ```pycon
    >>> optimizers = {f"sgd {rate}": l2o.from_optax(optax.sgd(rate)) for rate in (0.01, 0.5)}
    >>> evaluation = l2o.evaluate(
    ...     optimizers,
    ...     l2o.tasks.LeastSquaresFamily(dimension=2),
    ...     key=jax.random.key(0),
    ...     num_tasks=8,
    ...     num_steps=5,
    ... )
    >>> evaluation.runs["sgd 0.5"].losses.shape
    (8, 6)
    >>> evaluation.compare("sgd 0.5", "sgd 0.01", "objective").verdict
    'better'
    ```
    """
    check_instance("optimizers", optimizers, Mapping, "Each has a name: {'name': optimizer}.")
    if not optimizers:
        raise ValueError("There must be at least one optimizer to evaluate, got none.")
    for name, optimizer in optimizers.items():
        check_optimizer(optimizer, f"The optimizer {name!r}")
    check_family(family)
    check_size("num_tasks", num_tasks)
    check_size("num_steps", num_steps)
    check_instance("objective", objective, Objective)
    forget_programs_if_many()
    draw = draw_tasks(canonical(family), evaluation_key(key), num_tasks)
    objective = canonical(objective)
    runs = {
        name: _run(canonical(optimizer), draw, objective, num_steps)
        for name, optimizer in optimizers.items()
    }
    return Evaluation(runs, num_tasks, num_steps)


def _run(optimizer: LearnedOptimizer, draw: Draw, objective: Objective, num_steps: int) -> Runs:
    """One optimizer's runs, brought to the host."""
    losses, params = _train(optimizer, draw, num_steps)
    values, held_out = _judge(draw, objective, losses, params)
    return Runs(
        np.moveaxis(np.asarray(losses), 0, 1),
        _over_objectives(np.asarray(values)),
        jax.tree.map(np.asarray, held_out),
    )


@eqx.filter_jit
def _train(
    optimizer: LearnedOptimizer, draw: Draw, num_steps: int
) -> tuple[Float[Array, "losses tasks *objectives"], Any]:
    return draw.run(optimizer, num_steps)


# Apart from training, so that it is compiled once for all optimizers.
@eqx.filter_jit
def _judge(
    draw: Draw, objective: Objective, losses: Float[Array, "losses tasks *objectives"], params: Any
) -> tuple[Float[Array, " tasks *objectives"], dict[str, Float[Array, " tasks"]]]:
    return objective(losses, losses[0]), draw.tasks.evaluate(params)


def _over_objectives(
    values: Float[np.ndarray, " tasks *objectives"],
) -> Float[np.ndarray, " tasks"]:
    """The mean over the losses of a task that has several."""
    with np.errstate(invalid="ignore", over="ignore"):
        return values.reshape(len(values), -1).mean(axis=1) if values.ndim > 1 else values
