"""Meta-gradients without derivatives: persistent evolution strategies."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from l2o.metatraining.devices import AXES, on_devices, own_key
from l2o.metatraining.meta_gradient import (
    InnerProblems,
    MetaGradient,
    MetaGradientEstimator,
    MetaLoss,
)
from l2o.metatraining.window import Carried, Window, fresh_start, run_window
from l2o.optimizers import LearnedOptimizer, per_task
from l2o.support.checks import check_number
from l2o.tasks import TaskBatch


class Twins(eqx.Module):
    """An inner problem that is optimized twice, with opposite perturbations."""

    task_key: PRNGKeyArray
    """The randomness that it was drawn with."""
    window: Int[Array, ""]
    """How many windows of it are done."""
    fresh: Bool[Array, ""]
    """Whether it is to be drawn anew."""
    carried: Carried
    """Leaves have a leading axis for the two."""
    noise: LearnedOptimizer
    """The sum of the perturbations of its windows."""


class PES(MetaGradientEstimator):
    """Persistent evolution strategies: the meta-gradient over the whole horizon, window by window.

    Vicol, Metz, Sohl-Dickstein 2021, *Unbiased gradient estimation in unrolled computation graphs
    with persistent evolution strategies*: in every window each inner problem is optimized twice,
    with the meta-parameters moved by `e ~ N(0, sigma^2)` and by `-e`, on the same minibatches. With
    `x` the sum of its perturbations so far, `(L+ - L-) x / (2 sigma^2)` is an estimate, without the
    bias of truncation, of the gradient of the meta-loss that is smoothed by the noise. Nothing is
    differentiated, so memory does not grow with `truncation`, and rough meta-losses are no problem.

    Inner problems begin at different windows of their horizon, so that every meta-step sees all
    parts of it; the first trajectory of each is cut short for this.

    **Arguments:** `sigma`, the standard deviation of the perturbations.

    **Raises:** `ValueError` if it is not above 0.

    ```pycon
    >>> result = l2o.metatrain(
    ...     l2o.optimizers.RNNProp(hidden_size=2, key=jax.random.key(0)),
    ...     l2o.tasks.QuadraticFamily(dimension=2),
    ...     key=jax.random.key(1),
    ...     meta_steps=2,
    ...     num_tasks=2,
    ...     horizon=4,
    ...     truncation=2,
    ...     estimator=l2o.metatraining.PES(sigma=0.1),
    ... )
    >>> "gradient_variance" in result.history[0]
    True
    ```
    """

    sigma: float = eqx.field(static=True, default=0.01)

    def __check_init__(self) -> None:
        check_number("sigma", self.sigma, above=0)

    def begin(
        self, optimizer: LearnedOptimizer, problems: InnerProblems, key: PRNGKeyArray
    ) -> Twins:
        """Inner problems spread over the horizon; leaves have axes for devices and tasks."""
        mesh = self.mesh(optimizer, problems.num_tasks)

        def fresh(shared: Any, own: Int[Array, " tasks"]) -> tuple[tuple[()], Twins]:
            optimizer, problems, key = shared

            def one(number: Int[Array, ""]) -> Twins:
                carried = _start(optimizer, _draw(problems, key), key)
                return Twins(
                    task_key=key,
                    window=number * problems.num_windows // problems.num_tasks,
                    fresh=jnp.asarray(True),
                    carried=jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), carried),
                    noise=jax.tree.map(jnp.zeros_like, _meta_parameters(optimizer)),
                )

            return (), jax.vmap(one)(own)

        numbers = jnp.arange(problems.num_tasks).reshape(mesh.size, -1)
        return on_devices(fresh, mesh)((optimizer, problems, key), numbers)[1]

    def __call__(
        self,
        optimizer: LearnedOptimizer,
        meta_loss: MetaLoss,
        problems: InnerProblems,
        state: Twins,
        key: PRNGKeyArray,
        meta_step: Int[Array, ""],
    ) -> tuple[MetaGradient, Twins]:
        """Goes on for one window with both of each inner problem."""
        mesh = self.mesh(optimizer, problems.num_tasks)

        def estimate(shared: Any, own: Twins) -> tuple[MetaGradient, Twins]:
            *given, key = shared
            keys = jax.random.split(own_key(key), own.window.shape[0])
            results, own = jax.vmap(partial(self._of_twins, *given))(own, keys)
            return _averaged(*results, problems.num_tasks), own

        shared = (optimizer, meta_loss, problems, meta_step, key)
        return on_devices(estimate, mesh)(shared, state)

    def give_up(self, state: Twins, lost: Bool[Array, ""]) -> Twins:
        """Draws all inner problems anew, each to be cut short as it would have been."""
        return eqx.tree_at(lambda state: state.fresh, state, state.fresh | lost)

    def _of_twins(
        self,
        optimizer: LearnedOptimizer,
        meta_loss: MetaLoss,
        problems: InnerProblems,
        meta_step: Int[Array, ""],
        twins: Twins,
        key: PRNGKeyArray,
    ) -> tuple[tuple[Array, Array, LearnedOptimizer], Twins]:
        """The meta-loss of one inner problem, what regularizers add to it, and the estimate."""
        fresh = twins.fresh
        task_key = jax.tree.map(partial(jnp.where, fresh), key, twins.task_key)
        task = _draw(problems, task_key)
        meta_parameters = _meta_parameters(optimizer)
        perturbation = _noise(meta_parameters, jax.random.fold_in(key, 1), self.sigma)
        noise = jax.tree.map(
            lambda new, sum: new + jnp.where(fresh, 0, sum), perturbation, twins.noise
        )

        def run(
            sign: Float[Array, ""], carried: Carried
        ) -> tuple[tuple[Float[Array, ""], Float[Array, ""]], Carried]:
            moved = jax.tree.map(
                lambda leaf, by: leaf + sign.astype(leaf.dtype) * by, meta_parameters, perturbation
            )
            moved = eqx.combine(moved, optimizer)
            start = jax.tree.map(partial(jnp.where, fresh), _start(moved, task, task_key), carried)
            window = Window(
                task=task,
                key=jax.random.fold_in(key, 2),
                state=start.state,
                fresh=fresh,
                initial_loss=start.initial_loss,
                meta_step=meta_step,
                num_steps=problems.truncation,
            )
            end = run_window(moved, meta_loss, window)
            carried = Carried(end.state, window.start_of(end.losses))
            return (end.meta_loss, end.regularization), carried

        (losses, added), carried = jax.vmap(run)(jnp.array([1.0, -1.0]), twins.carried)
        slope = (losses[0] - losses[1]) / (2 * self.sigma**2)
        gradient = jax.tree.map(lambda leaf: slope.astype(leaf.dtype) * leaf, noise)
        window = twins.window + 1
        is_over = window >= problems.num_windows
        found = (jnp.mean(losses), jnp.mean(added), gradient)
        return found, Twins(task_key, jnp.where(is_over, 0, window), is_over, carried, noise)


def _meta_parameters(optimizer: LearnedOptimizer) -> LearnedOptimizer:
    return eqx.filter(optimizer, eqx.is_inexact_array)


def _draw(problems: InnerProblems, key: PRNGKeyArray) -> TaskBatch:
    return TaskBatch.draw(problems.family, key, 1)


def _start(optimizer: LearnedOptimizer, task: TaskBatch, key: PRNGKeyArray) -> Carried:
    return fresh_start(per_task(optimizer), task, jax.random.fold_in(key, 3))


def _noise(like: PyTree, key: PRNGKeyArray, sigma: float) -> PyTree:
    """Normal noise in the shapes of a tree."""
    leaves, structure = jax.tree.flatten(like)
    keys = jax.random.split(key, len(leaves))
    drawn = [
        sigma * jax.random.normal(key, leaf.shape, leaf.dtype)
        for key, leaf in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, drawn)


def _averaged(
    losses: Float[Array, " own"], added: Float[Array, " own"], estimates: PyTree, num_tasks: int
) -> MetaGradient:
    """The mean over all inner problems.

    Its variance is the sum over meta-parameters; the signal to noise is the size of the mean over
    the root of that, and about 1 where there is nothing but noise.

    **Arguments:** `losses`; `added`, by regularizers; `estimates`, leaves with a leading axis for
    this device's own; `num_tasks`, of all devices.
    """

    def mean(tree: PyTree) -> PyTree:
        return jax.lax.pmean(jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), tree), AXES)

    loss, regularization, gradient = mean((losses, added, estimates))
    spread = mean(jax.tree.map(lambda leaf, mean: (leaf - mean) ** 2, estimates, gradient))
    total = sum(jnp.sum(leaf) for leaf in jax.tree.leaves(spread))
    size = sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(gradient))
    variance = total / (num_tasks - 1) if num_tasks > 1 else jnp.full_like(total, jnp.nan)
    diagnostics = {"gradient_variance": variance, "signal_to_noise": jnp.sqrt(size / variance)}
    return MetaGradient(loss, regularization, gradient, diagnostics)
