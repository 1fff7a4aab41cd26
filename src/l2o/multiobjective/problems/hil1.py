"""Hillermeier's problem."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.multiobjective.problems.problem import Problem


class Hil1(Problem):
    """`(b cos a, b sin a)`, multimodal, with critical lines that are and that are not optimal.

    `a = 2 pi / 360 (45 + 40 sin 2 pi x + 25 sin 2 pi y)` and `b = 1 + cos(2 pi x) / 2`. The line
    x = 1/2 is critical and optimal; x = 0 is critical and nowhere optimal; there are two more
    optimal pieces, y = 1/4 with x from 0.215 to 1/2 and y = 3/4 with x from 1/2 to 0.785.

    ```pycon
    >>> l2o.multiobjective.problems.Hil1().losses(jnp.array([0.2, 0.3])).shape
    (2,)
    ```
    """

    def losses(self, params: Float[Array, "2"]) -> Float[Array, "2"]:
        """Both losses at `params`."""
        x, y = 2 * jnp.pi * params
        angle = 2 * jnp.pi / 360 * (45 + 40 * jnp.sin(x) + 25 * jnp.sin(y))
        radius = 1 + jnp.cos(x) / 2
        return radius * jnp.stack([jnp.cos(angle), jnp.sin(angle)])

    def sample_start(self, key: PRNGKeyArray) -> Float[Array, "2"]:
        """A uniform point of the unit square, one period."""
        return jax.random.uniform(key, (2,))

    def critical_set(self, num_points: int = 100) -> Float[Array, "points 2"]:
        """Points of both lines and of both pieces, in one period."""
        share = jnp.linspace(0.0, 1.0, num_points)
        pieces = jnp.stack(
            [
                jnp.stack([jnp.full_like(share, 0.5), share], axis=1),
                jnp.stack([jnp.zeros_like(share), share], axis=1),
                jnp.stack([0.22 + 0.28 * share, jnp.full_like(share, 0.25)], axis=1),
                jnp.stack([0.5 + 0.28 * share, jnp.full_like(share, 0.75)], axis=1),
            ]
        )
        points = jnp.arange(num_points)
        return pieces[points % 4, points]
