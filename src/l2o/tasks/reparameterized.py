"""The same task in other units: a random rescaling of every parameter."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from l2o.gradients import Gradients, linearized
from l2o.support.checks import LARGEST_LOG_SCALE, check_number
from l2o.tasks.task import Batch, Params, Task, TaskFamily, check_family


class Reparameterized(Task):
    """A task whose parameters are those of another divided by scales c: f(c x) instead of f(x).

    Losses along a path are the same, gradients are multiplied by c, so an optimizer that is to
    do well on random scales must not rely on the size of gradients.

    **Arguments:** `task`; `log_scale`, the logarithms of c, with the structure and shapes of the
    task's parameters.

    Source: the random scaling of Lv, Jiang and Li, "Learning gradient descent: better
    generalization and longer horizons" (2017), section 4.1.

    ```pycon
    >>> task = l2o.tasks.Quadratic(jnp.eye(1), minimizer=jnp.zeros(1))
    >>> scaled = l2o.tasks.Reparameterized(task, log_scale=jnp.log(jnp.array([10.0])))
    >>> f"{scaled.loss(jnp.array([0.1]), None):.3f}", float(task.loss(jnp.array([1.0]), None))
    ('0.500', 0.5)
    ```
    """

    task: Task
    log_scale: Params

    @property
    def title(self) -> str:
        """The task's own."""
        return self.task.title

    def _original(self, params: Params) -> Params:
        """The parameters in the units of the original task."""
        return jax.tree.map(lambda x, r: x * jnp.exp(r), params, self.log_scale)

    def init(self, key: PRNGKeyArray) -> Params:
        """The task's own initial parameters, in the new units."""
        return jax.tree.map(lambda x, r: x * jnp.exp(-r), self.task.init(key), self.log_scale)

    def sample(self, key: PRNGKeyArray) -> Batch:
        """The task's own minibatch."""
        return self.task.sample(key)

    def sample_held_out(self, key: PRNGKeyArray) -> Batch:
        """The task's own held-out minibatch."""
        return self.task.sample_held_out(key)

    def whole_batch(self) -> Batch:
        """The task's own training data."""
        return self.task.whole_batch()

    def loss(self, params: Params, batch: Batch) -> Float[Array, ""]:
        """The task's own loss."""
        return self.task.loss(self._original(params), batch)

    def value(self, params: Params, batch: Batch) -> Float[Array, "..."]:
        """The task's own loss, or losses."""
        return self.task.value(self._original(params), batch)

    def value_and_grad(self, params: Params, batch: Batch) -> tuple[Float[Array, "..."], PyTree]:
        """The task's own loss, or losses, with gradients in the new units."""
        value, grads = self.task.value_and_grad(self._original(params), batch)
        if isinstance(grads, Gradients):
            return value, linearized(lambda params: self.value(params, batch), params)
        # Gradients of several losses have leading axes, over which the scales broadcast.
        return value, jax.tree.map(lambda g, r: g * jnp.exp(r), grads, self.log_scale)

    def evaluate(self, params: Params) -> dict[str, Float[Array, ""]]:
        """The task's own held-out metrics."""
        return self.task.evaluate(self._original(params))


class ReparameterizedFamily(TaskFamily):
    """Tasks of another family, each in random units: c = exp(U(-r, r)) for every parameter.

    **Arguments:** `family`; `max_log_scale`, r, from 0 to 40; 3 is the choice of Lv, Jiang and Li
    (2017).

    **Raises:** `ValueError` for another thing than a family, and if r is out of range.

    ```pycon
    >>> family = l2o.tasks.ReparameterizedFamily(l2o.tasks.QuadraticFamily(dimension=3))
    >>> family.sample(jax.random.key(0)).log_scale.shape
    (3,)
    ```
    """

    family: TaskFamily
    max_log_scale: float = eqx.field(static=True, default=3.0)

    def __check_init__(self) -> None:
        check_family(self.family)
        check_number("max_log_scale", self.max_log_scale, least=0, most=LARGEST_LOG_SCALE)

    @property
    def title(self) -> str:
        """The family's own."""
        return self.family.title

    def sample(self, key: PRNGKeyArray) -> Reparameterized:
        """Draws a task and its units."""
        task_key, scale_key = jax.random.split(key)
        task = self.family.sample(task_key)
        shapes, treedef = jax.tree.flatten(jax.eval_shape(task.init, task_key))
        r = self.max_log_scale
        scales = [
            jax.random.uniform(leaf_key, shape.shape, shape.dtype, minval=-r, maxval=r)
            for leaf_key, shape in zip(
                jax.random.split(scale_key, len(shapes)), shapes, strict=True
            )
        ]
        return Reparameterized(task, jax.tree.unflatten(treedef, scales))
