"""Two bells with gradients that fade far away."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.multiobjective.problems.problem import Problem, distance_to_segment


class Fonseca(Problem):
    """`1 - exp(-|x - c|^2)` and `1 - exp(-|x + c|^2)`.

    Critical, and optimal, are the points between c and -c. Gradients fade with the distance: a
    point may have a small omega because it is far from everything, so look at the relative one.

    **Arguments:** `centre`, c; `spread`, starts are uniform in a cube from minus to plus this.

    ```pycon
    >>> problem = l2o.multiobjective.problems.Fonseca(centre=jnp.array([1.0]))
    >>> problem.losses(jnp.array([1.0])).round(3)
    Array([0.        , 0.98200005], dtype=float32)
    ```
    """

    centre: Float[Array, " n"]
    spread: float = 2.0

    def losses(self, params: Float[Array, " n"]) -> Float[Array, "2"]:
        """Both bells at `params`."""
        offsets = jnp.stack([params - self.centre, params + self.centre])
        return -jnp.expm1(-jnp.sum(offsets**2, axis=1))

    def sample_start(self, key: PRNGKeyArray) -> Float[Array, " n"]:
        """A uniform point of the cube."""
        shape, dtype = self.centre.shape, self.centre.dtype
        return jax.random.uniform(key, shape, dtype, -self.spread, self.spread)

    def critical_set(self, num_points: int = 100) -> Float[Array, "points n"]:
        """Points between the centres."""
        return jnp.linspace(-1.0, 1.0, num_points)[:, None] * self.centre

    def distance_to_critical_set(self, params: Float[Array, " n"]) -> Float[Array, ""]:
        """The distance to the line between the centres."""
        return distance_to_segment(params, -self.centre, self.centre)


def fonseca(n: int = 2) -> Fonseca:
    """Fonseca and Fleming's problem, also VLMOP2 and MOP2: c = (1, ..., 1) / sqrt(n).

    ```pycon
    >>> l2o.multiobjective.problems.fonseca(n=4).centre
    Array([0.5, 0.5, 0.5, 0.5], dtype=float32, weak_type=True)
    ```
    """
    return Fonseca(jnp.full(n, n**-0.5))


def ff1() -> Fonseca:
    """FF1: c = (1, -1).

    ```pycon
    >>> l2o.multiobjective.problems.ff1().centre
    Array([ 1., -1.], dtype=float32)
    ```
    """
    return Fonseca(jnp.array([1.0, -1.0]))
