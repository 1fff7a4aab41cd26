"""Exponential moving averages of numbers at several time scales, without bias correction."""

from jaxtyping import Array, Float


def moving_averages(
    before: Float[Array, " scales *shape"],
    now: Float[Array, "*shape"],
    decays: Float[Array, " scales"],
) -> Float[Array, " scales *shape"]:
    """`decay * before + (1 - decay) * now`, for each decay rate.

    >>> moving_averages(jnp.ones((2, 1)), jnp.zeros(1), jnp.asarray([0.9, 0.99]))[:, 0].tolist()
    [0.8999999761581421, 0.9900000095367432]
    """
    decay = decays.reshape(-1, *[1] * now.ndim)
    return decay * before + (1 - decay) * now
