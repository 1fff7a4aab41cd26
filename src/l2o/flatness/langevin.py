"""Local entropy by stochastic gradient Langevin dynamics (SGLD)."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from l2o.flatness.estimate import Estimate, mean_of
from l2o.flatness.raveled import Loss, lay_out, moves, ravel
from l2o.support.checks import check_size
from l2o.support.keys import check_key


def sgld_mean(
    gradient: Callable[[PyTree, PRNGKeyArray], PyTree],
    params: PyTree,
    gamma: Float[ArrayLike, ""],
    step_size: Float[ArrayLike, ""],
    num_steps: int,
    noise: Float[ArrayLike, ""],
    averaging: Float[ArrayLike, ""],
    key: PRNGKeyArray,
) -> PyTree:
    """The mean of the neighbourhood that a loss prefers, by Entropy-SGD's inner loop.

    Starting from x' = mu = x, each step is

        x' <- x' - step_size (grad f(x') + gamma (x' - x)) + noise sqrt(2 step_size) xi,
        mu <- averaging mu + (1 - averaging) x',

    xi normal. For small steps, `noise` = 1 and many of them, mu is a sample of the running mean
    under p(x') ~ exp(-f(x') - gamma |x' - x|^2 / 2), and gamma (x - mu) of the gradient of minus
    the local entropy. The defaults of the released code are step_size 0.1, 20 steps, noise 1e-4
    and averaging 0.75. Source: Chaudhari et al. 2017, without its momentum.

    **Arguments:** `gradient`, of the loss at given parameters with a key for the minibatch;
    `params`, x; `gamma`; `step_size`; `num_steps`; `noise`, the standard deviation relative to that
    of Langevin dynamics; `averaging`, in [0, 1); `key`.

    **Returns:** mu, a pytree like `params`. Memory is that of `num_steps` times the parameters.

    **Raises:** `ValueError` if there are no parameters, or `num_steps` is less than 1.

    ```pycon
    >>> mean = l2o.flatness.sgld_mean(
    ...     lambda x, key: 2 * (x - 1),
    ...     jnp.zeros(1),
    ...     gamma=0.0,
    ...     step_size=0.1,
    ...     num_steps=50,
    ...     noise=0.0,
    ...     averaging=0.5,
    ...     key=jax.random.key(0),
    ... )
    >>> mean.round(3)  # nothing pulls it back from the minimum
    Array([1.], dtype=float32)
    ```
    """
    check_key(key)
    check_size("num_steps", num_steps)
    mask = moves(params)
    layout = lay_out(params)
    centre = layout.params

    def draw(index: Array) -> tuple[PRNGKeyArray, Float[Array, " size"]]:
        batch_key, noise_key = jax.random.split(jax.random.fold_in(key, index))
        return batch_key, jax.random.normal(noise_key, centre.shape, centre.dtype)

    # Drawn ahead: within the loop random numbers would take longer than gradients.
    batch_keys, normal = jax.vmap(draw)(jnp.arange(num_steps))
    size = jnp.asarray(step_size, centre.dtype)
    kicks = jnp.asarray(noise, centre.dtype) * jnp.sqrt(2 * size) * normal
    pull, kept = jnp.asarray(gamma, centre.dtype), jnp.asarray(averaging, centre.dtype)

    def step(
        carry: tuple[Float[Array, " size"], Float[Array, " size"]],
        random: tuple[PRNGKeyArray, Float[Array, " size"]],
    ) -> tuple[tuple[Float[Array, " size"], Float[Array, " size"]], None]:
        (point, mean), (key, kick) = carry, random
        slope, _ = ravel_pytree(eqx.filter(gradient(layout.point(point), key), mask))
        point = point - size * (slope + pull * (point - centre)) + kick
        return (point, kept * mean + (1 - kept) * point), None

    (_, mean), _ = jax.lax.scan(step, (centre, centre), (batch_keys, kicks))
    return eqx.combine(eqx.filter(layout.direction(mean), mask), params)


def entropy_gap_by_sgld(
    loss: Loss,
    params: PyTree,
    gamma: Float[ArrayLike, ""],
    key: PRNGKeyArray,
    *,
    step_size: Float[ArrayLike, ""],
    num_steps: int = 200,
    num_chains: int = 8,
    num_temperatures: int = 4,
) -> Estimate:
    """The gap of `entropy_gap` by thermodynamic integration along chains of Langevin dynamics.

    Delta is the integral of E_t[f(x') - f(x)] over t in [0, 1], where
    p_t(x') ~ exp(-t f(x') - gamma |x' - x|^2 / 2); each expectation is the mean along the second
    half of a chain. Unlike importance sampling it needs no good proposal, but it is biased: by the
    step size, by chains that have not forgotten their start, and by the Gauss-Legendre rule in t.
    Source: Kirkwood 1935 for the integral; Welling and Teh 2011 for the dynamics.

    **Arguments:**

    - `loss`; `params`, x; `gamma`, as for `entropy_gap`; `key`.
    - `step_size`: of the dynamics; accurate far below 1 / (gamma + spectral norm).
    - `num_steps`: of each chain.
    - `num_chains`: independent ones, from which the standard error follows.
    - `num_temperatures`: values of t.

    **Returns:** the estimate with its standard error over chains, which knows nothing of the bias.

    **Raises:** `ValueError` if there are no parameters, or a number is out of range.

    ```pycon
    >>> loss = lambda x: 5 * jnp.sum(x**2)
    >>> gap = l2o.flatness.entropy_gap_by_sgld(
    ...     loss, jnp.zeros(1), 10.0, jax.random.key(0), step_size=1e-3, num_steps=50
    ... )
    >>> float(gap) > 0
    True
    ```
    """
    check_size("num_steps", num_steps, least=2)
    check_size("num_temperatures", num_temperatures)
    flat = ravel(loss, params)
    centre = flat.params
    base = flat.loss(centre)
    roots, root_weights = np.polynomial.legendre.leggauss(num_temperatures)
    temperatures = jnp.asarray((roots + 1) / 2, centre.dtype)
    weights = jnp.asarray(root_weights / 2, centre.dtype)
    burn_in = num_steps // 2
    gamma = jnp.asarray(gamma, centre.dtype)
    rate = gamma * jnp.asarray(step_size, centre.dtype)
    decay = jnp.exp(-rate)
    pace = -jnp.expm1(-rate) / gamma
    spread = jnp.sqrt(-jnp.expm1(-2 * rate) / gamma)

    def mean_rise(inverse_temperature: Array, key: PRNGKeyArray) -> Float[Array, ""]:
        def step(
            index: Array, carry: tuple[Float[Array, " size"], Float[Array, ""]]
        ) -> tuple[Float[Array, " size"], Float[Array, ""]]:
            point, total = carry
            value, slope = jax.value_and_grad(flat.loss)(point)
            total = total + jnp.where(index >= burn_in, value - base, 0)
            # The part of gamma is solved exactly, so that flat losses have no bias.
            normal = jax.random.normal(
                jax.random.fold_in(key, index + 1), centre.shape, centre.dtype
            )
            point = centre + decay * (point - centre) - pace * inverse_temperature * slope
            return point + spread * normal, total

        start = jax.random.normal(jax.random.fold_in(key, 0), centre.shape, centre.dtype)
        carry = (centre + start / jnp.sqrt(gamma), jnp.zeros_like(base))
        _, total = jax.lax.fori_loop(0, num_steps, step, carry)
        return total / (num_steps - burn_in)

    def integral(key: PRNGKeyArray) -> Float[Array, ""]:
        keys = jax.random.split(key, num_temperatures)
        return jnp.sum(weights * jax.vmap(mean_rise)(temperatures, keys))

    return mean_of(integral, key, num_chains)
