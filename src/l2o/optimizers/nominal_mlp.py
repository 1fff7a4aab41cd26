"""NominalMLP: NAdamW's step, and what a small network adds to it."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from l2o.optimizers import settings
from l2o.optimizers.factored import (
    FactoredMoments,
    init_factored,
    inverse_roots,
    update_factored,
)
from l2o.optimizers.layout import Group, Layout, Rows
from l2o.optimizers.moving_averages import moving_averages
from l2o.optimizers.newton_schulz import orthogonal_of_same_size
from l2o.optimizers.parameters import bounded
from l2o.optimizers.perceptron import Perceptron
from l2o.optimizers.tensorwise import TensorwiseOptimizer
from l2o.support.keys import check_key
from l2o.support.scaling import power_of_two

_DECAYS = (0.9, 0.99)
_SQUARE_DECAY = 0.999
_NUM_DIRECTIONS = 7
_NUM_FEATURES = 7
_LARGEST_DIRECTION = 10.0
_EPSILON = 1e-8
_SMALLEST_SHARE = 1e-3


class NominalState(eqx.Module):
    """What is remembered of all tensors."""

    averages: Float[Array, "2 rows width"]
    mean_squares: Rows
    factored: tuple[FactoredMoments | None, ...]
    """An entry for each shape that tensors have; nothing for vectors."""
    unit: Float[Array, " pieces"]
    """The power of two in which a tensor's gradients are measured: that of the first which was not
    zero, and zero until there is one."""
    initial_size: Float[Array, " pieces"]
    """The root mean square of a tensor at the beginning."""


class NominalMLP(TensorwiseOptimizer):
    """NAdam's direction and a learned mixture of seven, weighted by a network for each number.

    The update is the learning rate times `-(n + sum_k w_k d_k)`. `n` is NAdam's direction (Dozat
    2016). `d_k` are `n`, the gradient and its moving averages over the root of their second
    moment, in full and factored, and a sign. The weights `w_k` are outputs of a network with one
    hidden layer, which sees how large the directions are, how they agree, and whether they point
    towards zero. Its last layer begins as zero: without meta-training this is NAdam, or NAdamW with
    decoupled weight decay around it, and what meta-training brings is what it gains on that. With
    the default size it has 97 meta-parameters, and a little more than three numbers of state for a
    parameter. A nominal direction beside a network: *STAR*, Harrison et al., NeurIPS 2022.

    It sees no time but through NAdam's bias correction, and of gradients ratios alone. So gradients
    of any scale, each tensor's own, give the same updates, and those of the other sign the
    opposite ones. Warm-up, schedule and weight decay stand around it, as around Optax's rules.

    With `relative`, steps have no unit. A matrix moves by the learning rate times its root mean
    square, which counts as at least a thousandth of that at the beginning. Vectors, such as biases,
    and matrices that begin at zero have no size to go by: they move so far that, to first order,
    each of their numbers changes the loss as much as one of the other matrices does on average.
    Parameters in other units, tensor by tensor, then take the same course.

    ```pycon
    >>> rule = l2o.optimizers.NominalMLP(learning_rate=0.1, key=jax.random.key(0))
    >>> params = {"weight": jnp.ones((3, 2)), "bias": jnp.zeros(2)}
    >>> updates, _ = rule.update(params, rule.init(params), params)
    >>> round(float(updates["weight"][0, 0]), 4)
    -0.1474
    ```

    **Arguments:**

    - `hidden_size`: Units of the hidden layer.
    - `orthogonal`: Orthogonalises the directions of matrices by Newton-Schulz iteration, and keeps
      their root mean squares; tensors of higher rank are the squarest matrices that their axes
      make. Embeddings are matrices, too.
    - `relative`: Measures steps in units of each tensor's own size.
    - `learning_rate`: Factor of all directions.
    - `key`: Of the initial weights.

    **Raises:** `ValueError` for settings out of range.
    """

    network: Perceptron
    hidden_size: int = eqx.field(static=True)
    orthogonal: bool = eqx.field(static=True)
    relative: bool = eqx.field(static=True)
    learning_rate: float = eqx.field(static=True)

    def __init__(
        self,
        hidden_size: int = 6,
        orthogonal: bool = False,
        relative: bool = False,
        learning_rate: float = 1e-3,
        *,
        key: PRNGKeyArray,
    ) -> None:
        self.hidden_size = settings.size("hidden_size", hidden_size)
        self.orthogonal = settings.switch("orthogonal", orthogonal)
        self.relative = settings.switch("relative", relative)
        self.learning_rate = settings.factor("learning_rate", learning_rate)
        check_key(key)
        network = Perceptron((_NUM_FEATURES, hidden_size, _NUM_DIRECTIONS), key=key)
        last = jnp.zeros_like(network.weights[-1])
        self.network = eqx.tree_at(lambda network: network.weights[-1], network, last)

    def config(self) -> dict[str, Any]:
        """The constructor's keywords, without the key."""
        return {
            "hidden_size": self.hidden_size,
            "orthogonal": self.orthogonal,
            "relative": self.relative,
            "learning_rate": self.learning_rate,
        }

    def init_tensors(self, params: tuple[Group, ...], layout: Layout) -> NominalState:
        """No gradient so far."""
        return NominalState(
            averages=jnp.zeros((len(_DECAYS), *layout.shape)),
            mean_squares=jnp.zeros(layout.shape),
            factored=tuple(init_factored(group, 1) if group.ndim > 2 else None for group in params),
            unit=jnp.zeros(layout.num_pieces),
            initial_size=layout.root_mean_square(layout.join(params)),
        )

    def step(
        self,
        gradients: tuple[Group, ...],
        state: NominalState,
        params: tuple[Group, ...],
        step: Int[Array, ""],
        layout: Layout,
    ) -> tuple[tuple[Group, ...], NominalState]:
        """One step of the rule."""
        gradient, parameter = layout.join(gradients), layout.join(params)
        largest = layout.largest(gradient)
        first = jnp.where(largest > 0, power_of_two(largest, axes=()), 0.0)
        unit = jnp.where(state.unit > 0, state.unit, first)
        gradient = bounded(gradient / layout.spread(jnp.where(unit > 0, unit, 1.0)))
        dtype = gradient.dtype
        square_decay = jnp.asarray([_SQUARE_DECAY], dtype)
        state = NominalState(
            averages=moving_averages(state.averages, gradient, jnp.asarray(_DECAYS, dtype)),
            mean_squares=moving_averages(state.mean_squares[None], gradient**2, square_decay)[0],
            factored=tuple(
                None if factored is None else update_factored(group, factored, square_decay)
                for group, factored in zip(layout.split(gradient), state.factored, strict=True)
            ),
            unit=unit,
            initial_size=state.initial_size,
        )
        size = layout.root_mean_square(parameter)
        nominal, directions = _directions(gradient, state, step, layout)
        relative = parameter / layout.spread(jnp.where(size > 0, size, 1.0))
        weights = self.network(_features(directions, relative))
        direction = nominal + sum(map(jnp.multiply, weights, directions))
        step_size = _step_size(state, size, layout) if self.relative else jnp.ones_like(size)
        groups = layout.split(-self.learning_rate * layout.spread(step_size) * direction)
        if self.orthogonal:
            groups = tuple(
                jax.vmap(orthogonal_of_same_size)(group) if group.ndim > 2 else group
                for group in groups
            )
        return groups, state


def _step_size(
    state: NominalState, size: Float[Array, " pieces"], layout: Layout
) -> Float[Array, " pieces"]:
    """The size of each tensor's step with a learning rate of one, in relative mode.

    To first order, the loss changes by `size * of_gradient` where a number changes by its size; the
    mean of that over matrices that do not begin at zero says how far the others go.
    """
    size = jnp.maximum(size, _SMALLEST_SHARE * state.initial_size)
    of_gradient = state.unit * _root(layout.mean(state.mean_squares))
    is_matrix = layout.is_matrix & (state.initial_size > 0)
    count = jnp.sum(is_matrix)
    change = jnp.sum(jnp.where(is_matrix, size * of_gradient, 0.0)) / jnp.maximum(count, 1)
    of_change = change / jnp.where(of_gradient > 0, of_gradient, 1.0)
    otherwise = jnp.where(size > 0, size, 1.0)
    return jnp.where(~is_matrix & (change > 0), of_change, otherwise)


def _directions(
    gradient: Rows,
    state: NominalState,
    step: Int[Array, ""],
    layout: Layout,
) -> tuple[Rows, list[Rows]]:
    """NAdam's direction, and all seven that can be mixed."""
    count = (step + 1).astype(gradient.dtype)
    decays = jnp.asarray(_DECAYS, gradient.dtype)
    fast, slow = state.averages / (1 - decays**count)[:, None, None]
    decay = decays[0]
    ahead = decay * state.averages[0] / (1 - decay ** (count + 1)) + (1 - decay) * gradient / (
        1 - decay**count
    )
    correction = 1 - jnp.asarray(_SQUARE_DECAY, gradient.dtype) ** count
    inverse_root = 1 / (_root(state.mean_squares / correction) + _EPSILON)
    corrected = jax.tree.map(lambda average: average / correction, state.factored)
    factors = layout.join(
        [
            jnp.zeros((1,) * len(shape), gradient.dtype)
            if factored is None
            else inverse_roots(factored, shape)[0]
            for factored, shape in zip(corrected, layout.shapes, strict=True)
        ]
    )
    factors = jnp.where(layout.spread(jnp.asarray(layout.is_matrix)), factors, inverse_root)
    nominal = ahead * inverse_root
    others = [
        gradient * inverse_root,
        fast * inverse_root,
        slow * inverse_root,
        fast * factors,
        slow * factors,
    ]
    bounds = (-_LARGEST_DIRECTION, _LARGEST_DIRECTION)
    mixed = jnp.sign(decay * slow + (1 - decay) * gradient)
    clipped = [jnp.clip(direction, *bounds) for direction in (nominal, *others)]
    return nominal, [*clipped, mixed]


def _features(directions: list[Rows], relative: Rows) -> list[Rows]:
    """How large directions are, how they agree, and whether they point towards zero.

    All are between -1 and 1, and stay what they are where gradient and parameter change sign.
    """
    nominal, gradient, fast, slow, fast_factored, *_ = directions
    products = [
        jnp.abs(nominal),
        jnp.abs(gradient),
        jnp.abs(slow),
        jnp.abs(fast_factored),
        gradient * fast,
        fast * slow,
        relative * nominal,
    ]
    return [product * jax.lax.rsqrt(1 + product**2) for product in products]


def _root(squares: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Square roots, with a derivative at zero."""
    positive = squares > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1.0)), 0.0)
