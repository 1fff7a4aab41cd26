"""Convex quadratics."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.support.checks import check_number, check_size
from l2o.tasks.task import Batch, Task, TaskFamily

# Of an eigenvalue whose square, and the square of its inverse, are numbers in single precision.
_LARGEST = 18.0


class Quadratic(Task):
    """f(x) = x'Hx / 2 + x'v + offset, with the offset that makes the minimum 0.

    It is kept, and computed, as (x - m)'H(x - m) / 2 around its minimiser m: the same function,
    whose rounding error vanishes with f itself, while the sum above would end at a floor of
    about 1e-7 times its largest term.

    **Arguments:** `hessian`, H, symmetric and positive semi-definite; `minimizer`, m.

    ```pycon
    >>> task = l2o.tasks.Quadratic(hessian=jnp.diag(jnp.array([1.0, 4.0])), minimizer=jnp.zeros(2))
    >>> float(task.loss(jnp.ones(2), None))
    2.5
    ```
    """

    hessian: Float[Array, "dimension dimension"]
    minimizer: Float[Array, " dimension"]

    @classmethod
    def from_linear(
        cls, hessian: Float[Array, "dimension dimension"], linear: Float[Array, " dimension"]
    ) -> "Quadratic":
        """The quadratic with the given H, which must be positive definite, and v."""
        return cls(hessian, -jnp.linalg.solve(hessian, linear))

    @property
    def linear(self) -> Float[Array, " dimension"]:
        """The coefficient v of x."""
        return -self.hessian @ self.minimizer

    @property
    def offset(self) -> Float[Array, ""]:
        """The constant that makes the minimum 0."""
        return self.minimizer @ self.hessian @ self.minimizer / 2

    def init(self, key: PRNGKeyArray) -> Float[Array, " dimension"]:
        """Draws a standard normal start."""
        return jax.random.normal(key, self.minimizer.shape)

    def loss(self, params: Float[Array, " dimension"], batch: Batch = None) -> Float[Array, ""]:
        """The value of f."""
        del batch
        distance = params - self.minimizer
        return distance @ self.hessian @ distance / 2


class QuadraticFamily(TaskFamily):
    """Convex quadratics with log-uniform eigenvalues in random directions.

    The base-10 logarithms of the eigenvalues of H are uniform and independent, its eigenvectors
    uniformly random, and v is standard normal. The defaults are the linear-regression task of
    Maheswaranathan et al. (2021) as their public code draws it.

    **Arguments:**

    - `dimension`: Number of parameters.
    - `log10_eigenvalues`: Smallest and largest base-10 logarithm of the eigenvalues.

    **Raises:** `ValueError` if the dimension is less than 1 or the bounds are in disorder.

    ```pycon
    >>> task = l2o.tasks.QuadraticFamily(dimension=3).sample(jax.random.key(0))
    >>> task.hessian.shape
    (3, 3)
    ```
    """

    dimension: int = eqx.field(static=True, default=5)
    log10_eigenvalues: tuple[float, float] = eqx.field(static=True, default=(-3.0, 0.0))

    def __check_init__(self) -> None:
        check_size("dimension", self.dimension)
        low, high = self.log10_eigenvalues
        for value in (low, high):
            check_number("every bound of log10_eigenvalues", value, least=-_LARGEST, most=_LARGEST)
        if low > high:
            raise ValueError(f"log10_eigenvalues must not fall, got {low} and {high}.")

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{self.dimension}-dimensional quadratics"

    def sample(self, key: PRNGKeyArray) -> Quadratic:
        """Draws a quadratic."""
        eigenvalue_key, direction_key, linear_key = jax.random.split(key, 3)
        low, high = self.log10_eigenvalues
        exponents = jax.random.uniform(eigenvalue_key, (self.dimension,), minval=low, maxval=high)
        eigenvalues = 10.0**exponents
        directions = jax.random.orthogonal(direction_key, self.dimension)
        linear = jax.random.normal(linear_key, (self.dimension,))
        hessian = (directions * eigenvalues) @ directions.T
        minimizer = -directions @ ((linear @ directions) / eigenvalues)
        return Quadratic(hessian, minimizer)
