"""The two protocols for what gets optimized: a `Task`, and a `TaskFamily` to draw tasks from."""

import abc
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from l2o.support.checks import check_instance
from l2o.support.words import in_words

Params = PyTree[Float[Array, "..."]]
"""The optimizee's parameters: any pytree of floating-point arrays."""

Batch = PyTree
"""A minibatch, or `None` where the loss is deterministic."""


class Task(eqx.Module):
    """An optimizee: what an optimizer, learned or hand-designed, is set to work on.

    A task is a pytree, so it goes through `jit`, `vmap` and `grad`; a batch of tasks is one task
    whose leaves have a leading axis (see `l2o.tasks.TaskBatch`).

    ```pycon
    >>> class Parabola(l2o.Task):
    ...     def init(self, key):
    ...         return jax.random.normal(key, (2,))
    ...     def loss(self, params, batch):
    ...         return jnp.sum(params**2)
    ...
    >>> Parabola().loss(jnp.array([1.0, 2.0]), None)
    Array(5., dtype=float32)
    ```
    """

    @property
    def title(self) -> str:
        """The task in a few words, for tables and figures; by default the class's name."""
        return in_words(type(self).__name__)

    @abc.abstractmethod
    def init(self, key: PRNGKeyArray) -> Params:
        """Draws initial parameters."""

    def sample(self, key: PRNGKeyArray) -> Batch:
        """Draws a minibatch of the training data; `None` where the loss is deterministic."""
        del key
        return None

    def sample_held_out(self, key: PRNGKeyArray) -> Batch:
        """Draws a minibatch of training data that `sample` never draws, for meta-losses.

        **Raises:** `ValueError` for tasks that hold nothing out.
        """
        del key
        raise ValueError(
            f"{type(self).__name__} has no held-out training data: it needs a method "
            "sample_held_out."
        )

    def whole_batch(self) -> Batch:
        """All training data as one batch, for measures that must not depend on a minibatch.

        **Raises:** `ValueError` for tasks whose data do not make one batch.
        """
        if type(self).sample is Task.sample:
            return None
        raise ValueError(
            f"{type(self).__name__} has no batch of all its training data: it needs a method "
            "whole_batch."
        )

    @abc.abstractmethod
    def loss(self, params: Params, batch: Batch) -> Float[Array, ""]:
        """The training loss of `params` on `batch`."""

    def value(self, params: Params, batch: Batch) -> Float[Array, "..."]:
        """What optimizers are told of the parameters: the loss, or all of several losses."""
        return self.loss(params, batch)

    def value_and_grad(self, params: Params, batch: Batch) -> tuple[Float[Array, "..."], PyTree]:
        """What the inner loop asks at every step: the value and its gradient.

        The unroll calls this rather than `loss`, so that a task with several losses can hand all
        of them, and their gradients, to the optimizer.
        """
        return jax.value_and_grad(self.loss)(params, batch)

    def evaluate(self, params: Params) -> dict[str, Float[Array, ""]]:
        """Metrics on held-out data, such as `test_loss` and `test_accuracy`; none by default."""
        del params
        return {}


class TaskFamily(eqx.Module):
    """A distribution over tasks that share one structure and shapes, so that they can be batched.

    Large arrays that all tasks share (a data set) should be the family's own leaves, handed on to
    the task as they are: `TaskBatch.draw` recognises them and does not copy them per task.

    ```pycon
    >>> class Fits(l2o.TaskFamily):
    ...     rows: int = 4
    ...     def sample(self, key):
    ...         inputs, targets = jax.random.normal(key, (2, self.rows))
    ...         return l2o.tasks.LeastSquares(inputs[:, None], targets)
    ...
    >>> Fits().sample(jax.random.key(0)).matrix.shape
    (4, 1)
    ```
    """

    @property
    def title(self) -> str:
        """The family in a few words; by default the class's name, without "Family"."""
        name = type(self).__name__
        return in_words(name.removesuffix("Family") or name)

    @abc.abstractmethod
    def sample(self, key: PRNGKeyArray) -> Task:
        """Draws a task."""


def check_task(task: Any) -> None:
    """Makes sure that `task` is a task.

    **Raises:** `ValueError` that says where to take one from.

    ```pycon
    >>> l2o.tasks.check_task(l2o.tasks.Rosenbrock())
    ```
    """
    check_instance("task", task, Task, "A family's are drawn by its method sample.")


def check_family(family: Any, name: str = "family") -> None:
    """Makes sure that `family` is a distribution over tasks.

    **Arguments:** `family`; `name`, what the argument is called.

    **Raises:** `ValueError` that says where to take one from.

    ```pycon
    >>> l2o.tasks.check_family(l2o.tasks.QuadraticFamily())
    ```
    """
    hint = "The family of one task is l2o.tasks.SingleTask(task)."
    check_instance(name, family, TaskFamily, hint)


class SingleTask(TaskFamily):
    """The family that always gives the same task; its randomness is the initialisation alone.

    ```pycon
    >>> family = l2o.tasks.SingleTask(l2o.tasks.Rosenbrock())
    >>> family.sample(jax.random.key(0)) == family.sample(jax.random.key(1))
    True
    ```
    """

    task: Task

    def __check_init__(self) -> None:
        check_task(self.task)

    @property
    def title(self) -> str:
        """The task's own."""
        return self.task.title

    def sample(self, key: PRNGKeyArray) -> Task:
        """Returns the task, whatever the key."""
        del key
        return self.task
