"""Deb, Thiele, Laumanns and Zitzler's problems: any number of objectives, in a box."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.multiobjective.problems.problem import Problem


class _DTLZ(Problem):
    """Losses of m - 1 positions and some distances; optimal where all distances are 1/2.

    **Arguments:** `m`, at least 2; `num_distances`, the number of parameters is m - 1 more.
    """

    m: int = eqx.field(static=True, default=3)
    num_distances: int = eqx.field(static=True, default=10)

    @abc.abstractmethod
    def losses(self, params: Float[Array, " n"]) -> Float[Array, " m"]:
        """All losses at `params`."""

    @property
    def bounds(self) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        """From 0 to 1."""
        n = self.m - 1 + self.num_distances
        return jnp.zeros(n), jnp.ones(n)

    def sample_start(self, key: PRNGKeyArray) -> Float[Array, " n"]:
        """A uniform point of the box."""
        return jax.random.uniform(key, (self.m - 1 + self.num_distances,))

    def critical_set(self, num_points: int = 100) -> Float[Array, "points n"]:
        """Points whose positions are drawn once for all."""
        positions = jax.random.uniform(jax.random.key(0), (num_points, self.m - 1))
        return jnp.concatenate([positions, jnp.full((num_points, self.num_distances), 0.5)], axis=1)

    def distance_to_critical_set(self, params: Float[Array, " n"]) -> Float[Array, ""]:
        """The distance to the optimal set, to which other critical points may be nearer."""
        return jnp.linalg.norm(params[self.m - 1 :] - 0.5)


def _rastrigin(distances: Float[Array, " k"]) -> Float[Array, ""]:
    offsets = distances - 0.5
    return 100 * jnp.sum(1 + offsets**2 - jnp.cos(20 * jnp.pi * offsets))


def _sphere(positions: Float[Array, " positions"]) -> Float[Array, " m"]:
    """A point of the unit sphere's positive part."""
    angles = positions * jnp.pi / 2
    cosines = jnp.concatenate([jnp.ones(1), jnp.cumprod(jnp.cos(angles))])
    return cosines[::-1] * jnp.concatenate([jnp.ones(1), jnp.sin(angles[::-1])])


class DTLZ1(_DTLZ):
    """A plane, the losses of which sum to 1/2, behind many local ones.

    ```pycon
    >>> problem = l2o.multiobjective.problems.DTLZ1(m=2, num_distances=1)
    >>> problem.losses(jnp.array([0.5, 0.5])).round(3)
    Array([0.25, 0.25], dtype=float32)
    ```
    """

    num_distances: int = eqx.field(static=True, default=5)

    def losses(self, params: Float[Array, " n"]) -> Float[Array, " m"]:
        """All losses at `params`."""
        positions, distances = params[: self.m - 1], params[self.m - 1 :]
        products = jnp.concatenate([jnp.ones(1), jnp.cumprod(positions)])[::-1]
        last = jnp.concatenate([jnp.ones(1), 1 - positions[::-1]])
        return products * last * (1 + _rastrigin(distances)) / 2


class DTLZ2(_DTLZ):
    """A sphere, the squares of the losses of which sum to 1.

    ```pycon
    >>> problem = l2o.multiobjective.problems.DTLZ2(m=2, num_distances=1)
    >>> problem.losses(jnp.array([0.5, 0.5])).round(3)
    Array([0.707, 0.707], dtype=float32)
    ```
    """

    def losses(self, params: Float[Array, " n"]) -> Float[Array, " m"]:
        """All losses at `params`."""
        positions, distances = params[: self.m - 1], params[self.m - 1 :]
        return _sphere(positions) * (1 + jnp.sum((distances - 0.5) ** 2))


class DTLZ3(_DTLZ):
    """The sphere of DTLZ2 behind the many local ones of DTLZ1.

    ```pycon
    >>> problem = l2o.multiobjective.problems.DTLZ3(m=2, num_distances=1)
    >>> problem.losses(jnp.array([0.5, 0.5])).round(3)
    Array([0.707, 0.707], dtype=float32)
    ```
    """

    def losses(self, params: Float[Array, " n"]) -> Float[Array, " m"]:
        """All losses at `params`."""
        positions, distances = params[: self.m - 1], params[self.m - 1 :]
        return _sphere(positions) * (1 + _rastrigin(distances))


class DTLZ4(_DTLZ):
    """The sphere of DTLZ2, of which the edges are much easier to find.

    ```pycon
    >>> problem = l2o.multiobjective.problems.DTLZ4(m=2, num_distances=1)
    >>> problem.losses(jnp.array([0.0, 0.5])).round(3)
    Array([1., 0.], dtype=float32)
    ```
    """

    def losses(self, params: Float[Array, " n"]) -> Float[Array, " m"]:
        """All losses at `params`."""
        positions, distances = params[: self.m - 1], params[self.m - 1 :]
        return _sphere(positions**100) * (1 + jnp.sum((distances - 0.5) ** 2))
