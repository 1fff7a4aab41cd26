"""Linear least squares."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.support.checks import check_size
from l2o.tasks.task import Batch, Task, TaskFamily


class LeastSquares(Task):
    """f(x) = ||Ax - b||^2 / (2 rows): half the mean squared error of a linear regression.

    **Arguments:** `matrix`, A; `targets`, b.

    ```pycon
    >>> task = l2o.tasks.LeastSquares(jnp.eye(2), targets=jnp.array([1.0, 0.0]))
    >>> float(task.loss(jnp.zeros(2), None))
    0.25
    ```
    """

    matrix: Float[Array, "rows dimension"]
    targets: Float[Array, " rows"]

    @property
    def minimizer(self) -> Float[Array, " dimension"]:
        """The minimiser; the shortest one, where there are several."""
        return jnp.linalg.lstsq(self.matrix, self.targets)[0]

    def init(self, key: PRNGKeyArray) -> Float[Array, " dimension"]:
        """Draws a standard normal start."""
        return jax.random.normal(key, self.matrix.shape[1:])

    def loss(self, params: Float[Array, " dimension"], batch: Batch = None) -> Float[Array, ""]:
        """The value of f. Its minimum is not 0 where the rows contradict each other."""
        del batch
        return jnp.mean((self.matrix @ params - self.targets) ** 2) / 2


class LeastSquaresFamily(TaskFamily):
    """Linear regressions with standard normal data.

    **Arguments:**

    - `num_rows`: Number of data points.
    - `dimension`: Number of parameters.

    **Raises:** `ValueError` if one of them is less than 1.

    ```pycon
    >>> task = l2o.tasks.LeastSquaresFamily(num_rows=20, dimension=3).sample(jax.random.key(0))
    >>> task.matrix.shape
    (20, 3)
    ```
    """

    num_rows: int = eqx.field(static=True, default=20)
    dimension: int = eqx.field(static=True, default=10)

    def __check_init__(self) -> None:
        check_size("num_rows", self.num_rows)
        check_size("dimension", self.dimension)

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{self.dimension}-dimensional least squares"

    def sample(self, key: PRNGKeyArray) -> LeastSquares:
        """Draws A and b."""
        matrix_key, target_key = jax.random.split(key)
        matrix = jax.random.normal(matrix_key, (self.num_rows, self.dimension))
        return LeastSquares(matrix, jax.random.normal(target_key, (self.num_rows,)))
