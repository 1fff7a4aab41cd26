"""The tasks that optimizers are tuned or compared on: the same ones for all of them."""

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.inner_loop import InnerState, unroll
from l2o.optimizers import LearnedOptimizer, per_task
from l2o.support.keys import check_key
from l2o.tasks import Params, TaskBatch, TaskFamily


class Draw(eqx.Module):
    """Tasks with all the randomness that optimizers meet on them."""

    tasks: TaskBatch
    params: Params
    """Where every optimizer starts on each task."""
    key: PRNGKeyArray
    """Decides the minibatches."""

    def run(
        self, optimizer: LearnedOptimizer, num_steps: int
    ) -> tuple[Float[Array, "losses tasks *objectives"], Params]:
        """Runs `optimizer` on every task for `num_steps` steps.

        **Returns:** the `num_steps + 1` losses of each task, and the parameters that came of it.
        """
        batched = per_task(optimizer)
        start = InnerState(self.params, batched.init(self.params))
        trajectory = unroll(batched, self.tasks, self.key, num_steps, state=start)
        return trajectory.losses, trajectory.params


# Compiled apart from the runs: once for all the optimizers that are to run on the draw.
@eqx.filter_jit
def draw_tasks(family: TaskFamily, key: PRNGKeyArray, num_tasks: int) -> Draw:
    """Draws `num_tasks` tasks of `family`, where they start and their minibatches.

    ```pycon
    >>> family = l2o.tasks.QuadraticFamily(dimension=2)
    >>> draw = l2o.evaluation.draw_tasks(family, jax.random.key(0), 3)
    >>> losses, params = draw.run(l2o.from_optax(optax.sgd(0.5)), num_steps=4)
    >>> losses.shape, params.shape
    ((5, 3), (3, 2))
    ```
    """
    check_key(key)
    task_key, init_key, unroll_key = jax.random.split(key, 3)
    tasks = TaskBatch.draw(family, task_key, num_tasks)
    return Draw(tasks, tasks.init(init_key), unroll_key)


def tuning_key(key: PRNGKeyArray) -> PRNGKeyArray:
    """The part of a key's randomness that is set aside for tuning.

    It shares nothing with `evaluation_key`, so that one key given to both `tune` and `evaluate`
    does not let hyperparameters be chosen on the very tasks they are judged on.

    ```pycon
    >>> key = jax.random.key(0)
    >>> bool(l2o.evaluation.tuning_key(key) == l2o.evaluation.evaluation_key(key))
    False
    ```
    """
    check_key(key)
    return jax.random.fold_in(key, 0x74756E65)


def evaluation_key(key: PRNGKeyArray) -> PRNGKeyArray:
    """The part of a key's randomness that is set aside for evaluation (see `tuning_key`).

    ```pycon
    >>> key = jax.random.key(0)
    >>> bool(l2o.evaluation.evaluation_key(key) == l2o.evaluation.evaluation_key(key))
    True
    ```
    """
    check_key(key)
    return jax.random.fold_in(key, 0x6576616C)
