"""The two-dimensional example of Liu et al. 2021 (CAGrad)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.multiobjective.problems.bisection import increasing_root
from l2o.multiobjective.problems.problem import Problem, simplex_points


class CAGradToy(Problem):
    """Two valleys with steep walls, where gradients conflict and differ in size.

    The critical set below y = 0 is a curve of x from -7 to 7 near y = -8.4.

    **Arguments:** `first_scale`, the factor of the first loss: 1 in Liu et al. 2021, 0.1 in
    Navon et al. 2022.

    ```pycon
    >>> l2o.multiobjective.problems.CAGradToy().losses(jnp.zeros(2)).shape
    (2,)
    ```
    """

    first_scale: float = 1.0

    def losses(self, params: Float[Array, "2"]) -> Float[Array, "2"]:
        """Both losses at `params`."""
        x, y = params
        above, below = jnp.maximum(jnp.tanh(y / 2), 0.0), jnp.maximum(jnp.tanh(-y / 2), 0.0)
        walls = jnp.stack([(-x - 7) / 2 - jnp.tanh(-y), (-x + 3) / 2 + jnp.tanh(-y) + 2])
        walls = jnp.log(jnp.maximum(jnp.abs(walls), 5e-6)) + 6
        bowls = (jnp.stack([-x + 7, -x - 7]) ** 2 + 0.1 * (-y - 8) ** 2) / 10 - 20
        return jnp.array([self.first_scale, 1.0]) * (above * walls + below * bowls)

    def sample_start(self, key: PRNGKeyArray) -> Float[Array, "2"]:
        """One of the three starts of the paper, moved a little."""
        pick_key, move_key = jax.random.split(key)
        starts = jnp.array([[-8.5, 7.5], [-8.5, -5.0], [9.0, 9.0]])
        start = starts[jax.random.randint(pick_key, (), 0, 3)]
        return start + 0.1 * jax.random.normal(move_key, (2,))

    def critical_set(self, num_points: int = 100) -> Float[Array, "points 2"]:
        """The curve, from the condition on the weighted sum of both bowls."""

        def point(weights: Float[Array, "2"]) -> Float[Array, "2"]:
            x = 7 * (weights[0] - weights[1])
            spread = 196 * weights[0] * weights[1]

            def slope(y: Float[Array, ""]) -> Float[Array, ""]:
                bowl = (spread + 0.1 * (y + 8) ** 2) / 10 - 20
                return -bowl / (2 * jnp.cosh(y / 2) ** 2) + jnp.tanh(-y / 2) * 0.02 * (y + 8)

            return jnp.stack([x, increasing_root(slope, jnp.asarray(-9.0), jnp.asarray(-8.0))])

        return jax.vmap(point)(simplex_points(num_points, 2))
