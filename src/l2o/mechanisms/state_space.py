"""The states that an optimizer visits at work, and the few directions that they lie along."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, PRNGKeyArray

from l2o.evaluation.draw import draw_tasks
from l2o.inner_loop import InnerState, Step, unroll
from l2o.mechanisms.dynamics import Dynamics
from l2o.mechanisms.precision import in_double_precision
from l2o.optimizers import LearnedOptimizer, check_optimizer, flatten, per_task
from l2o.support.checks import check_size
from l2o.support.keys import check_key
from l2o.tasks import TaskFamily, check_family

# Updates replayed in double precision may differ by this much from those made, relative to their
# root mean square, before parameters are said not to be treated alone.
_DISAGREEMENT = 1e-2


class GradientRecord(eqx.Module):
    """Gradients that parameters met on tasks, and the updates that the optimizer made."""

    gradients: Float[np.ndarray, "steps coordinates"]
    updates: Float[np.ndarray, "steps coordinates"]
    tasks: Int[np.ndarray, " coordinates"]
    """Which task each parameter belongs to."""

    def draw(self, axes: Any) -> None:
        """Draws the density of the sizes of the gradients.

        **Arguments:** `axes`, of matplotlib.
        """
        sizes = np.abs(self.gradients[np.isfinite(self.gradients) & (self.gradients != 0)])
        if sizes.size:
            axes.hist(np.log10(sizes), bins=60, density=True)
        axes.set_xlabel("log10 of the size of the gradient")
        axes.set_ylabel("density")


class PrincipalComponents(eqx.Module):
    """The directions along which states vary most, the largest variance first."""

    mean: Float[np.ndarray, " state"]
    directions: Float[np.ndarray, "components state"]
    """Of length 1 and orthogonal."""
    variance_explained: Float[np.ndarray, " components"]
    """Each direction's share of the variance."""

    def project(
        self, states: Float[ArrayLike, "... state"], num_components: int = 2
    ) -> Float[np.ndarray, "... components"]:
        """The coordinates of states along the first directions."""
        return (np.asarray(states, np.float64) - self.mean) @ self.directions[:num_components].T

    def draw(self, axes: Any) -> None:
        """Draws how much of the variance the first components explain together.

        **Arguments:** `axes`, of matplotlib.
        """
        total = np.cumsum(self.variance_explained)[:20]
        axes.plot(np.arange(1, total.size + 1), total, "o-")
        axes.set_xlabel("number of principal components")
        axes.set_ylabel("share of the variance")


def record_gradients(
    optimizer: LearnedOptimizer,
    family: TaskFamily,
    *,
    key: PRNGKeyArray,
    num_tasks: int,
    num_steps: int,
    max_coordinates: int = 1024,
) -> GradientRecord:
    """Runs an optimizer on fresh tasks and notes down gradients and updates.

    **Arguments:** `optimizer`; `family`, where the tasks come from; `key`, decides tasks,
    initialisations, minibatches and which parameters are looked at; `num_tasks` and `num_steps`, at
    least 1; `max_coordinates`, how many parameters of all tasks to look at, at most.

    **Returns:** the gradients and updates of a random choice of parameters.

    **Raises:** `ValueError` for a number below 1.

    ```pycon
    >>> record = l2o.mechanisms.record_gradients(
    ...     l2o.from_optax(optax.sgd(0.5)),
    ...     l2o.tasks.QuadraticFamily(dimension=2),
    ...     key=jax.random.key(0),
    ...     num_tasks=2,
    ...     num_steps=5,
    ... )
    >>> bool(np.allclose(record.updates, -0.5 * record.gradients))
    True
    ```
    """
    check_optimizer(optimizer)
    check_family(family)
    check_key(key)
    check_size("num_tasks", num_tasks)
    check_size("num_steps", num_steps)
    check_size("max_coordinates", max_coordinates)
    draw_key, pick_key = jax.random.split(key)
    draw = draw_tasks(family, draw_key, num_tasks)
    labels = jax.tree.map(
        lambda leaf: jnp.broadcast_to(
            jnp.arange(num_tasks).reshape(-1, *[1] * (leaf.ndim - 1)), leaf.shape
        ),
        draw.params,
    )
    tasks = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(labels)])
    picked = jax.random.permutation(pick_key, tasks.size)[:max_coordinates]

    @eqx.filter_jit
    def run(optimizer: LearnedOptimizer, draw: Any, picked: Array) -> Any:
        def probe(step: Step) -> tuple[Array, Array]:
            return flatten(step.grads)[picked], flatten(step.updates)[picked]

        batched = per_task(optimizer)
        start = InnerState(draw.params, batched.init(draw.params))
        return unroll(batched, draw.tasks, draw.key, num_steps, state=start, probe=probe).probes

    gradients, updates = run(optimizer, draw, picked)
    return GradientRecord(
        np.asarray(gradients, np.float64),
        np.asarray(updates, np.float64),
        tasks[np.asarray(picked)],
    )


@in_double_precision
def visited_states(
    dynamics: Dynamics, record: GradientRecord
) -> Float[np.ndarray, "steps coordinates state"]:
    """The states that the recorded parameters went through, before each step.

    They are found by feeding the recorded gradients to the dynamics of a single parameter.

    **Arguments:** `dynamics`, of the optimizer that the record is of; `record`.

    **Raises:** `ValueError` if the updates are not those that were made: then the optimizer looks
    at more than each parameter's own gradients.

    ```pycon
    >>> optimizer = l2o.from_optax(optax.sgd(0.5, momentum=0.5))
    >>> record = l2o.mechanisms.record_gradients(
    ...     optimizer,
    ...     l2o.tasks.QuadraticFamily(dimension=2),
    ...     key=jax.random.key(0),
    ...     num_tasks=2,
    ...     num_steps=5,
    ... )
    >>> dynamics = l2o.mechanisms.coordinate_dynamics(optimizer)
    >>> l2o.mechanisms.visited_states(dynamics, record).shape  # steps, parameters, state
    (5, 4, 1)
    ```
    """
    updates, states = map(np.asarray, _replay(dynamics, jnp.asarray(record.gradients)))
    finite = np.all(np.isfinite(record.updates), axis=0)
    made, again = record.updates[:, finite], updates[:, finite]
    # Where all runs diverged, there is nothing to compare.
    agree = not made.size or (
        np.sqrt(np.mean((again - made) ** 2)) <= _DISAGREEMENT * np.sqrt(np.mean(made**2))
    )
    if not agree:
        raise ValueError(
            "The optimizer's updates do not follow from each parameter's own gradients, so it has "
            "no dynamics of a single parameter; use dynamics_among_others to look at one of them."
        )
    return states


@eqx.filter_jit
def _replay(dynamics: Dynamics, gradients: Array) -> tuple[Array, Array]:
    return jax.vmap(dynamics.run, in_axes=1, out_axes=1)(gradients)


def principal_components(states: Float[ArrayLike, "... state"]) -> PrincipalComponents:
    """Principal component analysis of states.

    **Arguments:** `states`, with the state on the last axis; those that are not finite are left
    out.

    **Returns:** all components, as many as the state has entries.

    ```pycon
    >>> found = l2o.mechanisms.principal_components(np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]))
    >>> found.variance_explained.round(3)
    array([1., 0.])
    ```
    """
    flat = np.asarray(states, np.float64)
    flat = flat.reshape(-1, flat.shape[-1])
    flat = flat[np.all(np.isfinite(flat), axis=1)]
    mean = np.mean(flat, axis=0)
    variances, directions = np.linalg.eigh((flat - mean).T @ (flat - mean) / len(flat))
    variances = np.maximum(variances[::-1], 0.0)
    total = np.sum(variances)
    explained = variances / total if total > 0 else np.zeros_like(variances)
    return PrincipalComponents(mean, directions[:, ::-1].T, explained)
