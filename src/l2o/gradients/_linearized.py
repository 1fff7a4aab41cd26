"""Gradients of all objectives without a Jacobian."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from l2o.gradients._gramian import Gramian, divided, from_own_units, largest_number
from l2o.gradients.checks import Losses, shape_of_losses
from l2o.gradients.jacobian import Jacobian
from l2o.gradients.protocol import Gradients
from l2o.support.checks import check_integer
from l2o.support.scaling import power_of_two


class LinearizedGradients(Gradients):
    """The losses' linearization, from which rows of J are made anew where they are needed.

    The columns of the Gramian are `J (J'e_i)`, one backward and one forward pass each, exact to
    rounding; `J'w` is one backward pass. No more than `chunk_size` rows exist at a time.
    """

    losses: Float[Array, " m"]
    params: PyTree
    pushforward: Callable[[PyTree], Float[Array, " m"]]
    """`d -> Jd`; the intermediate results of the losses are its leaves."""
    chunk_size: int = eqx.field(static=True)

    def gramian(self) -> Gramian:
        """Inner products of the gradients, `JJ'`, in the losses' precision.

        Norms may be of any size in its range, with room for the root of the number of parameters.
        """

        def column(unit: Float[Array, " m"]) -> tuple[Float[Array, " m"], Float[Array, ""]]:
            row = self.combine(unit)
            power = power_of_two(largest_number(row))
            return self.pushforward(divided(row, power)), power

        units = jnp.eye(len(self.losses), dtype=self.losses.dtype)
        products, powers = jax.lax.map(column, units, batch_size=self.chunk_size)
        return from_own_units(products / powers, powers)

    def combine(self, weights: Float[Array, " m"]) -> PyTree:
        """The weighted sum of the gradients, `J'w`; zero if all weights are, whatever J is."""
        pullback = jax.linear_transpose(self.pushforward, self.params)
        (combined,) = pullback(weights.astype(self.losses.dtype))
        nothing = jnp.all(weights == 0.0)
        return jax.tree.map(lambda leaf: jnp.where(nothing, 0, leaf), combined)

    def stack(self) -> Jacobian:
        """The Jacobian, by m backward passes made together."""
        return jax.vmap(self.combine)(jnp.eye(len(self.losses), dtype=self.losses.dtype))


def linearized(losses: Losses, params: PyTree, *, chunk_size: int = 1) -> LinearizedGradients:
    """The gradients by linearization, in memory of `chunk_size` gradients instead of m.

    **Arguments:** `losses`, from parameters to m losses; `params`; `chunk_size`, how many
    gradients are made together, of which m need not be a multiple.

    **Raises:** `ValueError` if `losses` does not give a vector, parameters are not floating-point
    arrays, or `chunk_size` is less than 1.

    ```pycon
    >>> losses = lambda x: jnp.stack([jnp.sum((x - 1) ** 2), jnp.sum((x + 1) ** 2)])
    >>> found = l2o.multiobjective.linearized(losses, jnp.zeros(2))
    >>> found.combine(jnp.array([0.5, 0.5]))
    Array([0., 0.], dtype=float32)
    ```
    """
    check_integer("chunk_size", chunk_size, least=1)
    shape_of_losses(losses, params)
    values, pushforward = jax.linearize(losses, params)
    return LinearizedGradients(values, params, pushforward, chunk_size)
