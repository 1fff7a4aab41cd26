"""The Rosenbrock function."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.support.checks import check_size
from l2o.tasks.task import Batch, SingleTask, Task


class Rosenbrock(Task):
    """f(x) = sum of 100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2 over i: a curved, narrow valley.

    The minimum is 0, at (1, ..., 1). A start is uniform in a box: the last coordinate in
    [-1, 3], all others in [-2, 2]. In two dimensions that is the region that Maheswaranathan et
    al. (2021) plot; its mean loss, 289, agrees with their curves. All randomness is in the start,
    so a family (`rosenbrock_family`) has only one of them.

    **Arguments:** `dimension`, at least 2.

    **Raises:** `ValueError` if the dimension is less than 2.

    Source: Rosenbrock (1960).

    ```pycon
    >>> task = l2o.tasks.Rosenbrock()
    >>> float(task.loss(jnp.ones(2), None)), float(task.loss(jnp.zeros(2), None))
    (0.0, 1.0)
    ```
    """

    dimension: int = eqx.field(static=True, default=2)

    def __check_init__(self) -> None:
        check_size("dimension", self.dimension, least=2)

    @property
    def title(self) -> str:
        """The task in a few words."""
        return f"{self.dimension}-dimensional Rosenbrock function"

    @property
    def minimizer(self) -> Float[Array, " dimension"]:
        """Where f is 0."""
        return jnp.ones(self.dimension)

    def init(self, key: PRNGKeyArray) -> Float[Array, " dimension"]:
        """Draws a start, uniform in the box."""
        start = jax.random.uniform(key, (self.dimension,), minval=-2.0, maxval=2.0)
        return start.at[-1].add(1.0)

    def loss(self, params: Float[Array, " dimension"], batch: Batch = None) -> Float[Array, ""]:
        """The value of f."""
        del batch
        here, following = params[:-1], params[1:]
        return jnp.sum(100 * (following - here**2) ** 2 + (1 - here) ** 2)


def rosenbrock_family(dimension: int = 2) -> SingleTask:
    """The curved valley of Rosenbrock, from random starts.

    **Arguments:**

    - `dimension`: Number of parameters.

    **Raises:** `ValueError` for a dimension below 2.

    ```pycon
    >>> task = l2o.tasks.rosenbrock_family(dimension=3).sample(jax.random.key(0))
    >>> task.init(jax.random.key(1)).shape
    (3,)
    ```
    """
    return SingleTask(Rosenbrock(dimension))
