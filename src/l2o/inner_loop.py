"""The one inner loop: an optimizer at work on a task."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from l2o.gradients import Gradients
from l2o.optimizers import (
    LearnedOptimizer,
    OptState,
    Updates,
    check_optimizer,
    evaluation_params,
)
from l2o.support.bad_input import explains_itself
from l2o.support.checks import check_integer
from l2o.support.keys import check_key
from l2o.tasks import Batch, Params, Task, ValueFunction, check_task

# Minibatches are drawn ahead, since gathering many at once is cheaper than one at a time in the
# loop, but no more than this many bytes of them.
_BYTES_DRAWN_AHEAD = 2**27


_KEPT = "kept"

_ONE_GRADIENT = (
    "Updates must have the shapes of the parameters. A task with several losses gives all their "
    "gradients: put an aggregator such as l2o.multiobjective.aggregate(upgrad) first in the chain."
)


def keep(value: Array) -> Array:
    """Marks what a probe computed at great cost: `unroll` with `checkpoint` stores it.

    ```pycon
    >>> task = l2o.tasks.Rosenbrock()
    >>> trajectory = l2o.unroll(
    ...     l2o.from_optax(optax.sgd(1e-4)), task, jax.random.key(0), 3, checkpoint=True,
    ...     probe=lambda step: l2o.inner_loop.keep(jnp.linalg.norm(step.grads)),
    ... )
    >>> trajectory.probes.shape
    (3,)
    ```
    """
    return checkpoint_name(value, _KEPT)


class InnerState(eqx.Module):
    """Where an inner loop stands, and all that it needs to go on."""

    params: Params
    opt_state: OptState


class Step(eqx.Module):
    """What a probe sees of one step, just after the optimizer made its update."""

    index: Int[Array, ""]
    """The number of steps before this one in this unroll."""
    params: Params
    """The parameters at which loss and gradient were taken, before the update."""
    batch: Batch
    loss: Float[Array, "..."]
    """At `params`, also of a Schedule-Free optimizer."""
    grads: PyTree
    updates: Updates
    opt_state: OptState
    """The optimizer's state before the update."""
    new_opt_state: OptState
    """The optimizer's state after the update."""
    key: PRNGKeyArray
    """Randomness of the step's own, for probes that need some."""


Probe = Callable[[Step], PyTree]


class Trajectory(eqx.Module):
    """What an unroll gives back."""

    losses: Float[Array, "losses ..."]
    """The value before every step and, last, at the final parameters: `num_steps + 1` of them,
    each with axes for the tasks of a batch and for the losses of a `MultiObjectiveTask`. Those of
    Schedule-Free optimizers are at their `evaluation_params`."""
    state: InnerState
    """Where the loop stands after the last step."""
    final_grads: PyTree
    """The gradient at the last parameters of the state."""
    probes: PyTree
    """What the probe returned, stacked along a leading axis of `num_steps`."""

    @property
    def params(self) -> Params:
        """The parameters that came of it: those of the state, or its `evaluation_params`."""
        return evaluation_params(self.state.opt_state, self.state.params)


def unroll(
    optimizer: LearnedOptimizer,
    task: Task,
    key: PRNGKeyArray,
    num_steps: int,
    *,
    state: InnerState | None = None,
    probe: Probe | None = None,
    first_order: bool = False,
    checkpoint: bool = False,
) -> Trajectory:
    """Runs `optimizer` on `task` for `num_steps` steps.

    Everything that needs an inner loop uses this one; what it needs to see on the way, it asks
    for with a `probe`. The loop is pure, so it can be compiled, mapped and differentiated, also
    with respect to the optimizer's meta-parameters.

    **Arguments:**

    - `optimizer`: a learned optimizer, or a hand-designed one through `l2o.from_optax`. For a
      `TaskBatch`, pass `l2o.optimizers.per_task(optimizer)`. It gets Optax's extra arguments
      `value`, `grad` and `value_fn`, so line searches work.
    - `task`: what to optimize. A `MultiObjectiveTask` hands the optimizer all its losses as
      `value`, with gradients in the form that its `gradients` gives.
    - `key`: randomness of the initialisation (without `state`) and of the minibatches.
    - `num_steps`: at least 1.
    - `state`: where to go on from. By default the task's initialisation and a fresh optimizer.
    - `probe`: called with every `Step`; the pytrees that it returns are stacked.
    - `first_order`: hold gradients and losses constant where the optimizer sees them, so that
      differentiating the trajectory takes no second derivatives of the task (Andrychowicz et
      al. 2016, section 2). The values of the trajectory are the same. What an optimizer computes
      with `value_fn` by itself is not held constant.
    - `checkpoint`: recompute a step's intermediate results in the backward pass instead of
      storing them, save those that the probe marks with `keep`.

    **Returns:** the `Trajectory`, with `num_steps + 1` losses.

    **Raises:** `ValueError` for arguments of another kind, if `num_steps` is less than 1, and for
    updates whose shapes are not those of the parameters.

    ```pycon
    >>> task = l2o.tasks.Quadratic(jnp.eye(1), minimizer=jnp.zeros(1))
    >>> optimizer = l2o.from_optax(optax.sgd(0.5))
    >>> trajectory = l2o.unroll(
    ...     optimizer, task, jax.random.key(0), 3, probe=lambda step: jnp.linalg.norm(step.grads)
    ... )
    >>> trajectory.losses.shape
    (4,)
    >>> trajectory.probes[1:] / trajectory.probes[:-1]
    Array([0.5, 0.5], dtype=float32)
    ```
    """
    check_optimizer(optimizer)
    check_task(task)
    check_key(key)
    check_integer("num_steps", num_steps, least=1)
    init_key, batch_key, probe_key = jax.random.split(key, 3)
    if state is None:
        params = task.init(init_key)
        state = InnerState(params, optimizer.init(params))

    def step(state: InnerState, inputs: tuple[Array, Batch]) -> tuple[InnerState, Any]:
        index, batch = inputs
        loss, grads = task.value_and_grad(state.params, batch)
        seen_loss, seen_grads = (
            jax.lax.stop_gradient((loss, grads)) if first_order else (loss, grads)
        )
        with _of_several(seen_grads):
            updates, opt_state = optimizer.update(
                seen_grads,
                state.opt_state,
                state.params,
                value=seen_loss,
                grad=seen_grads,
                value_fn=ValueFunction(task, batch),
            )
        seen = None
        if probe is not None:
            step_key = jax.random.fold_in(probe_key, index)
            seen = probe(
                Step(
                    index,
                    state.params,
                    batch,
                    loss,
                    grads,
                    updates,
                    state.opt_state,
                    opt_state,
                    step_key,
                )
            )
        _check_updates(updates, state.params)
        reported = _reported(task, state, batch, loss)
        return InnerState(optax.apply_updates(state.params, updates), opt_state), (reported, seen)

    policy = jax.checkpoint_policies.save_only_these_names(_KEPT)
    body = jax.checkpoint(step, policy=policy) if checkpoint else step

    def draw(indices: Int[Array, " steps"]) -> Batch:
        return jax.vmap(lambda index: task.sample(jax.random.fold_in(batch_key, index)))(indices)

    indices = jnp.arange(num_steps + 1)
    ahead = _steps_drawn_ahead(draw, num_steps)
    if ahead == num_steps:
        batches = draw(indices)
        inputs = (indices[:-1], jax.tree.map(lambda leaf: leaf[:-1], batches))
        state, (losses, probes) = jax.lax.scan(body, state, inputs)
        last_batch = jax.tree.map(lambda leaf: leaf[-1], batches)
    else:

        def chunk(state: InnerState, indices: Int[Array, " ahead"]) -> tuple[InnerState, Any]:
            return jax.lax.scan(body, state, (indices, draw(indices)))

        state, stacked = jax.lax.scan(chunk, state, indices[:-1].reshape(-1, ahead))
        losses, probes = jax.tree.map(lambda x: x.reshape(num_steps, *x.shape[2:]), stacked)
        last_batch = jax.tree.map(lambda leaf: leaf[0], draw(indices[-1:]))
    final_loss, final_grads = task.value_and_grad(state.params, last_batch)
    final_loss = _reported(task, state, last_batch, final_loss)
    return Trajectory(jnp.concatenate([losses, final_loss[None]]), state, final_grads, probes)


def _reported(
    task: Task, state: InnerState, batch: Batch, loss: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """The loss at the parameters that the optimizer would hand over; `loss`, where it stands."""
    params = evaluation_params(state.opt_state, state.params)
    return loss if params is state.params else task.value(params, batch)


@contextmanager
def _of_several(grads: PyTree) -> Iterator[None]:
    """Says what gradients are, that have another structure than the parameters, to what fails."""
    try:
        yield
    except (TypeError, ValueError, AttributeError) as error:
        if not isinstance(grads, Gradients) or explains_itself(error):
            raise
        raise ValueError(_ONE_GRADIENT) from error


def _check_updates(updates: Updates, params: Params) -> None:
    """Makes sure that updates can be added to parameters."""
    shapes = [[jnp.shape(leaf) for leaf in jax.tree.leaves(tree)] for tree in (updates, params)]
    if shapes[0] != shapes[1]:
        raise ValueError(_ONE_GRADIENT)


def _steps_drawn_ahead(draw: Callable[[Array], Batch], num_steps: int) -> int:
    """How many steps' minibatches to draw at once: a divisor of the number of steps."""
    one = jax.tree.leaves(jax.eval_shape(draw, jax.ShapeDtypeStruct((1,), jnp.int32)))
    bytes_a_step = sum(leaf.size * leaf.dtype.itemsize for leaf in one)
    limit = num_steps if bytes_a_step == 0 else max(1, _BYTES_DRAWN_AHEAD // bytes_a_step)
    return max(n for n in _divisors(num_steps) if n <= limit)


def _divisors(number: int) -> set[int]:
    small = {n for n in range(1, math.isqrt(number) + 1) if number % n == 0}
    return small | {number // n for n in small}
