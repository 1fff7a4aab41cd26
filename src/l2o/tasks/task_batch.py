"""Several tasks optimized side by side, seen by the inner loop as one task."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from l2o.support.checks import check_size
from l2o.support.keys import check_key
from l2o.tasks.task import Batch, Params, Task, TaskFamily, check_family


class TaskBatch(Task):
    """`num_tasks` tasks as one: parameters, batches and losses all carry a leading task axis.

    Gradients are of each task's own loss, so the tasks do not touch. A coordinate-wise optimizer
    takes the stacked parameters as more coordinates of one problem, which keeps its matrix
    products large; any other optimizer is mapped over the task axis (`l2o.optimizers.per_task`).

    ```pycon
    >>> batch = l2o.TaskBatch.draw(l2o.tasks.QuadraticFamily(dimension=2), jax.random.key(0), 3)
    >>> params = batch.init(jax.random.key(1))
    >>> params.shape
    (3, 2)
    >>> batch.value(params, batch.sample(jax.random.key(2))).shape
    (3,)
    ```
    """

    task: Task
    """One task whose leaves have a leading task axis, save those that all tasks share."""
    axes: tuple[int | None, ...] = eqx.field(static=True)
    """For each leaf of `task`: 0, or `None` where it is shared."""
    num_tasks: int = eqx.field(static=True)

    @classmethod
    def draw(cls, family: TaskFamily, key: PRNGKeyArray, num_tasks: int) -> "TaskBatch":
        """Draws `num_tasks` tasks from a family, without copying the arrays that they share.

        **Arguments:** `family`; `key`, split once a task; `num_tasks`, at least 1.

        **Returns:** the batch. Leaves that are the family's own arrays are kept once.
        """
        check_family(family)
        check_key(key)
        check_size("num_tasks", num_tasks)
        own = jax.tree.leaves(family)
        structure: dict[str, Any] = {}

        def drawn_leaves(key: PRNGKeyArray) -> list[Any]:
            leaves, treedef = jax.tree.flatten(family.sample(key))
            shared = {i: leaf for i, leaf in enumerate(leaves) if any(leaf is x for x in own)}
            structure.update(treedef=treedef, shared=shared, count=len(leaves))
            return [leaf for i, leaf in enumerate(leaves) if i not in shared]

        drawn = iter(jax.vmap(drawn_leaves)(jax.random.split(key, num_tasks)))
        shared, count = structure["shared"], structure["count"]
        leaves = [shared[i] if i in shared else next(drawn) for i in range(count)]
        task = jax.tree.unflatten(structure["treedef"], leaves)
        axes = tuple(None if i in shared else 0 for i in range(count))
        return cls(task=task, axes=axes, num_tasks=num_tasks)

    def over_tasks(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Calls `function(task, *arguments)` for every task, all at once.

        **Arguments:** `function`; `arguments`, pytrees whose leaves have a leading task axis.

        **Returns:** what `function` returns, stacked along a leading task axis.
        """
        leaves, treedef = jax.tree.flatten(self.task)

        def call(leaves: list[Any], *arguments: Any) -> Any:
            return function(jax.tree.unflatten(treedef, leaves), *arguments)

        # `axis_size` serves tasks without leaves of their own and batches that are `None`.
        in_axes = (list(self.axes), *(0 for _ in arguments))
        return jax.vmap(call, in_axes=in_axes, axis_size=self.num_tasks)(leaves, *arguments)

    def one_by_one(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Calls `function(task, *arguments)` for every task, one after another.

        For what has branches of very different cost (`jax.lax.cond`), of which mapping takes all.

        **Arguments:** `function`; `arguments`, pytrees whose leaves have a leading task axis, at
        least one leaf.

        **Returns:** what `function` returns, stacked along a leading task axis.
        """
        leaves, treedef = jax.tree.flatten(self.task)

        def call(inputs: tuple[list[Any], tuple[Any, ...]]) -> Any:
            drawn, own = iter(inputs[0]), inputs[1]
            all_leaves = [
                leaf if axis is None else next(drawn)
                for leaf, axis in zip(leaves, self.axes, strict=True)
            ]
            return function(jax.tree.unflatten(treedef, all_leaves), *own)

        drawn = [leaf for leaf, axis in zip(leaves, self.axes, strict=True) if axis is not None]
        return jax.lax.map(call, (drawn, arguments))

    def init(self, key: PRNGKeyArray) -> Params:
        """Draws parameters for every task."""
        keys = jax.random.split(key, self.num_tasks)
        return self.over_tasks(lambda task, key: task.init(key), keys)

    def sample(self, key: PRNGKeyArray) -> Batch:
        """Draws a minibatch for every task."""
        keys = jax.random.split(key, self.num_tasks)
        return self.over_tasks(lambda task, key: task.sample(key), keys)

    def loss(self, params: Params, batch: Batch) -> Float[Array, " num_tasks"]:
        """Each task's own training loss."""
        return self.over_tasks(lambda task, p, b: task.loss(p, b), params, batch)

    def value(self, params: Params, batch: Batch) -> Float[Array, "num_tasks ..."]:
        """Each task's own value."""
        return self.over_tasks(lambda task, p, b: task.value(p, b), params, batch)

    def value_and_grad(
        self, params: Params, batch: Batch
    ) -> tuple[Float[Array, "num_tasks ..."], PyTree]:
        """Each task's own value and gradient."""
        return self.over_tasks(lambda task, p, b: task.value_and_grad(p, b), params, batch)

    def evaluate(self, params: Params) -> dict[str, Float[Array, " num_tasks"]]:
        """Each task's own held-out metrics."""
        return self.over_tasks(lambda task, p: task.evaluate(p), params)
