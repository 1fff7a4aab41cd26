"""The derivative of a recurrent optimizer's updates, block by block of coordinates.

With gradients held constant, the update of one coordinate depends on nothing but that
coordinate's gradients. So, once the inner loop has run and its gradients are noted down, the
derivative of `sum_t <cotangent_t, update_t>` with respect to the meta-parameters is a sum over
coordinates, and each block of them can be run forward and backward over all steps by itself. What
the backward pass needs of the forward one then lives in the processor's cache, instead of some
two hundred numbers for every coordinate and step going out to memory and back.

Long sequences are cut into segments: a first pass notes the state where each begins, and the
backward pass runs each again from there.
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from l2o.optimizers.layers import Layer, Record, Rows, State
from l2o.optimizers.parameters import dtype_of, with_dtypes_of
from l2o.optimizers.recurrent import RecurrentOptimizer, RecurrentState

# The records of one block and segment should stay in a processor's cache. An accelerator needs as
# many coordinates at once as there are, and has room for them.
_RECORD_BYTES = {"cpu": 8 * 2**20}
_RECORD_BYTES_OF_ACCELERATOR = 2**30
_LONGEST_SEGMENT = 25
_SMALLEST_BLOCK = 64


def coordinate_gradient(
    optimizer: RecurrentOptimizer,
    state: RecurrentState,
    step: Int[Array, ""],
    fresh: Bool[Array, ""],
    gradients: Float[Array, "steps coordinates"],
    cotangents: Float[Array, "steps coordinates"],
) -> RecurrentOptimizer:
    """The derivative of `sum_t <cotangents_t, updates_t>` with respect to the meta-parameters.

    **Arguments:**

    - `optimizer`: the optimizer that made the updates.
    - `state`: of all coordinates before the first of these steps.
    - `step`: the number of steps before the first of these.
    - `fresh`: whether `state` is the optimizer's initial state; if so, the derivative goes
      through it too.
    - `gradients`: what the optimizer saw at each step; held constant.
    - `cotangents`: of the update of each step.

    **Returns:** an optimizer whose leaves hold the derivative.
    """
    num_steps, count = gradients.shape
    dtype = dtype_of(state, gradients)
    gradients, cotangents = gradients.astype(dtype), cotangents.astype(dtype)
    segment = max(n for n in range(1, _LONGEST_SEGMENT + 1) if num_steps % n == 0)
    block = _block_size(optimizer, state, gradients, segment)
    num_blocks = -(-count // block)

    # The last block begins early enough to be full; what it shares with the one before counts once.
    firsts = jnp.minimum(block * jnp.arange(num_blocks), count - block)

    def take(tree: PyTree[Float[Array, "... coordinates"]], first: Int[Array, ""]) -> PyTree:
        def slice_leaf(leaf: Array) -> Array:
            return jax.lax.dynamic_slice_in_dim(leaf, first, block, axis=leaf.ndim - 1)

        return jax.tree.map(slice_leaf, tree)

    def in_segments(leaf: Float[Array, "all_steps block"]) -> Float[Array, "segments steps block"]:
        return leaf.reshape(num_steps // segment, segment, block)

    first_state, first_gradients = take((state, gradients[:segment]), firsts[0])
    records = _record_store(optimizer, first_state, first_gradients, segment)
    network = _zero_weights(optimizer)
    through_start = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape[:-1], leaf.dtype), state.network)

    def add_block(carry: Any, inputs: tuple[Int[Array, ""], Int[Array, ""]]) -> tuple[Any, None]:
        gradient, start_gradient, records = carry
        number, first = inputs
        new = first + jnp.arange(block) >= block * number
        block_gradient, start, records = _block_gradient(
            optimizer,
            step,
            take(state, first),
            in_segments(take(gradients, first)),
            in_segments(jnp.where(new, take(cotangents, first), 0)),
            records,
        )
        gradient = jax.tree.map(jnp.add, gradient, block_gradient)
        start_gradient = jax.tree.map(
            lambda total, leaf: total + leaf.sum(-1), start_gradient, start
        )
        return (gradient, start_gradient, records), None

    (network, through_start, _), _ = jax.lax.scan(
        add_block, (network, through_start, records), (jnp.arange(num_blocks), firsts)
    )
    begun, to_network = eqx.filter_vjp(lambda network: network.init_state(1), optimizer.network)
    (initial,) = to_network(
        jax.tree.map(
            lambda leaf, like: (leaf[..., None] * fresh).astype(like.dtype), through_start, begun
        )
    )
    network = jax.tree.map(jnp.add, network, initial)
    return eqx.tree_at(lambda optimizer: optimizer.network, optimizer, network)


def _block_gradient(
    optimizer: RecurrentOptimizer,
    step: Int[Array, ""],
    state: RecurrentState,
    gradients: Float[Array, "segments steps block"],
    cotangents: Float[Array, "segments steps block"],
    records: PyTree[Float[Array, "steps _ block"]],
) -> tuple[Layer, State, PyTree[Float[Array, "steps _ block"]]]:
    """The derivative for one block, the cotangent of its first state, and the used record store."""
    num_segments, segment, _ = gradients.shape

    def run_segment(
        state: RecurrentState, inputs: tuple[Float[Array, "steps block"], Int[Array, ""]]
    ) -> tuple[RecurrentState, RecurrentState]:
        gradients, first = inputs

        def run_step(index: Array, state: RecurrentState) -> RecurrentState:
            return optimizer.step(gradients[index], state, first + index)[1]

        return jax.lax.fori_loop(0, segment, run_step, state), state

    firsts = step + segment * jnp.arange(num_segments)
    if num_segments == 1:
        starts = jax.tree.map(lambda leaf: leaf[None], state)
    else:
        _, starts = jax.lax.scan(run_segment, state, (gradients, firsts))

    def segment_backward(carry: Any, inputs: Any) -> tuple[Any, None]:
        total, state_cotangent, records = carry
        start, gradients, cotangents, first = inputs

        def forward(index: Array, carry: Any) -> Any:
            state, records = carry
            features, accumulators = optimizer.features(
                gradients[index], state.accumulators, first + index
            )
            _, network, record = optimizer.network.forward(features, state.network)
            return RecurrentState(accumulators, network), _store(records, record, index)

        def backward(reverse: Array, carry: Any) -> Any:
            total, state_cotangent = carry
            index = segment - 1 - reverse
            replay = jax.tree.map(lambda store: store[index], records)
            gradient, _, state_cotangent = optimizer.network.backward(
                replay, cotangents[index][None], state_cotangent
            )
            gradient = eqx.filter(gradient, eqx.is_inexact_array)
            # Weights may be in less precision than the state.
            gradient = with_dtypes_of(gradient, total)
            return jax.tree.map(jnp.add, total, gradient), state_cotangent

        _, records = jax.lax.fori_loop(0, segment, forward, (start, records))
        total, state_cotangent = jax.lax.fori_loop(0, segment, backward, (total, state_cotangent))
        return (total, state_cotangent, records), None

    zeros = (
        _zero_weights(optimizer),
        jax.tree.map(jnp.zeros_like, state.network),
        records,
    )
    (total, state_cotangent, records), _ = jax.lax.scan(
        segment_backward, zeros, (starts, gradients, cotangents, firsts), reverse=True
    )
    return total, state_cotangent, records


def _zero_weights(optimizer: RecurrentOptimizer) -> Layer:
    """The network with zeros for weights, and nothing for leaves that are none."""
    weights = eqx.filter(optimizer.network, eqx.is_inexact_array)
    return jax.tree.map(jnp.zeros_like, weights)


def _is_rows(node: Any) -> bool:
    return isinstance(node, Rows)


def _record_shapes(
    optimizer: RecurrentOptimizer, state: RecurrentState, gradients: Float[Array, "steps block"]
) -> Record:
    """The record of one step, as shapes."""

    def record(optimizer: RecurrentOptimizer, state: RecurrentState, gradient: Array) -> Record:
        features, _ = optimizer.features(gradient, state.accumulators, jnp.asarray(0))
        return optimizer.network.forward(features, state.network)[2]

    return eqx.filter_eval_shape(record, optimizer, state, gradients[0])


def _record_store(
    optimizer: RecurrentOptimizer,
    state: RecurrentState,
    gradients: Float[Array, "steps block"],
    segment: int,
) -> PyTree[Float[Array, "steps _ block"]]:
    """Room for the records of one segment, made once and handed from block to block."""

    def room(rows: Rows) -> Float[Array, "steps rows block"]:
        height = sum(part.shape[0] for part in rows.parts)
        return jnp.zeros((segment, height, rows.parts[0].shape[1]), rows.parts[0].dtype)

    shapes = _record_shapes(optimizer, state, gradients)
    return jax.tree.map(room, shapes, is_leaf=_is_rows)


def _store(
    records: PyTree[Float[Array, "steps _ block"]], record: Record, index: Int[Array, ""]
) -> PyTree[Float[Array, "steps _ block"]]:
    """Writes the record of one step into the store, every part at its own rows."""

    def write(rows: Rows, store: Float[Array, "steps rows block"]) -> Array:
        top = 0
        for part in rows.parts:
            store = jax.lax.dynamic_update_slice(store, part[None], (index, top, 0))
            top += part.shape[0]
        return store

    return jax.tree.map(write, record, records, is_leaf=_is_rows)


def _block_size(
    optimizer: RecurrentOptimizer,
    state: RecurrentState,
    gradients: Float[Array, "steps coordinates"],
    segment: int,
) -> int:
    """How many coordinates to take at once: as many as there is room for, in blocks of one size."""
    shapes = _record_shapes(optimizer, state, gradients)
    numbers = sum(math.prod(leaf.shape[:-1]) for leaf in jax.tree.leaves(shapes))
    count = gradients.shape[1]
    room = _RECORD_BYTES.get(jax.default_backend(), _RECORD_BYTES_OF_ACCELERATOR)
    largest = max(_SMALLEST_BLOCK, room // (4 * numbers * segment))
    num_blocks = -(-count // largest)
    # Multiples of 16 fill vector registers.
    return min(count, 16 * -(-count // (16 * num_blocks)))
