"""Inequalities between the Hessian and local entropy.

They are derived here (`docs/flatness.md` has the proof). Yang et al. (2023) announce that the
Hessian is bounded by a function of local entropy; their statement was not available to us, and
this is not it.

For f(x + d) = f(x) + g'd + d'Hd / 2 with H positive semi-definite, the gap of `entropy_gap` is

    2 Delta = sum_i ln(1 + lambda_i / gamma) - sum_i g_i^2 / (gamma + lambda_i)

in the eigenbasis of H, and hence

    ln(1 + lambda_max / gamma) - |g|^2 / gamma <= 2 Delta <= tr(H) / gamma.

For other losses they hold as far as the loss is quadratic within a few 1 / sqrt(gamma).
"""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float


def quadratic_entropy_gap(
    eigenvalues: Float[ArrayLike, "*batch parameters"],
    gradient: Float[ArrayLike, "*batch parameters"],
    gamma: Float[ArrayLike, ""],
) -> Float[Array, "*batch"]:
    """The exact gap of a quadratic.

    **Arguments:** `eigenvalues` of the Hessian, all above -`gamma`; `gradient`, in its eigenbasis;
    `gamma`, the inverse of the variance of each parameter's perturbation.

    ```pycon
    >>> gap = l2o.flatness.quadratic_entropy_gap(jnp.array([10.0]), jnp.zeros(1), gamma=10.0)
    >>> print(f"{gap:.4f}")  # ln(1 + 10 / 10) / 2
    0.3466
    ```
    """
    values, slopes = jnp.asarray(eigenvalues), jnp.asarray(gradient)
    terms = jnp.log1p(values / gamma) - slopes * (slopes / (gamma + values))
    return jnp.sum(terms, -1) / 2


def eigenvalue_bound(
    gap: Float[ArrayLike, "*batch"],
    gamma: Float[ArrayLike, "*batch"],
    gradient_norm: Float[ArrayLike, "*batch"] = 0.0,
) -> Float[Array, "*batch"]:
    """What the largest eigenvalue of the Hessian cannot exceed, given the entropy gap.

    gamma (exp(2 Delta + |g|^2 / gamma) - 1), for convex quadratics. It is attained where H has rank
    one and g = 0. With many eigenvalues of one size it is far above, exponentially in their number.

    **Arguments:** `gap`, Delta; `gamma`, with which it was measured; `gradient_norm`, |g|.

    ```pycon
    >>> gap = l2o.flatness.quadratic_entropy_gap(jnp.array([2.0, 1.0]), jnp.zeros(2), gamma=10.0)
    >>> float(l2o.flatness.eigenvalue_bound(gap, gamma=10.0)) >= 2.0
    True
    ```
    """
    exponent = 2 * jnp.asarray(gap) + _squared_over(gradient_norm, gamma)
    return jnp.asarray(gamma) * jnp.expm1(exponent)


def trace_bound(
    gap: Float[ArrayLike, "*batch"], gamma: Float[ArrayLike, "*batch"]
) -> Float[Array, "*batch"]:
    """What the trace of the Hessian cannot fall below, given the entropy gap.

    2 gamma Delta, for convex quadratics, whatever the gradient. It becomes exact for large gamma
    where g = 0.

    **Arguments:** `gap`, Delta; `gamma`, with which it was measured.

    ```pycon
    >>> gap = l2o.flatness.quadratic_entropy_gap(jnp.array([2.0, 1.0]), jnp.zeros(2), gamma=10.0)
    >>> float(l2o.flatness.trace_bound(gap, gamma=10.0)) <= 3.0
    True
    ```
    """
    return 2 * jnp.asarray(gamma) * jnp.asarray(gap)


def entropy_gap_bounds(
    top_eigenvalue: Float[ArrayLike, "*batch"],
    trace: Float[ArrayLike, "*batch"],
    gamma: Float[ArrayLike, "*batch"],
    gradient_norm: Float[ArrayLike, "*batch"] = 0.0,
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """Between which numbers the entropy gap lies, given the Hessian: for convex quadratics.

    **Arguments:** `top_eigenvalue` and `trace` of the Hessian; `gamma`, for the gap;
    `gradient_norm`, |g|.

    **Returns:** the lower bound (ln(1 + lambda_max / gamma) - |g|^2 / gamma) / 2, and the upper
    bound tr(H) / (2 gamma).

    ```pycon
    >>> low, high = l2o.flatness.entropy_gap_bounds(top_eigenvalue=2.0, trace=3.0, gamma=10.0)
    >>> gap = l2o.flatness.quadratic_entropy_gap(jnp.array([2.0, 1.0]), jnp.zeros(2), gamma=10.0)
    >>> bool(low <= gap <= high)
    True
    ```
    """
    ratio = jnp.asarray(top_eigenvalue) / gamma
    lower = (jnp.log1p(ratio) - _squared_over(gradient_norm, gamma)) / 2
    return lower, jnp.asarray(trace) / (2 * jnp.asarray(gamma))


def _squared_over(
    norm: Float[ArrayLike, "*batch"], gamma: Float[ArrayLike, "*batch"]
) -> Float[Array, "*batch"]:
    """|g|^2 / gamma, where |g|^2 alone could overflow or vanish."""
    return jnp.asarray(norm) * (jnp.asarray(norm) / gamma)
