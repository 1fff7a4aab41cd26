"""Rastrigin functions: a quadratic under a grid of ripples."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.support.checks import check_number, check_size
from l2o.tasks.task import Batch, Task, TaskFamily


class Rastrigin(Task):
    """f(x) = ||Ax - b||^2 / 2 - amplitude c'cos(2 pi x) + amplitude n, with n coordinates.

    With A the identity times the square root of 2, b zero and c all ones, it is the classic
    function of Rastrigin (1974), whose minimum is 0 at x = 0.

    **Arguments:** `matrix`, A; `targets`, b; `ripples`, c; `amplitude`, at least 0.

    **Raises:** `ValueError` if the amplitude is negative.

    Source: Chen et al., "Learning to optimize: a primer and a benchmark" (2022).

    ```pycon
    >>> task = l2o.tasks.RastriginFamily(dimension=2).sample(jax.random.key(0))
    >>> task.matrix.shape
    (2, 2)
    ```
    """

    matrix: Float[Array, "rows dimension"]
    targets: Float[Array, " rows"]
    ripples: Float[Array, " dimension"]
    amplitude: float = eqx.field(static=True, default=10.0)

    def __check_init__(self) -> None:
        check_number("amplitude", self.amplitude, least=0)

    def init(self, key: PRNGKeyArray) -> Float[Array, " dimension"]:
        """Draws a standard normal start."""
        return jax.random.normal(key, self.ripples.shape)

    def loss(self, params: Float[Array, " dimension"], batch: Batch = None) -> Float[Array, ""]:
        """The value of f."""
        del batch
        residual = self.matrix @ params - self.targets
        waves = params.size - self.ripples @ jnp.cos(2 * jnp.pi * params)
        return jnp.sum(residual**2) / 2 + self.amplitude * waves


class RastriginFamily(TaskFamily):
    """Quadratics under a grid of ripples, with many local minima.

    A is square; A, b and c are standard normal.

    **Arguments:**

    - `dimension`: Number of parameters.
    - `amplitude`: Height of the ripples.

    **Raises:** `ValueError` for a dimension below 1 or a negative amplitude.

    ```pycon
    >>> l2o.tasks.RastriginFamily(dimension=2).sample(jax.random.key(0)).ripples.shape
    (2,)
    ```
    """

    dimension: int = eqx.field(static=True, default=10)
    amplitude: float = eqx.field(static=True, default=10.0)

    def __check_init__(self) -> None:
        check_size("dimension", self.dimension)
        check_number("amplitude", self.amplitude, least=0)

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{self.dimension}-dimensional Rastrigin functions"

    def sample(self, key: PRNGKeyArray) -> Rastrigin:
        """Draws A, b and c."""
        matrix_key, target_key, ripple_key = jax.random.split(key, 3)
        matrix = jax.random.normal(matrix_key, (self.dimension, self.dimension))
        targets = jax.random.normal(target_key, (self.dimension,))
        ripples = jax.random.normal(ripple_key, (self.dimension,))
        return Rastrigin(matrix, targets, ripples, self.amplitude)
