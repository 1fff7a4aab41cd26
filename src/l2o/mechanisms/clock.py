"""What an optimizer does by itself, set apart from what gradients do to it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from l2o.mechanisms.dynamics import Dynamics
from l2o.mechanisms.precision import double_precision, in_double_precision
from l2o.mechanisms.probes import step_many

_NUM_PROBES = 24
_PROBED_STEPS = 12
_PROBED_TIMES = (0, 1, 7, 150)
# A number that gradients change by less than this share of it is not driven by them.
_ROUNDING = 1e-12


class TimedDynamics(Dynamics):
    """The part of the state that gradients drive; the rest of it follows from the time alone.

    A learning rate that is kept in the state and shrinks whatever the gradient is no memory of
    gradients but a clock, as a counter of steps is.
    """

    whole: Dynamics
    driven: tuple[int, ...] = eqx.field(static=True)
    """The indices of the state that gradients reach, directly or through one another."""
    autonomous: tuple[int, ...] = eqx.field(static=True)
    clock: Float[Array, "times autonomous"]
    """The autonomous part of the state before each step; the last row stands for all later ones."""
    depends_on_time: bool = eqx.field(static=True)

    @property
    def initial_state(self) -> Float[Array, " state"]:
        """The driven part of the state before the first step."""
        with double_precision():
            return self.whole.initial_state[jnp.asarray(self.driven, int)]

    def __call__(
        self,
        state: Float[Array, " state"],
        gradient: Float[Array, ""],
        time: Int[Array, ""] | int = 0,
    ) -> tuple[Float[Array, ""], Float[Array, " state"]]:
        """One step (see `Dynamics`)."""
        driven, autonomous = jnp.asarray(self.driven, int), jnp.asarray(self.autonomous, int)
        own = self.clock[jnp.minimum(time, len(self.clock) - 1)]
        full = jnp.zeros(len(self.driven) + len(self.autonomous))
        full = full.at[driven].set(state).at[autonomous].set(own)
        update, following = self.whole(full, gradient, time)
        return update, following[driven]


class HeldDynamics(Dynamics):
    """The dynamics at one time, whatever time it is called with: an analysis at frozen time."""

    running: Dynamics
    time: Int[Array, ""]
    depends_on_time: bool = eqx.field(static=True, default=False)

    @property
    def initial_state(self) -> Float[Array, " state"]:
        """The state h before the first step."""
        return self.running.initial_state

    def __call__(
        self,
        state: Float[Array, " state"],
        gradient: Float[Array, ""],
        time: Int[Array, ""] | int = 0,
    ) -> tuple[Float[Array, ""], Float[Array, " state"]]:
        """One step (see `Dynamics`)."""
        del time
        return self.running(state, gradient, self.time)


@in_double_precision
def hold(dynamics: Dynamics, time: int) -> HeldDynamics:
    """The dynamics with counters, and all else that runs by itself, held at one time.

    ```pycon
    >>> schedule = optax.linear_schedule(1.0, 0.0, 10)
    >>> dynamics = l2o.mechanisms.coordinate_dynamics(l2o.from_optax(optax.sgd(schedule)))
    >>> held = l2o.mechanisms.hold(dynamics, 5)
    >>> found = l2o.mechanisms.update_function(held, gradients=np.array([-1.0, 0.0, 1.0]))
    >>> found.effective_learning_rate
    0.5
    ```
    """
    return HeldDynamics(running=dynamics, time=jnp.asarray(time))


@in_double_precision
def separate_clock(dynamics: Dynamics, num_steps: int) -> Dynamics:
    """Sets apart the part of the state that evolves in the same way whatever gradients are met.

    A number of the state is driven if its next value changes, by more than rounding, when the
    gradient does or another driven number does, at states that random gradients lead to.

    **Arguments:** `dynamics`, from `coordinate_dynamics`; `num_steps`, how long to follow the
    autonomous part, at least 1: it is held from there on.

    **Returns:** the dynamics of the driven part, or the dynamics as they are if that is all.

    ```pycon
    >>> dynamics = l2o.mechanisms.coordinate_dynamics(l2o.from_optax(optax.adam(0.1)))
    >>> type(l2o.mechanisms.separate_clock(dynamics, 5)).__name__
    'OptimizerDynamics'
    ```
    """
    size = dynamics.initial_state.size
    driven = _driven(dynamics)
    if np.all(driven):
        return dynamics
    autonomous = np.flatnonzero(~driven)
    path = np.asarray(_follow(dynamics, jnp.arange(num_steps)))[:, autonomous]
    moves = bool(np.any(path != path[0]))
    path = path if moves else path[:1]
    return TimedDynamics(
        whole=dynamics,
        driven=tuple(int(index) for index in np.arange(size)[driven]),
        autonomous=tuple(int(index) for index in autonomous),
        clock=jnp.asarray(path),
        depends_on_time=dynamics.depends_on_time or moves,
    )


def _driven(dynamics: Dynamics) -> np.ndarray:
    """Which numbers of the state gradients reach."""
    size = dynamics.initial_state.size
    draw = np.random.default_rng(0)
    gradients = 10 ** draw.uniform(-9, 2, _NUM_PROBES) * draw.choice([-1.0, 1.0], _NUM_PROBES)
    states = np.tile(np.asarray(dynamics.initial_state), (_NUM_PROBES, 1))
    times = np.resize(_PROBED_TIMES, _NUM_PROBES)
    driven = np.zeros(size, bool)
    for step in range(_PROBED_STEPS):
        met = np.roll(gradients, step)
        _, following = step_many(dynamics, states, met, times)
        _, reference = step_many(dynamics, states, np.roll(met, 1), times)
        driven |= _differ(following, reference)
        states = following
    while not np.all(driven):
        moved = np.where(driven, states * draw.uniform(0.5, 2, states.shape), states)
        moved += np.where(driven, draw.uniform(0, 1e-2, states.shape), 0.0)
        reached = driven | _differ(
            step_many(dynamics, states, gradients, times)[1],
            step_many(dynamics, moved, gradients, times)[1],
        )
        if np.array_equal(reached, driven):
            break
        driven = reached
    return driven


def _differ(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """In which columns two sets of states differ anywhere."""
    size = np.maximum(np.abs(first), np.abs(second))
    with np.errstate(invalid="ignore"):
        return np.any(~(np.abs(first - second) <= _ROUNDING * size), axis=0)


@eqx.filter_jit
def _follow(dynamics: Dynamics, times: Array) -> Float[Array, "times state"]:
    def step(state: Array, time: Array) -> tuple[Array, Array]:
        return dynamics.next_state(state, jnp.ones(()), time), state

    return jax.lax.scan(step, dynamics.initial_state, times)[1]
