"""An optimizer as a dynamical system: what it does to one parameter.

Seen from a single parameter x, an optimizer with the state h that meets the gradient g is

    h' = F(h, g),    x' = x + u(h, g).

Every analysis in this room looks at F and u, in double precision, and so works for any optimizer
with a state, learned or hand-designed (Maheswaranathan et al. 2021, section 4). Floating-point
leaves of the optimizer's state make up h, laid out as one vector. Integer leaves are counters of
steps: they follow from the time and are no part of h.
"""

import abc
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PyTree

from l2o.mechanisms.precision import double_precision, in_double_precision, to_double
from l2o.optimizers import LearnedOptimizer, OptState, check_optimizer, flatten, unflatten

HORIZON = 20_000
"""Optimizers are followed up to this step."""

_FOLLOWED_STEPS = 1100
# All steps that are followed, and some far beyond.
_PROBED_TIMES = (*range(1, HORIZON + 1), *np.geomspace(HORIZON + 1, 2e6, 100).astype(int))
_PROBES = 4
_ROUNDING = 1e-13

# How far beside a gradient to look where the derivative there is 0 / 0.
_CLOSE = 1e-8
_CLOSE_TO_ZERO = 1e-20
# Limits of both sides are the same, and another than the value between them.
_SAME_LIMIT = 1e-6
_OTHER_VALUE = 1e-3


class StateLens(eqx.Module):
    """Which part of an optimizer's state makes up h."""

    @abc.abstractmethod
    def read(self, opt_state: OptState) -> list[Array]:
        """The arrays that h is made of."""

    @abc.abstractmethod
    def write(self, opt_state: OptState, parts: list[Array]) -> OptState:
        """The state with other values for these arrays."""


class WholeState(StateLens):
    """All floating-point leaves, for an optimizer of a single parameter."""

    def read(self, opt_state: OptState) -> list[Array]:
        """The leaves."""
        return jax.tree.leaves(eqx.filter(opt_state, eqx.is_inexact_array))

    def write(self, opt_state: OptState, parts: list[Array]) -> OptState:
        """Puts the leaves back."""
        floats, rest = eqx.partition(opt_state, eqx.is_inexact_array)
        return eqx.combine(jax.tree.unflatten(jax.tree.structure(floats), parts), rest)


class OwnPart(StateLens):
    """One coordinate's column of the leaves that have one for each coordinate.

    The rest of the state, such as what an optimizer keeps for whole tensors, is held.

    **Arguments:** `where`, picks the leaves, whose last axis counts coordinates; `index`, of the
    coordinate.
    """

    where: Callable[[OptState], Sequence[Array]] = eqx.field(static=True)
    index: int = eqx.field(static=True)

    def read(self, opt_state: OptState) -> list[Array]:
        """The coordinate's columns."""
        return [leaf[..., self.index] for leaf in self.where(opt_state)]

    def write(self, opt_state: OptState, parts: list[Array]) -> OptState:
        """Puts the columns back."""
        leaves = [
            leaf.at[..., self.index].set(part)
            for leaf, part in zip(self.where(opt_state), parts, strict=True)
        ]
        return eqx.tree_at(self.where, opt_state, leaves)


class Dynamics(eqx.Module):
    """One parameter's view of an optimizer; made by `coordinate_dynamics`.

    It is to be called in double precision (`l2o.mechanisms.double_precision`).
    """

    depends_on_time: eqx.AbstractVar[bool]
    """Whether counters change what the optimizer does, as bias corrections and schedules do."""

    @property
    @abc.abstractmethod
    def initial_state(self) -> Float[Array, " state"]:
        """The state h before the first step."""

    @abc.abstractmethod
    def __call__(
        self,
        state: Float[Array, " state"],
        gradient: Float[Array, ""],
        time: Int[Array, ""] | int = 0,
    ) -> tuple[Float[Array, ""], Float[Array, " state"]]:
        """One step.

        **Arguments:** `state`, h; `gradient`, g; `time`, the number of steps that came before.

        **Returns:** u(h, g) and F(h, g).
        """

    def update(
        self,
        state: Float[Array, " state"],
        gradient: Float[Array, ""],
        time: Int[Array, ""] | int = 0,
    ) -> Float[Array, ""]:
        """u(h, g): what is added to the parameter."""
        return self(state, gradient, time)[0]

    def next_state(
        self,
        state: Float[Array, " state"],
        gradient: Float[Array, ""],
        time: Int[Array, ""] | int = 0,
    ) -> Float[Array, " state"]:
        """F(h, g)."""
        return self(state, gradient, time)[1]

    def effective_learning_rate(
        self,
        state: Float[Array, " state"],
        gradient: Float[Array, ""],
        time: Int[Array, ""] | int = 0,
    ) -> Float[Array, ""]:
        """Minus the slope of the update function, -du/dg; not a number where it has none.

        Where rules of differentiation end in 0 / 0, as they do for a clip by the norm at g = 0, it
        is the limit from both sides.
        """
        return limit_in(lambda g: -jax.grad(self.update, argnums=1)(state, g, time), gradient)

    def run(
        self, gradients: Float[Array, " steps"], start: Float[Array, " state"] | None = None
    ) -> tuple[Float[Array, " steps"], Float[Array, "steps state"]]:
        """Feeds a sequence of gradients, with counters running from 0.

        **Arguments:** `gradients`, one a step; `start`, h before the first one, by default the
        initial state.

        **Returns:** the updates, and the state *before* each of them.
        """

        def step(state: Any, inputs: Any) -> Any:
            gradient, time = inputs
            update, new = self(state, gradient, time)
            return new, (update, state)

        start = self.initial_state if start is None else start
        return jax.lax.scan(step, start, (gradients, jnp.arange(gradients.shape[0])))[1]


class OptimizerDynamics(Dynamics):
    """F and u of an optimizer, all of its floating-point state being h."""

    optimizer: LearnedOptimizer
    params: PyTree
    grads: PyTree
    """Of all parameters; those of other parameters than this one are held."""
    opt_state: OptState
    """Of all parameters; what the lens does not pick is held."""
    increments: PyTree
    """By how much each counter grows in a step; `None` for leaves that are no counters."""
    lens: StateLens
    index: int = eqx.field(static=True)
    """Which of all parameters this one is."""
    depends_on_time: bool = eqx.field(static=True)

    @property
    def initial_state(self) -> Float[Array, " state"]:
        """The state h before the first step."""
        with double_precision():
            return _as_vector(self.lens.read(self.opt_state))

    def __call__(
        self,
        state: Float[Array, " state"],
        gradient: Float[Array, ""],
        time: Int[Array, ""] | int = 0,
    ) -> tuple[Float[Array, ""], Float[Array, " state"]]:
        """One step (see `Dynamics`)."""
        grads = unflatten(flatten(self.grads).at[self.index].set(gradient), self.grads)
        counted = jax.tree.map(
            lambda leaf, increment: leaf if increment is None else leaf + increment * time,
            self.opt_state,
            self.increments,
        )
        _, unravel = ravel_pytree(self.lens.read(counted))
        before = self.lens.write(counted, unravel(state))
        updates, after = self.optimizer.update(grads, before, self.params)
        return flatten(updates)[self.index], _as_vector(self.lens.read(after))


def limit_in(
    function: Callable[[Float[Array, ""]], PyTree[Array]], gradient: Float[Array, ""]
) -> PyTree[Array]:
    """The values of a function of the gradient, usually of derivatives.

    Where they are not finite they are the mean of both sides' limits; and where both sides agree on
    another value, as for sign(g) log(1 + |g|) at zero, whose rules of differentiation give 0, that.

    **Arguments:** `function`, of one gradient; `gradient`, where to evaluate it.
    """
    distance = jnp.maximum(_CLOSE * jnp.abs(gradient), _CLOSE_TO_ZERO)
    # One trace of the function for all three.
    values = jax.vmap(function)(gradient + distance * jnp.array([0.0, -1.0, 1.0]))

    def limit(value: Array) -> Array:
        here, *sides = value
        size = jnp.maximum(jnp.abs(sides[0]), jnp.abs(sides[1]))
        mean = (sides[0] + sides[1]) / 2
        continuous = jnp.abs(sides[0] - sides[1]) <= _SAME_LIMIT * size
        removable = continuous & (jnp.abs(here - mean) > _OTHER_VALUE * size)
        return jnp.where(jnp.isfinite(here) & ~removable, here, mean)

    return jax.tree.map(limit, values)


def checked_time(dynamics: Dynamics, time: int | None) -> int:
    """The time at which to hold the counters, for analyses of one map rather than a sequence.

    **Raises:** `ValueError` if no time is given although it matters.
    """
    if time is None and dynamics.depends_on_time:
        raise ValueError(
            "The optimizer counts its steps and does something else at each of them (a bias "
            "correction or a schedule), so it has no fixed point; pass time= to hold the counter "
            "there, such as time=1_000_000 for what it does late."
        )
    return 0 if time is None else time


def _as_vector(parts: list[Array]) -> Float[Array, " state"]:
    """All parts in one vector; an optimizer without a state has an empty one."""
    return ravel_pytree(parts)[0].astype(jnp.float64)


@in_double_precision
def coordinate_dynamics(optimizer: LearnedOptimizer) -> Dynamics:
    """The dynamics of an optimizer that has a single parameter, at zero, to optimize.

    For an optimizer that treats parameters alone, those are the dynamics of every parameter.

    **Arguments:** `optimizer`, a learned one or a hand-designed one through `l2o.from_optax`.

    **Raises:** `ValueError` for anything but an optimizer, for one that needs the loss, and if its
    state has integers that do not count steps.

    ```pycon
    >>> optimizer = l2o.from_optax(optax.sgd(0.25, momentum=0.5))
    >>> dynamics = l2o.mechanisms.coordinate_dynamics(optimizer)
    >>> l2o.mechanisms.linearize(dynamics, np.zeros(1)).feedthrough
    -0.25
    ```
    """
    check_optimizer(optimizer)
    optimizer = to_double(optimizer)
    params = jnp.zeros(1)
    opt_state = optimizer.init(params)
    return _with_counters(optimizer, params, opt_state, params, WholeState(), 0)


@in_double_precision
def dynamics_among_others(
    optimizer: LearnedOptimizer,
    params: PyTree,
    opt_state: OptState,
    grads: PyTree,
    *,
    where: Callable[[OptState], Sequence[Array]],
    index: int,
) -> Dynamics:
    """The dynamics of one parameter among many, with all that the others do held fixed.

    For optimizers in which parameters meet, such as hierarchical ones.

    **Arguments:** `optimizer`; `params`, `opt_state` and `grads`, of all parameters, at the moment
    to look at; `where`, picks the leaves of the state whose last axis counts coordinates; `index`,
    of the parameter in the flattened parameters.

    **Raises:** `ValueError` if the optimizer's state has integers that do not count steps, for an
    index out of range, or for leaves of another size.

    ```pycon
    >>> clipped = optax.chain(optax.clip_by_global_norm(1.0), optax.trace(0.5))
    >>> optimizer, params = l2o.from_optax(clipped), jnp.zeros(2)
    >>> dynamics = l2o.mechanisms.dynamics_among_others(
    ...     optimizer,
    ...     params,
    ...     optimizer.init(params),
    ...     jnp.ones(2),
    ...     where=lambda state: [state[1].trace],
    ...     index=0,
    ... )
    >>> l2o.mechanisms.linearize(dynamics, np.zeros(1)).eigenvalues
    array([0.5+0.j])
    ```
    """
    check_optimizer(optimizer)
    optimizer, params, opt_state, grads = to_double((optimizer, params, opt_state, grads))
    count = flatten(params).size
    if not 0 <= index < count:
        raise ValueError(f"index must be from 0 to {count - 1}, got {index}.")
    wrong = [leaf.shape for leaf in where(opt_state) if leaf.shape[-1:] != (count,)]
    if wrong:
        raise ValueError(
            f"where must pick leaves whose last axis has {count} entries, one for each parameter, "
            f"got the shape {wrong[0]}."
        )
    lens = OwnPart(where, index)
    return _with_counters(optimizer, params, opt_state, grads, lens, index)


def _with_counters(
    optimizer: LearnedOptimizer,
    params: PyTree,
    opt_state: OptState,
    grads: PyTree,
    lens: StateLens,
    index: int,
) -> Dynamics:
    """Finds out what counts steps, and whether it matters."""
    _check_needs_no_loss(optimizer, params, opt_state, grads)
    dynamics = OptimizerDynamics(
        optimizer=optimizer,
        params=params,
        grads=grads,
        opt_state=opt_state,
        increments=_increments(optimizer, params, opt_state),
        lens=lens,
        index=index,
        depends_on_time=True,
    )
    return dataclasses.replace(dynamics, depends_on_time=_time_matters(dynamics))


def _check_needs_no_loss(
    optimizer: LearnedOptimizer, params: PyTree, opt_state: OptState, grads: PyTree
) -> None:
    """Makes sure that an optimizer can do without the loss, which the dynamics do not have.

    **Raises:** `ValueError` for one that can only make a step with it.
    """

    def trace(**extra: Any) -> None:
        eqx.filter_eval_shape(optimizer.update, grads, opt_state, params, **extra)

    try:
        trace()
    except (AttributeError, TypeError, ValueError) as error:
        try:
            trace(value=jnp.zeros(()), grad=grads, value_fn=lambda params: jnp.sum(flatten(params)))
        except Exception:
            raise error from None
        raise ValueError(
            "The optimizer needs the loss for a step (value= or value_fn=, as optax.polyak_sgd and "
            "line searches do), so it cannot be seen as a dynamical system that meets gradients "
            "alone."
        ) from None


def _increments(optimizer: LearnedOptimizer, params: PyTree, opt_state: OptState) -> PyTree:
    """By how much each integer leaf grows in a step, 0 or 1; `None` in place of other leaves.

    **Raises:** `ValueError` if some grow otherwise at some time or for some gradients, as one that
    starts anew, stops, or counts what gradients it met; or if truth values or random keys change.
    """
    numbers, others = eqx.partition(opt_state, eqx.is_inexact_array)
    others, static = eqx.partition(others, eqx.is_array)

    def step(state: tuple[PyTree, PyTree], gradient: Array) -> tuple[tuple[PyTree, PyTree], PyTree]:
        grads = jax.tree.map(lambda leaf: jnp.full_like(leaf, gradient), params)
        after = optimizer.update(grads, eqx.combine(*state, static), params)[1]
        after_numbers, after_others = eqx.partition(after, eqx.is_inexact_array)
        after_others = eqx.filter(after_others, eqx.is_array)
        return (after_numbers, after_others), jax.tree.map(_growth, state[1], after_others)

    def followed(gradients: Array) -> PyTree:
        return jax.lax.scan(step, (numbers, others), gradients)[1]

    noise = jax.random.normal(jax.random.key(0), (_FOLLOWED_STEPS,))
    growth = jax.jit(jax.vmap(followed))(jnp.stack([0.0 * noise, noise, 1e6 * noise]))
    grown = [np.asarray(leaf) for leaf in jax.tree.leaves(growth)]
    counts = [jnp.issubdtype(leaf.dtype, jnp.integer) for leaf in jax.tree.leaves(others)]
    for leaf, is_counter in zip(grown, counts, strict=True):
        if np.any(leaf != leaf.flat[0]) or leaf.flat[0] not in ((0, 1) if is_counter else (0,)):
            raise ValueError(
                "The optimizer's state holds integers that do not count steps, or truth values "
                "that change, as of one that acts at every k-th step alone (optax.MultiSteps), so "
                "it cannot be seen as a dynamical system of its floating-point state."
            )
    increments = [
        leaf.flat[0] if is_counter else None for leaf, is_counter in zip(grown, counts, strict=True)
    ]
    remaining = iter(increments)
    return jax.tree.map(
        lambda leaf: (
            next(remaining) if eqx.is_array(leaf) and not eqx.is_inexact_array(leaf) else None
        ),
        opt_state,
    )


def _growth(before: Array, after: Array) -> Array:
    """By how much an integer grew; for what is no number, whether it changed."""
    if jnp.issubdtype(before.dtype, jnp.integer):
        return after - before
    if jnp.issubdtype(before.dtype, jax.dtypes.prng_key):
        before, after = jax.random.key_data(before), jax.random.key_data(after)
    return jnp.any(before != after).astype(int)


def _time_matters(dynamics: OptimizerDynamics) -> bool:
    """Whether a step comes out differently at another time, for the same state and gradient."""
    if not any(jax.tree.leaves(dynamics.increments)):
        return False
    start = dynamics.initial_state
    state_key, gradient_key = jax.random.split(jax.random.key(0))
    states = start + jnp.abs(jax.random.normal(state_key, (_PROBES, *start.shape)))
    gradients = jax.random.normal(gradient_key, (_PROBES,))

    @eqx.filter_jit
    def step(states: Array, gradients: Array, times: Array) -> tuple[Array, Array]:
        at_once = jax.vmap(dynamics, in_axes=(0, 0, None))
        return jax.lax.map(lambda time: at_once(states, gradients, time), times)

    at_start = step(states, gradients, jnp.asarray([0]))
    at_others = step(states, gradients, jnp.asarray(_PROBED_TIMES))
    return any(
        _differ(np.asarray(a), np.asarray(b)) for a, b in zip(at_start, at_others, strict=True)
    )


def _differ(first: np.ndarray, others: np.ndarray) -> bool:
    """Whether numbers differ by more than rounding, which depends on how a program is batched."""
    size = np.maximum(np.abs(first), np.abs(others))
    with np.errstate(invalid="ignore"):
        same = (np.abs(first - others) <= _ROUNDING * size) | (first == others)
    return not np.all(same | (np.isnan(first) & np.isnan(others)))
