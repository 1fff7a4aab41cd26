"""The protocol of an optimizer whose behaviour is learned, and how it meets Optax."""

import abc
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import optax
from jaxtyping import Array, Float, PyTree

from l2o.optimizers.parameters import check_leaves_are_numbers, with_dtypes_of
from l2o.support.canonical import canonical
from l2o.support.checks import check_instance, in_a_line
from l2o.tasks import ValueFunction

Updates = PyTree[Float[Array, "..."]]
OptState = PyTree


class LearnedOptimizer(eqx.Module):
    """An optimizer whose array leaves are its meta-parameters.

    `init` and `update` mean what they mean in Optax: `params = optax.apply_updates(params,
    updates)`, so the sign is inside the update. Since the leaves are the meta-parameters, the
    meta-gradient is `eqx.filter_grad(meta_loss)(optimizer)` and saving the optimizer is saving
    its leaves.

    ```pycon
    >>> class SignDescent(l2o.LearnedOptimizer):
    ...     log_rate: jax.Array
    ...     def init(self, params):
    ...         return ()
    ...     def update(self, grads, state, params=None, **extra):
    ...         step = jnp.exp(self.log_rate)
    ...         return jax.tree.map(lambda g: -step * jnp.sign(g), grads), state
    ...
    >>> rule = SignDescent(jnp.log(0.5))
    >>> rule.update(jnp.array([3.0, -4.0]), rule.init(None))[0]
    Array([-0.5,  0.5], dtype=float32)
    ```
    """

    @property
    def title(self) -> str:
        """The optimizer's name, for tables and figures; by default that of its class."""
        return type(self).__name__

    def for_task_batch(self) -> "LearnedOptimizer":
        """The optimizer of a `TaskBatch`, whose parameters are stacked: mapped over the tasks."""
        return PerTask(self)

    @abc.abstractmethod
    def init(self, params: PyTree) -> OptState:
        """The state before the first step, for parameters of this structure."""

    @abc.abstractmethod
    def update(
        self,
        grads: PyTree,
        state: OptState,
        params: PyTree | None = None,
        *,
        value: Float[Array, "..."] | None = None,
        **extra: Any,
    ) -> tuple[Updates, OptState]:
        """One step.

        **Arguments:** `grads`, gradients with the structure of the parameters; `state`, from
        `init` or the last `update`; `params`, the current parameters, for optimizers that look at
        them; `value`, the loss at `params`; further extra arguments as Optax names them (`grad`,
        the gradient at `params`; `value_fn`, the loss as a function of the parameters).

        **Returns:** the updates to add to the parameters, and the new state.
        """


def check_optimizer(optimizer: Any, name: str = "optimizer", kind: type = LearnedOptimizer) -> None:
    """Makes sure that `optimizer` is one of this library's.

    **Arguments:** `optimizer`; `name`, what the argument is called; `kind`, which it must be of.

    **Raises:** `ValueError` that says where to take one from.

    ```pycon
    >>> l2o.optimizers.check_optimizer(l2o.from_optax(optax.sgd(0.1)))
    ```
    """
    hint = "Optax's come through l2o.from_optax, hand-designed ones from with_hyperparameters()."
    check_instance(name, optimizer, kind, hint)


def as_optax(optimizer: LearnedOptimizer) -> optax.GradientTransformationExtraArgs:
    """Gives a learned optimizer as an Optax transformation, to chain, mask and accumulate.

    The transformation closes over the meta-parameters: they are constants of the training step.

    **Raises:** `ValueError` for anything else.

    ```pycon
    >>> learned = l2o.optimizers.RNNProp(hidden_size=4, key=jax.random.key(0))
    >>> chain = optax.chain(optax.clip_by_global_norm(1.0), l2o.as_optax(learned))
    >>> params = jnp.ones(3)
    >>> updates, state = chain.update(params, chain.init(params), params)
    >>> updates.shape
    (3,)
    ```
    """
    check_optimizer(optimizer)

    # Functions of their own: a module's methods compare by its arrays, which `jax.jit` refuses.
    def init(params: PyTree) -> OptState:
        return optimizer.init(params)

    def update(
        updates: PyTree, state: OptState, params: PyTree | None = None, **extra: Any
    ) -> tuple[Updates, OptState]:
        return optimizer.update(updates, state, params, **extra)

    return optax.GradientTransformationExtraArgs(init, update)


class OptaxOptimizer(LearnedOptimizer):
    """A hand-designed Optax transformation where a learned optimizer is expected.

    It has no meta-parameters. Made by `from_optax`. Two of them are equal if their transformations
    are, which is seen for Optax's own, too, through `from_optax`; those of `HandDesigned` can be
    pickled besides, which Optax's own, being closures, cannot.

    ```pycon
    >>> optimizer = l2o.from_optax(optax.sgd(0.5))
    >>> type(optimizer).__name__
    'OptaxOptimizer'
    ```
    """

    transformation: optax.GradientTransformationExtraArgs = eqx.field(static=True)

    def init(self, params: PyTree) -> OptState:
        """The transformation's own initial state.

        **Raises:** `ValueError` for parameters that are no numbers, such as functions.
        """
        check_leaves_are_numbers(params)
        return _with_own_buffers(self.transformation.init(params), params)

    def update(
        self,
        grads: PyTree,
        state: OptState,
        params: PyTree | None = None,
        *,
        value: Float[Array, "..."] | None = None,
        **extra: Any,
    ) -> tuple[Updates, OptState]:
        """The transformation's own update; it gets `value` and the further arguments too."""
        updates, new_state = self.transformation.update(grads, state, params, value=value, **extra)
        # Hyperparameters in a wider precision than the parameters would widen the state.
        if jax.tree.structure(new_state) == jax.tree.structure(state):
            new_state = with_dtypes_of(new_state, state)
        return updates, new_state


def _with_own_buffers(state: OptState, params: PyTree) -> OptState:
    """A state without any array twice or of the parameters, so that both can be donated."""
    seen = {id(leaf) for leaf in jax.tree.leaves(params)}

    def unshared(leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array):
            return leaf
        if id(leaf) in seen:
            return leaf.copy()
        seen.add(id(leaf))
        return leaf

    return jax.tree.map(unshared, state)


def from_optax(transformation: optax.GradientTransformation | optax.MultiSteps) -> OptaxOptimizer:
    """Makes an Optax transformation fit every tool of this library.

    Transformations made anew with the same settings give equal optimizers, for which a program is
    compiled once (`l2o.support.canonical`).

    **Raises:** `ValueError` for anything else.

    ```pycon
    >>> optimizer = l2o.from_optax(optax.sgd(0.5))
    >>> params = jnp.array([2.0])
    >>> optimizer.update(params, optimizer.init(params), params)[0]
    Array([-1.], dtype=float32)
    ```
    """
    if isinstance(transformation, optax.MultiSteps):
        transformation = transformation.gradient_transformation()
    if not isinstance(transformation, optax.GradientTransformation):
        raise ValueError(
            "from_optax takes an Optax transformation, such as optax.adam(1e-3), got "
            f"{in_a_line(transformation)}."
        )
    return OptaxOptimizer(canonical(optax.with_extra_args_support(transformation)))


class PerTask(LearnedOptimizer):
    """An optimizer mapped over the leading task axis of stacked parameters."""

    optimizer: LearnedOptimizer

    def init(self, params: PyTree) -> OptState:
        """One state a task, stacked."""
        return jax.vmap(self.optimizer.init)(params)

    def update(
        self,
        grads: PyTree,
        state: OptState,
        params: PyTree | None = None,
        *,
        value: Float[Array, "..."] | None = None,
        grad: PyTree | None = None,
        value_fn: Callable[..., Any] | None = None,
        **extra: Any,
    ) -> tuple[Updates, OptState]:
        """One step of every task.

        Each has its own `value`, `grad` and, if it is a `ValueFunction`, `value_fn`. Further
        extra arguments, and any other `value_fn`, are the same for all.
        """

        def step(
            value_fn: Callable[..., Any] | None,
            grads: PyTree,
            state: OptState,
            params: PyTree | None,
            value: Any,
            grad: PyTree | None,
        ) -> tuple[Updates, OptState]:
            return self.optimizer.update(
                grads, state, params, value=value, grad=grad, value_fn=value_fn, **extra
            )

        own = (grads, state, params, value, grad)
        if isinstance(value_fn, ValueFunction):
            return value_fn.over_tasks(step, *own)
        return jax.vmap(partial(step, value_fn))(*own)


def per_task(optimizer: LearnedOptimizer) -> LearnedOptimizer:
    """The optimizer for a `TaskBatch`: parameters stacked along a leading task axis.

    A coordinate-wise optimizer serves as it is, the stack being more coordinates; any other is
    mapped over the tasks.

    **Raises:** `ValueError` for anything but an optimizer of this library.

    ```pycon
    >>> optimizer = l2o.optimizers.per_task(l2o.from_optax(optax.sgd(0.5)))
    >>> params = jnp.ones((3, 2))  # of three tasks
    >>> updates, _ = optimizer.update(params, optimizer.init(params), params)
    >>> updates.shape
    (3, 2)
    ```
    """
    check_optimizer(optimizer)
    return optimizer.for_task_batch()
