"""Optimizers that orthogonalise what they do to matrices, and treat vectors as Adam does."""

from typing import Any

import jax
import optax
from jaxtyping import Array, Float

from l2o.optimizers.newton_schulz import orthogonal_of_same_size, squarest_split

# Root mean square of Muon's updates over the learning rate: about that of AdamW's, so that both
# take one learning rate and one weight decay (Liu et al. 2025).
_MUON_SIZE = 0.2


def is_hidden_matrix(path: tuple[Any, ...], tensor: Array) -> bool:
    """Whether a tensor maps a layer to the next: it has two axes or more and is no embedding.

    An embedding is known by its name, in which there is "embed".

    ```pycon
    >>> params = {"embedding": jnp.ones((5, 2)), "layers": [jnp.ones((2, 3)), jnp.ones(3)]}
    >>> jax.tree_util.tree_map_with_path(is_hidden_matrix, params)
    {'embedding': False, 'layers': [True, False]}
    ```
    """
    named = jax.tree_util.keystr(path).lower()
    return tensor.ndim > 1 and tensor.size > 0 and "embed" not in named


def muon(
    learning_rate: optax.ScalarOrSchedule,
    beta: float | Float[Array, ""],
    adam_b1: float | Float[Array, ""],
    adam_b2: float | Float[Array, ""],
    weight_decay: float | Float[Array, ""],
) -> optax.GradientTransformation:
    """Optax's Muon on hidden matrices, tensors of more axes being their squarest ones, and AdamW.

    AdamW is Optax's with Nesterov momentum there.
    """
    return optax.contrib.muon(
        learning_rate,
        beta=beta,
        weight_decay=weight_decay,
        adam_b1=adam_b1,
        adam_b2=adam_b2,
        adam_weight_decay=weight_decay,
        consistent_rms=_MUON_SIZE,
        muon_weight_dimension_numbers=_dimension_numbers,
    )


def _dimension_numbers(params: optax.Params) -> Any:
    """Which axes of each tensor are rows and columns; `None` where it is AdamW's."""

    def of_tensor(
        path: tuple[Any, ...], tensor: Array
    ) -> optax.contrib.MuonDimensionNumbers | None:
        if not is_hidden_matrix(path, tensor):
            return None
        axes, place = tuple(range(tensor.ndim)), squarest_split(tensor.shape)
        return optax.contrib.MuonDimensionNumbers(axes[:place], axes[place:])

    return jax.tree_util.tree_map_with_path(of_tensor, params)


def orthogonal_nadamw(
    learning_rate: optax.ScalarOrSchedule,
    b1: float | Float[Array, ""],
    b2: float | Float[Array, ""],
    eps: float | Float[Array, ""],
    weight_decay: float | Float[Array, ""],
) -> optax.GradientTransformation:
    """NAdamW whose directions of hidden matrices get equal singular values, and keep their size."""

    def update(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.OptState]:
        del params

        def of_tensor(path: tuple[Any, ...], direction: Array) -> Array:
            is_hidden = is_hidden_matrix(path, direction)
            return orthogonal_of_same_size(direction) if is_hidden else direction

        return jax.tree_util.tree_map_with_path(of_tensor, updates), state

    return optax.chain(
        optax.scale_by_adam(b1=b1, b2=b2, eps=eps, nesterov=True),
        optax.GradientTransformation(lambda params: optax.EmptyState(), update),
        optax.add_decayed_weights(weight_decay),
        optax.scale_by_learning_rate(learning_rate),
    )
