"""Two problems of Schuetze, Laumanns, Coello Coello, Dellnitz and Talbi."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.multiobjective.problems.bisection import increasing_root
from l2o.multiobjective.problems.problem import Problem, simplex_points


class SLCDT1(Problem):
    """A problem with points that are critical and not optimal.

    With `u = x + y` and `w = x - y` the losses are `h + w / 2` and `h - w / 2`, where
    `h = (sqrt(1 + u^2) + sqrt(1 + w^2)) / 2 + 0.85 exp(-u^2)`. Critical are three parallel lines:
    u = 0, which is not optimal, and u = +-1.3134.

    ```pycon
    >>> l2o.multiobjective.problems.SLCDT1().losses(jnp.zeros(2)).shape
    (2,)
    ```
    """

    def losses(self, params: Float[Array, "2"]) -> Float[Array, "2"]:
        """Both losses at `params`."""
        u, w = params[0] + params[1], params[0] - params[1]
        height = (jnp.sqrt(1 + u**2) + jnp.sqrt(1 + w**2)) / 2 + 0.85 * jnp.exp(-(u**2))
        return jnp.stack([height + w / 2, height - w / 2])

    def sample_start(self, key: PRNGKeyArray) -> Float[Array, "2"]:
        """A uniform point of the square from -3 to 3."""
        return jax.random.uniform(key, (2,), minval=-3.0, maxval=3.0)

    def critical_set(self, num_points: int = 100) -> Float[Array, "points 2"]:
        """Points of all three lines, with w between -4 and 4."""
        lines = jnp.array([-1.0, 0.0, 1.0]) * self._distance()
        u = lines[jnp.arange(num_points) % 3]
        w = jnp.linspace(-4.0, 4.0, num_points)
        return jnp.stack([u + w, u - w], axis=1) / 2

    def distance_to_critical_set(self, params: Float[Array, "2"]) -> Float[Array, ""]:
        """The distance to the nearest of the three lines."""
        u = params[0] + params[1]
        lines = jnp.array([-1.0, 0.0, 1.0]) * self._distance()
        return jnp.min(jnp.abs(u - lines)) / 2**0.5

    @staticmethod
    def _distance() -> Float[Array, ""]:
        return increasing_root(
            lambda u: 0.5 / jnp.sqrt(1 + u**2) - 1.7 * jnp.exp(-(u**2)),
            jnp.asarray(1.0),
            jnp.asarray(2.0),
        )


class SLCDT2(Problem):
    """Three strictly convex losses of ten parameters; critical points are optimal.

    Loss i is a fourth power in coordinate i and a square in all others.

    ```pycon
    >>> l2o.multiobjective.problems.SLCDT2().losses(jnp.zeros(10)).shape
    (3,)
    ```
    """

    def losses(self, params: Float[Array, "10"]) -> Float[Array, "3"]:
        """All three losses at `params`."""
        offsets = params - _targets()
        powers = jnp.where(jnp.eye(3, 10, dtype=bool), offsets**4, offsets**2)
        return jnp.sum(powers, axis=1)

    def sample_start(self, key: PRNGKeyArray) -> Float[Array, "10"]:
        """A uniform point of the cube from -3 to 3."""
        return jax.random.uniform(key, (10,), minval=-3.0, maxval=3.0)

    def critical_set(self, num_points: int = 100) -> Float[Array, "points 10"]:
        """The minima of weighted sums, every coordinate the root of one equation."""

        def minimum(weights: Float[Array, "3"]) -> Float[Array, "10"]:
            def slope(params: Float[Array, "10"]) -> Float[Array, "10"]:
                offsets = params - _targets()
                slopes = jnp.where(jnp.eye(3, 10, dtype=bool), 4 * offsets**3, 2 * offsets)
                return weights @ slopes

            return increasing_root(slope, jnp.full(10, -1.0), jnp.full(10, 1.0))

        return jax.vmap(minimum)(simplex_points(num_points, 3))


def _targets() -> Float[Array, "3 10"]:
    alternating = jnp.tile(jnp.array([1.0, -1.0]), 5)
    return jnp.stack([jnp.ones(10), -jnp.ones(10), alternating])
