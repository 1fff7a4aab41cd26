"""At which parameters an optimizer is judged: Schedule-Free ones at an average of theirs."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, PyTree


def evaluation_params(opt_state: PyTree, params: PyTree) -> PyTree:
    """The parameters to be used and judged, of an optimizer that stands at `params`.

    They are `params` themselves, but for Schedule-Free methods (Defazio et al. 2024,
    `optax.contrib.schedule_free`), whichever optimizers stand around them: these take gradients at
    other points than the average of their course, which is what they give to be used.

    ```pycon
    >>> params = jnp.ones(2)
    >>> state = l2o.from_optax(optax.sgd(0.1)).init(params)
    >>> l2o.optimizers.evaluation_params(state, params) is params
    True
    ```

    **Arguments:** `opt_state`, of the optimizer, also one of several tasks, stacked; `params`.
    """

    def is_schedule_free(node: PyTree) -> bool:
        return isinstance(node, optax.contrib.ScheduleFreeState)

    for node in jax.tree.leaves(opt_state, is_leaf=is_schedule_free):
        if is_schedule_free(node):
            params = _average(node, params)
    return params


def _average(state: optax.contrib.ScheduleFreeState, params: PyTree) -> PyTree:
    """As `optax.contrib.schedule_free_eval_params`, for stacked states and masked ones, too."""

    def of_tensor(point: Array | optax.MaskedNode, stepped: PyTree) -> PyTree:
        if isinstance(point, optax.MaskedNode):
            return stepped
        b1 = jnp.asarray(state.b1)
        b1 = b1.reshape(b1.shape + (1,) * (point.ndim - b1.ndim))
        return ((stepped - (1 - b1) * point) / b1).astype(stepped.dtype)

    return jax.tree.map(
        of_tensor, state.z, params, is_leaf=lambda node: isinstance(node, optax.MaskedNode)
    )
