"""Tuning a hand-designed optimizer as hard as a fair comparison asks for."""

import math
from collections.abc import Callable, Mapping
from functools import reduce

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, ScalarLike

from l2o.evaluation.divergence import diverged
from l2o.evaluation.draw import Draw, draw_tasks, tuning_key
from l2o.evaluation.finals import FEWER, Outcomes, final_rounds, hold_finals
from l2o.evaluation.statistics import Summary
from l2o.objectives import MeanLoss, Objective
from l2o.optimizers import HandDesigned, OptaxOptimizer
from l2o.support.canonical import canonical
from l2o.support.checks import check_choice, check_instance, check_size, in_a_line
from l2o.support.programs import forget_programs_if_many
from l2o.tasks import TaskFamily, check_family

Configurations = dict[str, Float[np.ndarray, " _"]]
"""Several configurations: the values of each hyperparameter, in the same order."""

# After the first round, each looks around the best configuration so far: this far, in standard
# deviations of a normal distribution, as a share of each range.
_SPREADS = (0.15, 0.1, 0.07, 0.045, 0.03, 0.02)
# On a family of small networks 16 left Adam at five times the objective that 64 found.
_FEW_CONFIGURATIONS = 64
# Running more configurations than this side by side is hardly faster on a CPU; an accelerator has
# room for all of a round.
_MOST_AT_ONCE = {"cpu": 32}
# Configurations at once times the numbers that each keeps in memory: 1 GiB in single precision.
_MOST_NUMBERS_AT_ONCE = 2**28
# A rough guess at the numbers kept per parameter (gradient, optimizer state, updates and copies)
# and per number of a minibatch (what the loss leaves for its gradient).
_NUMBERS_PER_INPUT = 8


class Tuned(eqx.Module):
    """The best configuration that `tune` found, and all that it tried."""

    hand_designed: HandDesigned
    hyperparameters: dict[str, float]
    """The best configuration."""
    outcomes: Float[np.ndarray, " runs"]
    """The objective, or the final metric, of the best configuration on each task that it was tried
    on, those of the search first, then those of the finals."""
    diverged_runs: int
    """How many of these runs diverged, as `Runs.diverged` has it."""
    configurations: dict[str, Float[np.ndarray, " configurations"]]
    """All configurations in the order they were tried, the defaults first."""
    scores: Float[np.ndarray, " configurations"]
    """The objective of each, averaged over the search's tasks; infinite where not finite."""
    num_tasks: int
    """The number of tasks of the search; the best configuration was tried on `num_runs`."""
    num_steps: int

    @property
    def name(self) -> str:
        """The name of the optimizer."""
        return self.hand_designed.name

    @property
    def score(self) -> float:
        """The mean of `outcomes`; infinite where any is not finite.

        The configuration was chosen by it, so that on other tasks it is likely to be worse.
        """
        mean = Summary.of(self.outcomes).mean
        return mean if math.isfinite(mean) else math.inf

    @property
    def sem(self) -> float:
        """The standard error of the score over tasks."""
        return Summary.of(self.outcomes).sem

    @property
    def num_runs(self) -> int:
        """On how many tasks the best configuration was tried."""
        return self.outcomes.size

    @property
    def edges(self) -> tuple[str, ...]:
        """The hyperparameters whose best value is on the edge of its range.

        The range may then be too narrow.
        """
        space, best = self.hand_designed.space, self.hyperparameters
        return tuple(name for name, searched in space.items() if searched.on_edge(best[name]))

    @property
    def is_rough(self) -> bool:
        """Whether so few configurations were tried that a search can miss by far."""
        return self.scores.size < _FEW_CONFIGURATIONS

    @property
    def num_diverged(self) -> int:
        """The number of configurations whose score in the search is infinite."""
        return int(np.sum(np.isinf(self.scores)))

    @property
    def optimizer(self) -> OptaxOptimizer:
        """The optimizer with the best hyperparameters; a schedule goes over `num_steps`."""
        return self.hand_designed.over(self.num_steps).with_hyperparameters(**self.hyperparameters)


def tune(
    hand_designed: HandDesigned,
    family: TaskFamily,
    *,
    key: PRNGKeyArray,
    num_steps: int,
    objective: Objective = MeanLoss(),  # noqa: B008 (immutable)
    final_metric: str | None = None,
    num_configurations: int = 256,
    num_tasks: int = 8,
    configurations_at_once: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Tuned:
    """Searches for the hyperparameters with which an optimizer does best on a family of tasks.

    The first quarter of the configurations is drawn at random from the whole search space, save
    that the defaults come first; the others in six rounds around the best so far, closer in each.
    The best eighth of every round meet in finals on three times as many fresh tasks; of more than
    six, the best eighth on all these tasks meet again on eight times as many, and so on; where the
    best one then diverges, those it left behind get their turn. Chosen is whichever has the fewest
    runs with an objective that is not finite and, of those, the least mean over all the tasks it
    has seen, which with the defaults are 224. Configurations are always compared on the same
    tasks, initialisations and minibatches. `evaluate` draws others, even from the same key.

    **Arguments:**

    - `hand_designed`: the optimizer with its search space, such as `l2o.optimizers.adam`.
    - `family`: where the tasks come from.
    - `key`: decides tasks and configurations.
    - `num_steps`: the length of a run, at least 1; of a schedule, too.
    - `objective`: what is to be small; its mean over tasks, and over the losses of a task that
      has several, is the score. For a fair comparison,
      what the learned optimizers were trained on.
    - `final_metric`: if given, what is to be small instead: this metric of the tasks' `evaluate`
      where a run ends, such as a validation loss.
    - `num_configurations`: how many to try, at least 1.
    - `num_tasks`: how many tasks to search on, at least 1.
    - `configurations_at_once`: how many to run side by side; by default as many as are fast and
      take about 1 GiB. It bears on time and memory alone, up to rounding.
    - `on_progress`: called with the number of trials made and their total, as far as it is known;
      a trial is one configuration on `num_tasks` tasks.

    **Returns:** the best configuration, and all that were tried. One whose score is not finite
    counts as worst.

    **Raises:** `ValueError` for a number below 1, arguments of another kind, and a metric that the
    tasks do not have.

    ```pycon
    >>> tuned = l2o.tune(
    ...     l2o.optimizers.sgd,
    ...     l2o.tasks.QuadraticFamily(dimension=2),
    ...     key=jax.random.key(0),
    ...     num_steps=5,
    ...     num_configurations=4,
    ...     num_tasks=2,
    ... )
    >>> sorted(tuned.hyperparameters), len(tuned.scores)
    (['learning_rate'], 4)
    ```
    """
    hint = "Take one such as l2o.optimizers.adam."
    check_instance("hand_designed", hand_designed, HandDesigned, hint)
    check_family(family)
    check_instance("objective", objective, Objective)
    check_size("num_steps", num_steps)
    check_size("num_tasks", num_tasks)
    check_size("num_configurations", num_configurations)
    forget_programs_if_many()
    # In a canonical form, dictionaries are in the order of the alphabet.
    given = hand_designed
    hand_designed, family = canonical(hand_designed.over(num_steps)), canonical(family)
    objective = canonical(objective)
    search_key, final_key, explore_key, refine_key = jax.random.split(tuning_key(key), 4)
    draw = draw_tasks(family, search_key, num_tasks)
    at_once = _fitting_at_once(draw) if configurations_at_once is None else configurations_at_once
    check_size("configurations_at_once", at_once)

    if final_metric is not None:
        known = jax.eval_shape(draw.tasks.evaluate, draw.params)
        if not known:
            raise ValueError(
                f"final_metric is for tasks that measure something held out; {family.title} have "
                f"nothing but their loss, got {in_a_line(final_metric)}."
            )
        check_choice("The final metric", final_metric, known)

    explored, *refined = sizes = _round_sizes(num_configurations)
    # Of every round, since the last round's lie close together and would all diverge at once.
    num_finalists = [math.ceil(size / FEWER) for size in sizes]
    # No more at once than in the first round, so that nothing is computed in vain.
    at_once = min(at_once, explored)
    finals = final_rounds(sum(num_finalists), num_tasks, at_once)
    total = num_configurations + sum(each.num_trials(num_tasks) for each in finals)
    done = 0

    def run(configurations: Configurations, draw: Draw, piece: int) -> Outcomes:
        nonlocal done
        size = len(next(iter(configurations.values())))
        pieces: list[Outcomes] = []
        for start in range(0, size, piece):
            # The last piece is filled up with repetitions, so that all have one shape and the
            # program is compiled once.
            some = _take(configurations, np.minimum(np.arange(start, start + piece), size - 1))
            computed = _outcomes(hand_designed, draw, objective, final_metric, num_steps, some)
            pieces.append(Outcomes(*(np.asarray(each)[: size - start] for each in computed)))
            done += pieces[-1].objective.size // num_tasks
            if on_progress is not None:
                on_progress(done, max(done, total))
        return reduce(Outcomes.and_of, pieces)

    configurations = _explore(hand_designed, explore_key, explored)
    outcomes = run(configurations, draw, at_once)
    scores = outcomes.scores
    for index, (size, spread) in enumerate(zip(refined, _SPREADS, strict=True)):
        if size == 0:
            continue
        best = _one(configurations, int(np.argmin(scores)))
        nearby = _refine(hand_designed, jax.random.fold_in(refine_key, index), size, best, spread)
        found = run(nearby, draw, at_once)
        outcomes = outcomes.and_of(found)
        scores = outcomes.scores
        configurations = {
            name: np.concatenate([values, nearby[name]]) for name, values in configurations.items()
        }

    finalists = np.concatenate(
        [
            start + np.argsort(scores[start : start + size], kind="stable")[:number]
            for start, size, number in zip(
                np.cumsum([0, *sizes[:-1]]), sizes, num_finalists, strict=True
            )
        ]
    )

    def run_finalists(chosen: Int[np.ndarray, " some"], number: int) -> Outcomes:
        each = finals[number]
        some = _take(configurations, finalists[chosen])
        keys = jax.random.split(jax.random.fold_in(final_key, number), each.num_draws)
        draws = (draw_tasks(family, draw_key, each.tasks_per_draw) for draw_key in keys)
        return reduce(Outcomes.and_on, (run(some, fresh, each.at_once) for fresh in draws))

    winner, met = hold_finals(outcomes.take(finalists), finals, run_finalists)
    configurations = {name: configurations[name] for name in given.space}
    return Tuned(
        hand_designed=given,
        hyperparameters=_one(configurations, int(finalists[winner])),
        outcomes=met.objective[0],
        diverged_runs=int(np.sum(met.diverged)),
        configurations=configurations,
        scores=scores,
        num_tasks=num_tasks,
        num_steps=num_steps,
    )


@eqx.filter_jit
def _outcomes(
    hand_designed: HandDesigned,
    draw: Draw,
    objective: Objective,
    final_metric: str | None,
    num_steps: int,
    configurations: Mapping[str, Float[ArrayLike, " configurations"]],
) -> tuple[Float[Array, "configurations tasks"], Bool[Array, "configurations tasks"]]:
    """Each configuration's objective on each task, or its metric at the end; and divergence."""

    def outcomes(values: Mapping[str, ScalarLike]) -> tuple[Array, Array]:
        losses, params = draw.run(hand_designed.with_hyperparameters(**values), num_steps)
        if final_metric is not None:
            values_of_runs = draw.tasks.evaluate(params)[final_metric]
        else:
            values_of_runs = objective(losses, losses[0])
        by_task = values_of_runs.reshape(losses.shape[1], -1).mean(axis=1)
        lasting = jnp.moveaxis(losses.reshape(*losses.shape[:2], -1), 0, -1)
        return by_task, jnp.any(diverged(lasting), axis=1)

    # Mapped over configurations alone, minibatches are drawn once for all of them, and products
    # with them are large ones.
    return jax.vmap(outcomes)(configurations)


def _explore(hand_designed: HandDesigned, key: PRNGKeyArray, size: int) -> Configurations:
    """The defaults, and configurations drawn from the whole search space."""
    configurations = {}
    keys = jax.random.split(key, len(hand_designed.space))
    for key, (name, searched) in zip(keys, hand_designed.space.items(), strict=True):
        values = np.array(searched.sample(key, (size,)))
        values[0] = hand_designed.defaults[name]
        configurations[name] = values
    return configurations


def _refine(
    hand_designed: HandDesigned,
    key: PRNGKeyArray,
    size: int,
    best: dict[str, float],
    spread: float,
) -> Configurations:
    """Configurations drawn around the best one, within the search space."""
    nearby = {}
    keys = jax.random.split(key, len(hand_designed.space))
    for key, (name, searched) in zip(keys, hand_designed.space.items(), strict=True):
        offsets = spread * jax.random.normal(key, (size,), jnp.float32)
        positions = jnp.clip(searched.position(best[name]) + offsets, 0, 1)
        nearby[name] = np.asarray(searched.at(positions))
    return nearby


def _take(configurations: Configurations, indices: Int[np.ndarray, " some"]) -> Configurations:
    """The configurations at some indices."""
    return {name: values[indices] for name, values in configurations.items()}


def _one(configurations: Configurations, index: int) -> dict[str, float]:
    """A single configuration."""
    return {name: float(values[index]) for name, values in configurations.items()}


def _round_sizes(num_configurations: int) -> list[int]:
    """A quarter of the configurations, rounded up, and the others in nearly equal rounds."""
    explored = math.ceil(num_configurations / 4)
    rounds = np.array_split(np.arange(num_configurations - explored), len(_SPREADS))
    return [explored, *(len(indices) for indices in rounds)]


def _fitting_at_once(draw: Draw) -> int:
    """How many configurations to run side by side."""
    batch = jax.eval_shape(draw.tasks.sample, draw.key)
    inputs = sum(leaf.size for leaf in jax.tree.leaves((draw.params, batch)))
    fitting = _MOST_NUMBERS_AT_ONCE // (_NUMBERS_PER_INPUT * inputs)
    return max(1, min(_MOST_AT_ONCE.get(jax.default_backend(), fitting), fitting))
