"""The protocol of a test problem with several objectives."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.multiobjective.indicators import non_dominated


class Problem(eqx.Module):
    """Several losses of one vector, and where it is Pareto-critical."""

    @abc.abstractmethod
    def losses(self, params: Float[Array, " n"]) -> Float[Array, " m"]:
        """All losses at `params`."""

    @abc.abstractmethod
    def sample_start(self, key: PRNGKeyArray) -> Float[Array, " n"]:
        """Draws parameters to start from."""

    @abc.abstractmethod
    def critical_set(self, num_points: int = 100) -> Float[Array, "points n"]:
        """Points that are spread over the Pareto-critical set; always the same ones."""

    def front(self, num_points: int = 100) -> Float[Array, "front m"]:
        """The Pareto front: the losses on `critical_set(num_points)` that none of them dominates.

        It is not meant for compiled programs, since it may have fewer points than were asked for.

        **Returns:** losses in the order of the first objective.
        """
        losses = jax.vmap(self.losses)(self.critical_set(num_points))
        front = losses[non_dominated(losses)]
        return front[jnp.argsort(front[:, 0])]

    def distance_to_critical_set(self, params: Float[Array, " n"]) -> Float[Array, ""]:
        """The distance to the Pareto-critical set: here to the nearest of 2,000 of its points."""
        return jnp.min(jnp.linalg.norm(self.critical_set(2000) - params, axis=1))

    @property
    def bounds(self) -> tuple[Float[Array, " n"], Float[Array, " n"]] | None:
        """Lower and upper bounds of the parameters; `None`, by default, without any."""
        return None

    def jacobian(self, params: Float[Array, " n"]) -> Float[Array, "m n"]:
        """The gradients of all losses, as rows."""
        return jax.jacrev(self.losses)(params)


def simplex_points(num_points: int, m: int) -> Float[Array, "points m"]:
    """Points of the simplex: evenly spread for two objectives, otherwise drawn once for all."""
    if m == 2:
        share = jnp.linspace(0.0, 1.0, num_points)
        return jnp.stack([share, 1 - share], axis=1)
    return jax.random.dirichlet(jax.random.key(0), jnp.ones(m), (num_points,))


def distance_to_segment(
    point: Float[Array, " n"], start: Float[Array, " n"], end: Float[Array, " n"]
) -> Float[Array, ""]:
    """The distance of a point to a straight line between two others."""
    along = end - start
    share = jnp.clip((point - start) @ along / (along @ along), 0.0, 1.0)
    return jnp.linalg.norm(point - start - share * along)
