"""Methods on test problems, where it is known which points are Pareto-critical."""

from collections.abc import Callable, Sequence
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.inner_loop import Step, unroll
from l2o.multiobjective import (
    ML2O,
    aggregate,
    guard,
    hypervolume,
    igd,
    mean,
    non_dominated,
    relative_criticality,
)
from l2o.multiobjective.problems import Problem, ProblemTask
from l2o.optimizers import HandDesigned, LearnedOptimizer, LogUniform, as_optax, from_optax
from l2o.report.plain import plain
from l2o.studies.multi_objective.methods import behind, problems
from l2o.studies.multi_objective.profiles import ProblemStudy
from l2o.studies.multi_objective.rows import Coverage, JudgedOnProblem
from l2o.studies.parts import optimizer_of
from l2o.studies.work import Report

Method = Callable[[Float[Array, ""]], LearnedOptimizer]
"""An optimizer whose updates are multiplied by a factor."""

FLOOR = 1e-6
"""Relative criticality below this is rounding."""
REACHED = (1e-1, 1e-2, 1e-3)
"""Levels of relative criticality of which it is told when they are reached."""

FALLBACK = "steepest descent, Armijo"
"""What a guard falls back to."""


class Runs(eqx.Module):
    """Runs from several starts, for several factors."""

    losses: Float[Array, "factors starts steps m"]
    gradients: Float[Array, "factors starts steps m n"]
    params: Float[Array, "factors starts steps n"]


def methods(aggregators: Sequence[str], learned: ML2O, num_objectives: int) -> dict[str, Method]:
    """All methods: aggregators with gradient descent, the guard's fallback, ML2O and GML2O."""

    def descent(name: str) -> Method:
        plain_descent = HandDesigned(
            "sgd", optax.sgd, {"learning_rate": LogUniform(1e-6, 1e2)}, {"learning_rate": 1.0}
        )
        method = behind(name, plain_descent, num_objectives)
        return lambda factor: method.with_hyperparameters(learning_rate=factor)

    own = learned.for_objectives(num_objectives)

    def ml2o(factor: Float[Array, ""]) -> LearnedOptimizer:
        return from_optax(optax.chain(as_optax(own), optax.scale(factor)))

    def gml2o(factor: Float[Array, ""]) -> LearnedOptimizer:
        return guard(ml2o(factor))

    def fallback(factor: Float[Array, ""]) -> LearnedOptimizer:
        # A step of nothing never decreases anything enough. The factor has no effect.
        del factor
        return guard(optax.chain(aggregate(mean), optax.set_to_zero()))

    found = {name: descent(name) for name in aggregators}
    return found | {FALLBACK: fallback, "ML2O": ml2o, "GML2O": gml2o}


def names_of_methods(study: ProblemStudy) -> tuple[str, ...]:
    """What they are called."""
    return (*study.aggregators, FALLBACK, "ML2O", "GML2O")


def judge_on_problem(
    _: Report, study: ProblemStudy, name: str, method: str, folder: Path
) -> JudgedOnProblem:
    """Judges a method, by name, on a test problem; `folder` has the learned optimizer."""
    learned, problem = optimizer_of(folder), problems()[name]
    assert isinstance(learned, ML2O)
    num_objectives = jax.eval_shape(
        lambda key: problem.losses(problem.sample_start(key)), jax.random.key(0)
    ).shape[0]
    return judge(study, problem, methods(study.aggregators, learned, num_objectives)[method])


def judge(study: ProblemStudy, problem: Problem, method: Method) -> JudgedOnProblem:
    """Runs a method with all factors from all starts, chooses the factor on the first of them.

    **Returns:** the factor, and for each of the other starts the last relative criticality, the
    steps until it was below each level of `REACHED` (`None` if it never was), the distance to the
    critical set, the number of steps on which some loss rose, and the last losses; for all of them
    together the hypervolume as a share of the front's, and the inverted generational distance.
    """
    low, high, count = study.log10_steps
    factors = jnp.logspace(low, high, count)
    num_starts = study.tuning_starts + study.num_starts
    runs = run(problem, method, factors, num_starts=num_starts, num_steps=study.num_steps)
    criticality = np.nan_to_num(np.asarray(_criticality(runs.gradients), float), nan=1.0)
    finite = np.asarray(np.isfinite(np.asarray(runs.losses)).all(axis=(2, 3)))
    criticality = np.where(finite[..., None], criticality, 1.0)
    logarithms = np.asarray(np.log10(np.maximum(criticality, FLOOR)))
    tuning = study.tuning_starts
    scores = np.where(finite[:, :tuning].all(1), logarithms[:, :tuning].mean((1, 2)), np.inf)
    best = int(np.argmin(scores))
    criticality, logarithms = criticality[best, tuning:], logarithms[best, tuning:]
    losses = np.asarray(runs.losses[best, tuning:], float)
    rounding = 1e-6 * np.maximum(1.0, np.abs(losses[:, :-1]))
    with np.errstate(invalid="ignore"):
        rises = np.any(~(np.diff(losses, axis=1) <= rounding), axis=2).sum(axis=1)
    steps = {
        f"{level:g}": [
            int(np.argmax(below)) if below.any() else None for below in criticality <= level
        ]
        for level in REACHED
    }
    return plain(
        {
            "factor": float(factors[best]),
            "on_edge": best in (0, count - 1),
            "criticality": criticality[:, -1],
            "mean_log10_criticality": logarithms.mean(axis=0),
            "steps_to": steps,
            "distance": np.asarray(_distances(problem, runs.params[best, tuning:, -1]), float),
            "rises": rises,
            "losses": losses[:, -1],
            "coverage": _coverage(problem, losses[:, -1]),
        }
    )


def _coverage(problem: Problem, losses: Float[np.ndarray, "starts m"]) -> Coverage:
    """How well the last points of all starts cover the front."""
    front = problem.front(500)
    low, high = jnp.min(front, axis=0), jnp.max(front, axis=0)
    size = jnp.maximum(high - low, 1e-12)
    # In units of the front, so that all losses count alike.
    found = (jnp.asarray(losses, front.dtype) - low) / size
    found = found[jnp.all(jnp.isfinite(found), axis=1)]
    if len(found) == 0:
        return {"hypervolume_share": 0.0, "igd": float("nan")}
    found = found[non_dominated(found)]
    scaled = (front - low) / size
    reference = jnp.full(front.shape[1], 1.1)
    return {
        "hypervolume_share": float(hypervolume(found, reference) / hypervolume(scaled, reference)),
        "igd": float(igd(found, scaled)),
    }


@eqx.filter_jit
def run(
    problem: Problem,
    method: Method,
    factors: Float[Array, " factors"],
    *,
    num_starts: int,
    num_steps: int,
) -> Runs:
    """Runs a method with every factor from every start."""
    task = ProblemTask(problem)
    keys = jax.random.split(jax.random.key(0), num_starts)

    def look(step: Step) -> tuple[Float[Array, "m n"], Float[Array, " n"]]:
        return step.grads, step.params

    def from_one(factor: Float[Array, ""], key: PRNGKeyArray) -> Runs:
        trajectory = unroll(method(factor), task, key, num_steps, probe=look)
        # What is known at the end joins what was seen before every step.
        gradients, params = jax.tree.map(
            lambda before, last: jnp.concatenate([before, last[None]]),
            trajectory.probes,
            (trajectory.final_grads, trajectory.state.params),
        )
        return Runs(trajectory.losses, gradients, params)

    over_starts = jax.vmap(from_one, in_axes=(None, 0))
    return jax.vmap(over_starts, in_axes=(0, None))(factors, keys)


# Apart from the runs, so that it is compiled once for all methods.
@jax.jit
def _criticality(
    gradients: Float[Array, "factors starts steps m n"],
) -> Float[Array, "factors starts steps"]:
    def of_run(gradients: Float[Array, "steps m n"]) -> Float[Array, " steps"]:
        # Where all gradients have faded to nothing, nothing has been reached.
        fades = jnp.all(gradients == 0.0, axis=(1, 2))
        return jnp.where(fades, 1.0, jax.vmap(relative_criticality)(gradients))

    flat = gradients.reshape(-1, *gradients.shape[2:])
    return jax.lax.map(of_run, flat).reshape(gradients.shape[:3])


@eqx.filter_jit
def _distances(problem: Problem, params: Float[Array, "starts n"]) -> Float[Array, " starts"]:
    return jax.lax.map(problem.distance_to_critical_set, params)
