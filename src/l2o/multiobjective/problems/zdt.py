"""Zitzler, Deb and Thiele's problems, in a box."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.multiobjective.problems.problem import Problem

_PIECES = ((0.0, 0.083), (0.1822, 0.2578), (0.4093, 0.4539), (0.6184, 0.6525), (0.8233, 0.8518))


class _ZDT(Problem):
    """`f_1(x)` and `g h(f_1 / g)`; optimal where all parameters but the first are 0.

    The optimal set lies on the box's boundary: look at `box_criticality`, not at omega. Some
    derivatives are infinite where the first parameter is 0.
    """

    n: int = eqx.field(static=True, default=30)

    @abc.abstractmethod
    def losses(self, params: Float[Array, " n"]) -> Float[Array, "2"]:
        """Both losses at `params`."""

    @property
    def bounds(self) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        """From 0 to 1."""
        return jnp.zeros(self.n), jnp.ones(self.n)

    def sample_start(self, key: PRNGKeyArray) -> Float[Array, " n"]:
        """A uniform point of the box."""
        return jax.random.uniform(key, (self.n,), minval=self.bounds[0], maxval=self.bounds[1])

    def critical_set(self, num_points: int = 100) -> Float[Array, "points n"]:
        """Points with a first parameter between 0.001 and 1."""
        return self._with_first(jnp.linspace(0.001, 1.0, num_points))

    def _with_first(self, first: Float[Array, " points"]) -> Float[Array, "points n"]:
        return jnp.zeros((len(first), self.n)).at[:, 0].set(first)

    def _mean_of_rest(self, params: Float[Array, " n"]) -> Float[Array, ""]:
        return 1 + 9 * jnp.sum(params[1:]) / (self.n - 1)


class ZDT1(_ZDT):
    """A convex front, `f_2 = 1 - sqrt(f_1)`.

    ```pycon
    >>> l2o.multiobjective.problems.ZDT1(n=2).losses(jnp.array([0.25, 0.0]))
    Array([0.25, 0.5 ], dtype=float32)
    ```
    """

    def losses(self, params: Float[Array, " n"]) -> Float[Array, "2"]:
        """Both losses at `params`."""
        g = self._mean_of_rest(params)
        return jnp.stack([params[0], g * (1 - jnp.sqrt(params[0] / g))])


class ZDT2(_ZDT):
    """A concave front, `f_2 = 1 - f_1^2`.

    ```pycon
    >>> l2o.multiobjective.problems.ZDT2(n=2).losses(jnp.array([0.5, 0.0]))
    Array([0.5 , 0.75], dtype=float32)
    ```
    """

    def losses(self, params: Float[Array, " n"]) -> Float[Array, "2"]:
        """Both losses at `params`."""
        g = self._mean_of_rest(params)
        return jnp.stack([params[0], g * (1 - (params[0] / g) ** 2)])


class ZDT3(_ZDT):
    """A front of five pieces, `f_2 = 1 - sqrt(f_1) - f_1 sin(10 pi f_1)`.

    ```pycon
    >>> l2o.multiobjective.problems.ZDT3(n=2).losses(jnp.array([0.0, 0.0]))
    Array([0., 1.], dtype=float32)
    ```
    """

    def losses(self, params: Float[Array, " n"]) -> Float[Array, "2"]:
        """Both losses at `params`."""
        g = self._mean_of_rest(params)
        share = params[0] / g
        wave = share * jnp.sin(10 * jnp.pi * params[0])
        return jnp.stack([params[0], g * (1 - jnp.sqrt(share) - wave)])

    def critical_set(self, num_points: int = 100) -> Float[Array, "points n"]:
        """Points of the five pieces, a little inside of their ends."""
        pieces = jnp.array(_PIECES)[jnp.arange(num_points) % len(_PIECES)]
        share = jnp.linspace(0.02, 0.98, num_points)
        return self._with_first(pieces[:, 0] + share * (pieces[:, 1] - pieces[:, 0]))


class ZDT4(_ZDT):
    """The front of ZDT1 behind very many local ones.

    ```pycon
    >>> l2o.multiobjective.problems.ZDT4(n=2).losses(jnp.array([0.25, 0.0]))
    Array([0.25, 0.5 ], dtype=float32)
    ```
    """

    n: int = eqx.field(static=True, default=10)

    @property
    def bounds(self) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        """The first parameter from 0 to 1, the others from -5 to 5."""
        lower, upper = jnp.full(self.n, -5.0), jnp.full(self.n, 5.0)
        return lower.at[0].set(0.0), upper.at[0].set(1.0)

    def losses(self, params: Float[Array, " n"]) -> Float[Array, "2"]:
        """Both losses at `params`."""
        rest = params[1:]
        g = 1 + jnp.sum(10 + rest**2 - 10 * jnp.cos(4 * jnp.pi * rest))
        return jnp.stack([params[0], g * (1 - jnp.sqrt(params[0] / g))])


class ZDT6(_ZDT):
    """A concave front that is hard to cover, `f_2 = 1 - f_1^2`.

    The derivative of g is infinite on the optimal set, so no criticality can be taken there.

    ```pycon
    >>> l2o.multiobjective.problems.ZDT6(n=2).losses(jnp.array([0.0, 0.0]))
    Array([1., 0.], dtype=float32)
    ```
    """

    n: int = eqx.field(static=True, default=10)

    def losses(self, params: Float[Array, " n"]) -> Float[Array, "2"]:
        """Both losses at `params`."""
        first = 1 - jnp.exp(-4 * params[0]) * jnp.sin(6 * jnp.pi * params[0]) ** 6
        g = 1 + 9 * (jnp.sum(params[1:]) / (self.n - 1)) ** 0.25
        return jnp.stack([first, g * (1 - (first / g) ** 2)])
