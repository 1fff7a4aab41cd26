"""The state's map at a constant gradient, iterated, minimised and differentiated in batches."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from jaxtyping import Array, Bool, Float

from l2o.mechanisms.anderson import iterate_to_rest
from l2o.mechanisms.dynamics import Dynamics

TOLERANCE = 1e-24
"""The largest sum of squares of F(h) - h at a fixed point, relative to that of h above 1."""

# Where h is large, F(h) - h must also be smaller by this than the terms that balance in it, or the
# sum 1 + 1e15 would be at rest.
_BALANCED = 1e-6
_SETTLED = 1e-18
_ACCELERATED_STEPS = 500
_NEWTON_STEPS = 12
_MINIMISER_STEPS = 256
# The method's damping at first; its own default of 1 suits functions of another scale.
_DAMPING = 1e-3
_REFINING_STEPS = 512
# Batches are padded up to powers of two from this one, so that few sizes are compiled.
_SMALLEST_BATCH = 8

State = Float[Array, " state"]
States = Float[np.ndarray, "states state"]
Numbers = Float[np.ndarray, " states"]


class HeldMap(eqx.Module):
    """F(h) = F(h, g) at one gradient g, with counters held at one time.

    Plural methods take and give states as rows of NumPy arrays. *Errors* are sums of squares of
    F(h) - h.
    """

    dynamics: Dynamics
    gradient: Float[Array, ""]
    time: Array

    def __call__(self, state: State) -> State:
        """F(h) of a single state."""
        return self.dynamics.next_state(state, self.gradient, self.time)

    def error(self, state: State) -> Float[Array, ""]:
        """The sum of squares of F(h) - h of a single state."""
        return jnp.sum((self(state) - state) ** 2)

    def is_fixed(self, state: State) -> Bool[Array, ""]:
        """Whether a single state is a fixed point, within rounding."""
        image, derivative = jax.jvp(self, (state,), (state,))
        error, size = jnp.sum((image - state) ** 2), jnp.sum(state**2)
        balance = _BALANCED**2 * jnp.sum((derivative - state) ** 2)
        return (error <= TOLERANCE) | (error <= jnp.minimum(TOLERANCE * size, balance))

    def errors(self, states: States) -> Numbers:
        """The errors of states."""
        return _batched(_errors, self, states)[0]

    def are_fixed(self, states: States) -> Bool[np.ndarray, " states"]:
        """Whether states are fixed points, within rounding."""
        return _batched(_are_fixed, self, states)[0]

    def iterate(self, states: States, num_steps: int) -> States:
        """The states after some steps."""
        return _batched(_iterate, self, states, jnp.asarray(num_steps))[0]

    def accelerate(self, states: States) -> States:
        """Where accelerated iteration carries the states."""
        return _batched(_accelerate, self, states)[0]

    def minimise(self, states: States) -> States:
        """Minimisers of the error, roughly, by the Levenberg-Marquardt method."""
        return _batched(_minimise, self, states)[0]

    def refine(self, states: States) -> tuple[States, Numbers]:
        """Minimisers of the error near states at which it is not zero, by the BFGS method.

        **Returns:** the minimisers, and how steep the root of the error is there.
        """
        return _batched(_refine, self, states)

    def polish(
        self, states: States
    ) -> tuple[
        States, Numbers, Bool[np.ndarray, " states"], Float[np.ndarray, "states state state"]
    ]:
        """Newton's method from the states.

        **Returns:** the best states met, their errors, whether they are fixed points, and the
        Jacobians dF/dh there.
        """
        return _batched(_polish, self, states)

    def watch(
        self, states: States, targets: States, num_steps: int
    ) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        """How far the states move from where they are and from one target each.

        **Returns:** the largest distance from the start within the first `num_steps`, and in the
        same number after those; the same two for the distance from the target.
        """
        return _batched(_watch, self, states, jnp.asarray(num_steps), also=targets)


def newton(function: Callable[[State], State], state: State) -> State:
    """Newton's method for F(h) = h: the best state met.

    **Arguments:** `function`, F; `state`, near a fixed point.
    """
    solver = optimistix.BestSoFarRootFinder(optimistix.Newton(rtol=1e-14, atol=1e-15))
    best = optimistix.root_find(
        lambda state, _: function(state) - state,
        solver,
        state,
        max_steps=_NEWTON_STEPS,
        throw=False,
    ).value
    # Where the derivative is singular, nothing is finite.
    return jnp.where(jnp.all(jnp.isfinite(best)), best, state)


def _batched(
    function: Any, held: HeldMap, states: States, *rest: Any, also: States | None = None
) -> Any:
    """Calls a compiled function on a batch, padded with its last row."""
    count = len(states)
    size = max(_SMALLEST_BATCH, 1 << max(0, count - 1).bit_length())
    rows = np.minimum(np.arange(size), max(0, count - 1))

    def padded(states: States) -> Array:
        return jnp.asarray(states[rows] if count else np.zeros((size, states.shape[1])))

    more = () if also is None else (padded(also),)
    return tuple(np.asarray(r)[:count] for r in function(held, padded(states), *more, *rest))


@eqx.filter_jit
def _errors(held: HeldMap, states: Array) -> tuple[Array]:
    return (jax.vmap(held.error)(states),)


@eqx.filter_jit
def _are_fixed(held: HeldMap, states: Array) -> tuple[Array]:
    return (jax.vmap(held.is_fixed)(states),)


@eqx.filter_jit
def _iterate(held: HeldMap, states: Array, num_steps: Array) -> tuple[Array]:
    return (jax.lax.fori_loop(0, num_steps, lambda _, states: jax.vmap(held)(states), states),)


@eqx.filter_jit
def _accelerate(held: HeldMap, states: Array) -> tuple[Array]:
    def accelerate(state: State) -> State:
        return iterate_to_rest(held, state, tolerance=_SETTLED, max_steps=_ACCELERATED_STEPS).state

    return (jax.vmap(accelerate)(states),)


@eqx.filter_jit
def _minimise(held: HeldMap, states: Array) -> tuple[Array]:
    def minimise(state: State) -> State:
        # Others sharpen what this finds.
        solver = optimistix.LevenbergMarquardt(rtol=1e-5, atol=1e-7)
        return optimistix.least_squares(
            lambda state, _: (held(state) - state) / _DAMPING**0.5,
            solver,
            state,
            max_steps=_MINIMISER_STEPS,
            throw=False,
        ).value

    return (jax.vmap(minimise)(states),)


@eqx.filter_jit
def _refine(held: HeldMap, states: Array) -> tuple[Array, Array]:
    def refine(state: State) -> tuple[Array, Array]:
        scale = held.error(state)
        scale = jnp.where(scale > 0, scale, 1.0)
        solver = optimistix.BFGS(rtol=1e-9, atol=1e-12)
        found = optimistix.minimise(
            lambda state, _: held.error(state) / scale,
            solver,
            state,
            max_steps=_REFINING_STEPS,
            throw=False,
        ).value
        error, slope = jax.value_and_grad(held.error)(found)
        length = jnp.sqrt(jnp.where(error > 0, error, 1.0))
        return found, jnp.linalg.norm(slope) / (2 * length)

    return jax.vmap(refine)(states)


@eqx.filter_jit
def _polish(held: HeldMap, states: Array) -> tuple[Array, ...]:
    def polish(state: State) -> tuple[Array, ...]:
        best = newton(held, state)
        return best, held.error(best), held.is_fixed(best), jax.jacfwd(held)(best)

    return jax.vmap(polish)(states)


@eqx.filter_jit
def _watch(
    held: HeldMap, states: Array, targets: Array, num_steps: Array
) -> tuple[Array, Array, Array, Array]:
    def watch(start: State, target: State) -> tuple[Array, Array, Array, Array]:
        def step(_: Any, carry: Any) -> Any:
            state, from_start, from_target = carry
            state = held(state)
            from_start = jnp.maximum(from_start, jnp.linalg.norm(state - start))
            return state, from_start, jnp.maximum(from_target, jnp.linalg.norm(state - target))

        zero = jnp.zeros(())
        middle = jax.lax.fori_loop(0, num_steps, step, (start, zero, zero))
        last = jax.lax.fori_loop(0, num_steps, step, (middle[0], zero, zero))
        return middle[1], last[1], middle[2], last[2]

    return jax.vmap(watch)(states, targets)
