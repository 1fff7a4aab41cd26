"""How much a loss rises near its parameters: at worst, and on average."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from l2o.flatness.estimate import Estimate, mean_of
from l2o.flatness.raveled import Loss, ravel
from l2o.support.checks import check_size
from l2o.support.keys import check_key
from l2o.support.scaling import length_and_unit, to_length


def sharpness(
    loss: Loss,
    params: PyTree,
    key: PRNGKeyArray | None = None,
    *,
    radius: Float[ArrayLike, ""] = 0.05,
    num_steps: int = 1,
) -> Float[Array, ""]:
    """How much the loss rises at most within a ball: max over |e| <= radius of f(x + e) - f(x).

    By ascent along the normalised gradient, projected on the ball, with steps as long as the
    radius. One step is the perturbation of SAM (Foret et al. 2021). The result is the
    highest rise met, so it is a lower bound, and at least 0.

    **Arguments:**

    - `loss`; `params`, x.
    - `key`: if given, the ascent starts at a random point of the sphere rather than at x: where
      the gradient vanishes, it does not say where to go.
    - `radius`: of the ball, in the Euclidean norm of all parameters.
    - `num_steps`: of the ascent; each costs a gradient.

    **Raises:** `ValueError` if there are no parameters, or `num_steps` is less than 1.

    ```pycon
    >>> loss = lambda x: 2 * jnp.sum(x**2)
    >>> print(f"{l2o.flatness.sharpness(loss, jnp.array([1.0]), radius=0.5):.3f}")
    2.500
    ```
    """
    check_size("num_steps", num_steps)
    if key is not None:
        check_key(key)
    flat = ravel(loss, params)
    centre = flat.params
    radius = jnp.asarray(radius, centre.dtype)
    base, gradient = jax.value_and_grad(flat.loss)(centre)
    if key is None:
        first = to_length(gradient, radius)
    else:
        first = to_length(jax.random.normal(key, centre.shape, centre.dtype), radius)

    def ascend(
        _: Array, carry: tuple[Float[Array, " size"], Float[Array, ""]]
    ) -> tuple[Float[Array, " size"], Float[Array, ""]]:
        deviation, highest = carry
        value, gradient = jax.value_and_grad(flat.loss)(centre + deviation)
        further = deviation + to_length(gradient, radius)
        norm, _ = length_and_unit(further)
        inside = further * jnp.minimum(1, radius / jnp.where(norm > 0, norm, 1))
        return inside, jnp.maximum(highest, value)

    # From a random start the gradient has not been used yet.
    remaining = num_steps - 1 if key is None else num_steps
    deviation, highest = jax.lax.fori_loop(0, remaining, ascend, (first, base))
    return jnp.maximum(highest, flat.loss(centre + deviation)) - base


def expected_sharpness(
    loss: Loss,
    params: PyTree,
    key: PRNGKeyArray,
    *,
    sigma: Float[ArrayLike, ""] = 0.05,
    num_samples: int = 16,
) -> Estimate:
    """How much the loss rises on average: E f(x + sigma z) - f(x), z normal.

    For a quadratic it is sigma^2 tr(H) / 2, whatever the gradient. Perturbations come in pairs of
    opposite signs, in which odd terms cancel.

    **Arguments:** `loss`; `params`, x; `key`; `sigma`, the standard deviation of each parameter's
    perturbation; `num_samples`, pairs.

    **Returns:** the estimate with its standard error over pairs.

    **Raises:** `ValueError` if there are no parameters or no samples.

    ```pycon
    >>> loss = lambda x: jnp.sum(x**2)
    >>> estimate = l2o.flatness.expected_sharpness(loss, jnp.zeros(2), jax.random.key(0))
    >>> float(estimate.value) > 0
    True
    ```
    """
    flat = ravel(loss, params)
    base = flat.loss(flat.params)
    sigma = jnp.asarray(sigma, flat.params.dtype)

    def rise(key: PRNGKeyArray) -> Float[Array, ""]:
        deviation = sigma * jax.random.normal(key, flat.params.shape, flat.params.dtype)
        above, below = flat.loss(flat.params + deviation), flat.loss(flat.params - deviation)
        return (above - base) / 2 + (below - base) / 2

    return mean_of(rise, key, num_samples)
