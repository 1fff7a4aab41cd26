"""The protocol of a task with several losses of the same parameters, and how many there are."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from l2o.gradients import Gradients, StackedGradients, gradients
from l2o.tasks.task import Batch, Params, Task, TaskFamily, check_family


class MultiObjectiveTask(Task):
    """An optimizee with m losses, all to be made small.

    The inner loop hands the optimizer all losses as `value`, and all gradients in the form that
    `gradients` has: a Jacobian, in which every leaf has the leading axis m, or `Gradients` of
    another form, which take less memory. What takes one gradient goes behind an aggregator
    (`l2o.multiobjective.aggregate`), which takes them all.

    ```pycon
    >>> class Two(l2o.tasks.MultiObjectiveTask):
    ...     def init(self, key):
    ...         return jnp.zeros(1)
    ...     def losses(self, params, batch):
    ...         return jnp.concatenate([(params - 1) ** 2, (params + 1) ** 2])
    ...
    >>> losses, jacobian = Two().value_and_grad(jnp.zeros(1), None)
    >>> losses, jacobian.shape
    (Array([1., 1.], dtype=float32), (2, 1))
    ```
    """

    @abc.abstractmethod
    def losses(self, params: Params, batch: Batch) -> Float[Array, " m"]:
        """The training losses of `params` on `batch`."""

    def loss(self, params: Params, batch: Batch) -> Float[Array, ""]:
        """The mean of all losses, for whatever looks at a single one."""
        return jnp.mean(self.losses(params, batch))

    def value(self, params: Params, batch: Batch) -> Float[Array, " m"]:
        """All losses."""
        return self.losses(params, batch)

    def gradients(self, params: Params, batch: Batch) -> Gradients:
        """All losses and their gradients, in the form that suits the task.

        By default they are stacked as long as they fit in a gigabyte, and linearized otherwise.
        """
        return gradients(lambda params: self.losses(params, batch), params)

    def value_and_grad(
        self, params: Params, batch: Batch
    ) -> tuple[Float[Array, " m"], PyTree | Gradients]:
        """All losses and their gradients; where these are stacked, as plain arrays."""
        differentiated = self.gradients(params, batch)
        is_stacked = isinstance(differentiated, StackedGradients)
        return differentiated.losses, differentiated.jacobian if is_stacked else differentiated


def count_objectives(family: TaskFamily) -> int | None:
    """How many losses optimizers are told of on the tasks of a family; nothing is computed.

    **Returns:** m, or `None` where it is a number rather than an array of m.

    **Raises:** `ValueError` if it is an array of another shape.

    ```pycon
    >>> l2o.tasks.count_objectives(l2o.multiobjective.problems.ConflictingQuadraticsFamily(2))
    2
    >>> l2o.tasks.count_objectives(l2o.tasks.QuadraticFamily()) is None
    True
    ```
    """
    check_family(family)

    def value(family: TaskFamily, key: PRNGKeyArray) -> Float[Array, "..."]:
        task = family.sample(key)
        return jnp.asarray(task.value(task.init(key), task.sample(key)))

    shape = eqx.filter_eval_shape(value, family, jax.random.key(0)).shape
    if len(shape) > 1:
        raise ValueError(
            f"The value of a task is a loss, or a vector of losses; {family.title} has tasks with "
            f"one of shape {shape}."
        )
    return shape[0] if shape else None
