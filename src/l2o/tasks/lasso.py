"""The lasso: least squares with a penalty that favours zeros."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.support.checks import check_number, check_size
from l2o.tasks.task import Batch, Task, TaskFamily


class Lasso(Task):
    """f(x) = ||Ax - b||^2 / 2 + l1_penalty ||x||_1.

    Not differentiable where a coordinate is 0; there the gradient takes the penalty's slope as 0.

    **Arguments:** `matrix`, A; `targets`, b; `l1_penalty`, at least 0.

    **Raises:** `ValueError` if the penalty is negative.

    Source: Tibshirani (1996); the form without a factor 1 / rows is that of Chen et al.,
    "Learning to optimize: a primer and a benchmark" (2022).

    ```pycon
    >>> task = l2o.tasks.Lasso(jnp.eye(2), targets=jnp.array([1.0, 0.0]), l1_penalty=0.5)
    >>> float(task.loss(jnp.array([1.0, 0.0]), None))
    0.5
    ```
    """

    matrix: Float[Array, "rows dimension"]
    targets: Float[Array, " rows"]
    l1_penalty: float = eqx.field(static=True, default=0.005)

    def __check_init__(self) -> None:
        check_number("l1_penalty", self.l1_penalty, least=0)

    def init(self, key: PRNGKeyArray) -> Float[Array, " dimension"]:
        """Draws a standard normal start."""
        return jax.random.normal(key, self.matrix.shape[1:])

    def loss(self, params: Float[Array, " dimension"], batch: Batch = None) -> Float[Array, ""]:
        """The value of f."""
        del batch
        residual = self.matrix @ params - self.targets
        # JAX gives abs the slope 1 at 0; x sign(x) has the slope 0.
        norm = jnp.sum(params * jnp.sign(params))
        return jnp.sum(residual**2) / 2 + self.l1_penalty * norm


class LassoFamily(TaskFamily):
    """Least squares with an l1 penalty, standard normal data.

    **Arguments:**

    - `num_rows`: Number of data points.
    - `dimension`: Number of parameters.
    - `l1_penalty`: Factor of the 1-norm of the parameters.

    **Raises:** `ValueError` for sizes less than 1 or a negative penalty.

    ```pycon
    >>> l2o.tasks.LassoFamily(num_rows=5, dimension=10).sample(jax.random.key(0)).matrix.shape
    (5, 10)
    ```
    """

    num_rows: int = eqx.field(static=True, default=5)
    dimension: int = eqx.field(static=True, default=10)
    l1_penalty: float = eqx.field(static=True, default=0.005)

    def __check_init__(self) -> None:
        check_size("num_rows", self.num_rows)
        check_size("dimension", self.dimension)
        check_number("l1_penalty", self.l1_penalty, least=0)

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{self.dimension}-dimensional lasso"

    def sample(self, key: PRNGKeyArray) -> Lasso:
        """Draws A and b."""
        matrix_key, target_key = jax.random.split(key)
        matrix = jax.random.normal(matrix_key, (self.num_rows, self.dimension))
        targets = jax.random.normal(target_key, (self.num_rows,))
        return Lasso(matrix, targets, self.l1_penalty)
