"""A task's loss, or losses, as a function of the parameters alone."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from l2o.tasks.task import Batch, Params, Task
from l2o.tasks.task_batch import TaskBatch


class ValueFunction(eqx.Module):
    """A task's value on one minibatch, for optimizers that probe it: Optax's `value_fn`.

    It has one value a task where the task is a `TaskBatch`.

    ```pycon
    >>> task = l2o.tasks.Rosenbrock()
    >>> value = l2o.tasks.ValueFunction(task, task.sample(jax.random.key(0)))
    >>> float(value(jnp.array([0.0, 0.0])))
    1.0
    ```
    """

    task: Task
    batch: Batch

    def __call__(self, params: Params) -> Float[Array, "..."]:
        """The loss of `params` on the minibatch, or all losses of a `MultiObjectiveTask`."""
        return self.task.value(params, self.batch)

    def over_tasks(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Gives every task of a `TaskBatch` its own value function.

        **Arguments:** `function`, called with a task's own value function and its part of
        `arguments`, whose leaves have a leading task axis.

        **Returns:** what `function` returns, stacked along a leading task axis.

        **Raises:** `TypeError` if the task is not a `TaskBatch`.
        """
        if not isinstance(self.task, TaskBatch):
            raise TypeError(f"Only a TaskBatch has several tasks, got {type(self.task).__name__}.")

        def call(task: Task, batch: Batch, *own: Any) -> Any:
            return function(ValueFunction(task, batch), *own)

        return self.task.over_tasks(call, self.batch, *arguments)
