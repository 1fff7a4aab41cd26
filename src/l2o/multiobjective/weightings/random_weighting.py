"""Random weighting."""

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.gradients import AnyGramian, as_gramian
from l2o.support.keys import check_key


def random_weighting(gramian: AnyGramian, *, key: PRNGKeyArray) -> Float[Array, " m"]:
    """Softmax of normal numbers, drawn anew at every step.

    Source: Lin et al. 2022, Reasonable Effectiveness of Random Weighting, where weights of
    gradients (RGW) and of losses (RLW) are the same thing for shared parameters.

    **Arguments:** `gramian`, of inner products of m gradients, of which only the size matters;
    `key`, randomness of the step.

    ```pycon
    >>> gramian = l2o.multiobjective.gramian(jnp.eye(2))
    >>> float(l2o.multiobjective.random_weighting(gramian, key=jax.random.key(0)).sum().round(3))
    1.0
    ```
    """
    check_key(key)
    norms = as_gramian(gramian).norms
    return jax.nn.softmax(jax.random.normal(key, norms.shape, norms.dtype))
