"""The density of a loss's Hessian's eigenvalues."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from l2o.flatness._lanczos import lanczos
from l2o.flatness.estimate import draw
from l2o.flatness.hessian import hessian_product
from l2o.flatness.raveled import Loss, ravel
from l2o.support.checks import check_at_least, check_size

# Beyond so many widths a Gaussian is nothing in single precision; points in half a width make its
# sum exact in the same sense.
_MARGIN = 5.5
_POINTS_PER_WIDTH = 2


class SpectralDensity(eqx.Module):
    """How the eigenvalues of a Hessian are distributed."""

    grid: Float[Array, "*batch points"]
    """Eigenvalues, evenly spaced."""
    density: Float[Array, "*batch points"]
    """The share of eigenvalues per unit; integrates to 1."""
    nodes: Float[Array, "*batch probes steps"]
    """Ritz values of each probe, before smoothing."""
    weights: Float[Array, "*batch probes steps"]
    """The share of eigenvalues that each node stands for; they sum to 1 for each probe."""

    def moment(self, order: int) -> Float[Array, "*batch"]:
        """The mean of lambda^order over eigenvalues: tr(H^order) / parameters, unsmoothed.

        Powers outside of the range of the eigenvalues' precision are 0 or infinite.
        """
        return jnp.mean(jnp.sum(self.weights * self.nodes**order, -1), -1)


def spectral_density(
    loss: Loss,
    params: PyTree,
    key: PRNGKeyArray,
    *,
    num_probes: int = 8,
    num_products: int = 40,
    relative_width: float = 0.01,
) -> SpectralDensity:
    """The density of the Hessian's eigenvalues by stochastic Lanczos quadrature.

    For each random probe, Lanczos' method gives a Gauss quadrature of the spectrum; the mean of
    them is smoothed with a Gaussian. Sources: Ubaru, Chen and Saad 2017; Ghorbani, Krishnan and
    Xiao 2019.

    **Arguments:** `loss`; `params`, where to measure; `key`, for the probes; `num_probes`;
    `num_products`, of the Hessian with a vector for each; `relative_width`, the standard deviation
    of the Gaussian relative to the spectral norm.

    **Raises:** `ValueError` if there are no parameters, or a number is out of range.

    ```pycon
    >>> loss = lambda x: x @ jnp.diag(jnp.array([1.0, 2.0, 5.0])) @ x / 2
    >>> density = l2o.flatness.spectral_density(
    ...     loss, jnp.zeros(3), jax.random.key(0), num_probes=2, num_products=3
    ... )
    >>> float(density.nodes.max().round(3))
    5.0
    ```
    """
    check_size("num_products", num_products)
    check_at_least("relative_width", relative_width, 1e-4)
    flat = ravel(loss, params)
    product = hessian_product(flat.loss, flat.params)

    def quadrature(key: PRNGKeyArray) -> Float[Array, "2 steps"]:
        probe = jax.random.rademacher(key, flat.params.shape, flat.params.dtype)
        pairs = lanczos(product, probe, num_products)
        return jnp.stack([pairs.values, pairs.weights])

    quadratures = draw(quadrature, key, num_probes)
    nodes, weights = quadratures[:, 0], quadratures[:, 1]
    norm = jnp.max(jnp.abs(nodes))
    width = relative_width * jnp.where(norm > 0, norm, 1)
    num_points = math.ceil(_POINTS_PER_WIDTH * (2 / relative_width + 2 * _MARGIN)) + 1
    grid = jnp.linspace(
        jnp.min(nodes) - _MARGIN * width, jnp.max(nodes) + _MARGIN * width, num_points
    )

    def density(point: Float[Array, ""]) -> Float[Array, ""]:
        kernel = jnp.exp(-0.5 * ((point - nodes) / width) ** 2) / (width * math.sqrt(2 * math.pi))
        return jnp.sum(weights * kernel) / num_probes

    return SpectralDensity(grid, jax.vmap(density)(grid), nodes, weights)
