"""Hand-designed optimizers with the ranges to search for their hyperparameters.

Learning rates are constant unless a schedule is asked for, which has to know how long the run is.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from l2o.optimizers import orthogonalized
from l2o.optimizers.hyperparameters import HandDesigned
from l2o.optimizers.parameters import bounded
from l2o.optimizers.search_ranges import LogUniform, OneMinusLogUniform

# Wide on purpose. The best learning rate of momentum is about 4 on the random quadratics of
# Maheswaranathan et al. 2021 and 5e-4 on the Rosenbrock function.
_GRADIENT_STEP = LogUniform(1e-6, 1e2)
# Where the step does not scale with the gradient, the learning rate is the step's own size.
_NORMALIZED_STEP = LogUniform(1e-5, 1e2)
_DECAY = OneMinusLogUniform(0.0, 0.999, low_is_limit=True)
_SLOW_DECAY = OneMinusLogUniform(0.0, 0.9999, low_is_limit=True)
# The top turns Adam into momentum wherever gradients are below 10 or so.
_EPSILON = LogUniform(1e-10, 1e2, low_is_limit=True)
_WEIGHT_DECAY = LogUniform(1e-6, 1e1, low_is_limit=True, zero_is_valid=True)


def _bounded(
    transformation: optax.GradientTransformation,
) -> optax.GradientTransformationExtraArgs:
    """A transformation that sees gradients above 1e15 as 1e15, as learned optimizers do.

    A second moment that overflows, at gradients of 1e20, is infinite for ever.
    """
    inner = optax.with_extra_args_support(transformation)

    def update(
        updates: optax.Updates,
        state: optax.OptState,
        params: optax.Params | None = None,
        **extra: Any,
    ) -> tuple[optax.Updates, optax.OptState]:
        return inner.update(jax.tree.map(bounded, updates), state, params, **extra)

    return optax.GradientTransformationExtraArgs(inner.init, update)


def _nesterov(**hyperparameters: Any) -> optax.GradientTransformation:
    return optax.sgd(**hyperparameters, nesterov=True)


def _rmsprop(**hyperparameters: Any) -> optax.GradientTransformation:
    return _bounded(optax.rmsprop(**hyperparameters))


def _adam(**hyperparameters: Any) -> optax.GradientTransformation:
    return _bounded(optax.adam(**hyperparameters))


def _adamw(**hyperparameters: Any) -> optax.GradientTransformation:
    return _bounded(optax.adamw(**hyperparameters))


def _adagrad(**hyperparameters: Any) -> optax.GradientTransformation:
    return _bounded(optax.adagrad(**hyperparameters))


def _adan(**hyperparameters: Any) -> optax.GradientTransformation:
    return _bounded(optax.adan(**hyperparameters))


sgd = HandDesigned(
    name="sgd",
    build=optax.sgd,
    space={"learning_rate": _GRADIENT_STEP},
    defaults={"learning_rate": 0.01},
)
"""Gradient descent (`optax.sgd`)."""

momentum = HandDesigned(
    name="momentum",
    build=optax.sgd,
    space={"learning_rate": _GRADIENT_STEP, "momentum": _DECAY},
    defaults={"learning_rate": 0.01, "momentum": 0.9},
)
"""The heavy ball (Polyak 1964), `v = momentum * v + gradient` (`optax.sgd`)."""

nesterov = HandDesigned(
    name="nesterov",
    build=_nesterov,
    space={"learning_rate": _GRADIENT_STEP, "momentum": _DECAY},
    defaults={"learning_rate": 0.01, "momentum": 0.9},
)
"""Nesterov's momentum (`optax.sgd` with `nesterov=True`)."""

rmsprop = HandDesigned(
    name="rmsprop",
    build=_rmsprop,
    # `eps` stands beside the squared gradients, under the root.
    space={
        "learning_rate": _NORMALIZED_STEP,
        "decay": _SLOW_DECAY,
        "eps": LogUniform(1e-16, 1e4, low_is_limit=True),
    },
    defaults={"learning_rate": 1e-3, "decay": 0.9, "eps": 1e-8},
)
"""RMSProp (Hinton 2012; `optax.rmsprop`), without momentum."""

adam = HandDesigned(
    name="adam",
    build=_adam,
    space={"learning_rate": _NORMALIZED_STEP, "b1": _DECAY, "b2": _SLOW_DECAY, "eps": _EPSILON},
    defaults={"learning_rate": 1e-3, "b1": 0.9, "b2": 0.999, "eps": 1e-8},
)
"""Adam (Kingma and Ba 2015; `optax.adam`)."""

adamw = HandDesigned(
    name="adamw",
    build=_adamw,
    space={
        "learning_rate": _NORMALIZED_STEP,
        "b1": _DECAY,
        "b2": _SLOW_DECAY,
        "eps": _EPSILON,
        "weight_decay": _WEIGHT_DECAY,
    },
    defaults={"learning_rate": 1e-3, "b1": 0.9, "b2": 0.999, "eps": 1e-8, "weight_decay": 1e-4},
)
"""Adam with decoupled weight decay (Loshchilov and Hutter 2019; `optax.adamw`)."""


def _sam(
    learning_rate: optax.ScalarOrSchedule, rho: float | Float[Array, ""]
) -> optax.GradientTransformationExtraArgs:
    """Gradient descent with the gradient taken a distance `rho` uphill.

    Optax's own (`optax.contrib.sam`) divides by a norm that is zero where gradients are zero or
    their squares underflow, and is not a number ever after.
    """
    descent = optax.sgd(learning_rate)

    def update(
        updates: optax.Updates,
        state: optax.OptState,
        params: optax.Params | None = None,
        *,
        value_fn: Callable[[optax.Params], Array] | None = None,
        **extra: Any,
    ) -> tuple[optax.Updates, optax.OptState]:
        del extra
        if value_fn is None:
            raise ValueError("sam looks at the loss uphill, so its update takes value_fn=.")
        uphill = jax.tree.map(
            lambda x, direction: (x + rho * direction).astype(jnp.result_type(x)),
            params,
            _normalized(updates),
        )
        return descent.update(jax.grad(value_fn)(uphill), state, params)

    return optax.GradientTransformationExtraArgs(descent.init, update)


def _normalized(tree: optax.Updates) -> optax.Updates:
    """A tree over its norm; zero where it is zero. It may have any size that its numbers have."""
    leaves = [jnp.abs(leaf) for leaf in jax.tree.leaves(tree)]
    largest = jnp.max(jnp.stack([jnp.max(leaf, initial=0.0) for leaf in leaves]))
    scaled = jax.tree.map(lambda leaf: leaf / jnp.where(largest > 0, largest, 1.0), tree)
    norm = optax.global_norm(scaled)
    return jax.tree.map(lambda leaf: leaf / jnp.where(largest > 0, norm, 1.0), scaled)


sam = HandDesigned(
    name="sam",
    build=_sam,
    space={
        "learning_rate": _GRADIENT_STEP,
        "rho": LogUniform(1e-3, 1e1, low_is_limit=True, zero_is_valid=True),
    },
    defaults={"learning_rate": 0.01, "rho": 0.05},
)
"""Sharpness-aware minimization (Foret et al. 2021) with gradient descent.

Each step takes two gradients on its minibatch.
"""

adagrad = HandDesigned(
    name="adagrad",
    build=_adagrad,
    # A sum of squares starts in the units of a squared gradient. `eps` does the same for much less.
    space={
        "learning_rate": LogUniform(1e-4, 1e2),
        "initial_accumulator_value": LogUniform(1e-10, 1e8, low_is_limit=True, zero_is_valid=True),
    },
    defaults={"learning_rate": 0.1, "initial_accumulator_value": 0.1},
)
"""AdaGrad (Duchi et al. 2011; `optax.adagrad`)."""

lion = HandDesigned(
    name="lion",
    build=optax.lion,
    space={
        "learning_rate": LogUniform(1e-6, 1e1),
        "b1": _DECAY,
        "b2": _SLOW_DECAY,
        "weight_decay": _WEIGHT_DECAY,
    },
    defaults={"learning_rate": 1e-4, "b1": 0.9, "b2": 0.99, "weight_decay": 1e-3},
)
"""Lion (Chen et al. 2023; `optax.lion`): the sign of a momentum, itself found by search."""

adan = HandDesigned(
    name="adan",
    build=_adan,
    space={
        "learning_rate": _NORMALIZED_STEP,
        "b1": _DECAY,
        "b2": _DECAY,
        "b3": _SLOW_DECAY,
        "eps": _EPSILON,
    },
    defaults={"learning_rate": 1e-3, "b1": 0.98, "b2": 0.92, "b3": 0.99, "eps": 1e-8},
)
"""Adan (Xie et al. 2022; `optax.adan`): Adam with a Nesterov momentum of its own.

The newer of the adaptive methods that treats every parameter alone, whatever its shape.
"""


def _nadamw(**hyperparameters: Any) -> optax.GradientTransformation:
    return _bounded(optax.nadamw(**hyperparameters))


def _muon(**hyperparameters: Any) -> optax.GradientTransformation:
    return _bounded(orthogonalized.muon(**hyperparameters))


def _orthogonal_nadamw(**hyperparameters: Any) -> optax.GradientTransformation:
    return _bounded(orthogonalized.orthogonal_nadamw(**hyperparameters))


def _schedule_free_adamw(**hyperparameters: Any) -> optax.GradientTransformation:
    return _bounded(optax.contrib.schedule_free_adamw(**hyperparameters))


def _ademamix(**hyperparameters: Any) -> optax.GradientTransformation:
    return _bounded(optax.contrib.ademamix(**hyperparameters))


def _prodigy(
    b1: float | Float[Array, ""],
    b2: float | Float[Array, ""],
    learning_rate: optax.ScalarOrSchedule,
    **hyperparameters: Any,
) -> optax.GradientTransformationExtraArgs:
    """Optax's Prodigy, which stays where it is before the first gradient that is not zero.

    Its estimate of a distance is zero over zero there, and not a number ever after. With a
    schedule, small first learning rates are kept out of that estimate, as its authors advise.
    """
    inner = optax.contrib.prodigy(
        learning_rate,
        betas=(b1, b2),
        safeguard_warmup=callable(learning_rate),
        **hyperparameters,
    )

    def update(
        updates: optax.Updates,
        state: optax.OptState,
        params: optax.Params | None = None,
        **extra: Any,
    ) -> tuple[optax.Updates, optax.OptState]:
        before = cast(optax.contrib.ProdigyState, state)
        moved, after = inner.update(updates, state, params, **extra)
        after = cast(optax.contrib.ProdigyState, after)
        sums = jax.tree.leaves(after.grad_sum)
        has_begun = reduce(jnp.logical_or, (jnp.any(leaf != 0) for leaf in sums), False)
        moved = jax.tree.map(lambda leaf: jnp.where(has_begun, leaf, jnp.zeros_like(leaf)), moved)
        estimate = jnp.where(has_begun, after.estim_lr, before.estim_lr)
        return moved, after._replace(estim_lr=estimate)

    return _bounded(optax.GradientTransformationExtraArgs(inner.init, update))


nadamw = HandDesigned(
    name="nadamw",
    build=_nadamw,
    space=adamw.space,
    defaults=adamw.defaults,
)
"""AdamW with Nesterov's momentum (Dozat 2016; `optax.nadamw`)."""

muon = HandDesigned(
    name="muon",
    build=_muon,
    space={
        "learning_rate": _NORMALIZED_STEP,
        "beta": _DECAY,
        "adam_b1": _DECAY,
        "adam_b2": _SLOW_DECAY,
        "weight_decay": _WEIGHT_DECAY,
    },
    defaults={
        "learning_rate": 1e-3,
        "beta": 0.95,
        "adam_b1": 0.9,
        "adam_b2": 0.999,
        "weight_decay": 1e-4,
    },
)
"""Muon (Jordan et al. 2024) for matrices, AdamW for vectors and embeddings (`optax.contrib.muon`).

Momentum of each matrix is orthogonalised. Updates have a root mean square of at most about 0.2
times the learning rate (Liu et al. 2025), so that one learning rate does for both parts. Tensors of
more than two axes, such as those of convolutions, are taken as the squarest matrices that their
axes make; embeddings are those with "embed" in their names.
"""

orthogonal_nadamw = HandDesigned(
    name="orthogonal-nadamw",
    build=_orthogonal_nadamw,
    space=adamw.space,
    defaults=adamw.defaults,
)
"""NAdamW whose direction of each matrix is orthogonalised as in Muon, and keeps its size.

Five steps of Newton and Schulz make the singular values of a direction about equal; then it is
brought back to the root mean square that it had. Which tensors are matrices is as for `muon`; the
others are `nadamw`'s.
"""


schedule_free_adamw = HandDesigned(
    name="schedule-free-adamw",
    build=_schedule_free_adamw,
    space={
        "learning_rate": _NORMALIZED_STEP,
        # Parameters are divided by it.
        "b1": OneMinusLogUniform(0.5, 0.999, least_valid=0.1),
        "b2": _SLOW_DECAY,
        "eps": _EPSILON,
        "weight_decay": _WEIGHT_DECAY,
    },
    defaults={"learning_rate": 2.5e-3, "b1": 0.9, "b2": 0.999, "eps": 1e-8, "weight_decay": 1e-4},
    shapes=("warm-up",),
)
"""Schedule-Free AdamW (Defazio et al. 2024; `optax.contrib.schedule_free_adamw`).

Gradients are taken between an average of its course and the course itself. All losses and metrics
that this library reports are those at the average (`evaluation_params`), the ones on the way, too.
"""

prodigy = HandDesigned(
    name="prodigy",
    build=_prodigy,
    space={
        "learning_rate": LogUniform(1e-3, 1e2),
        "b1": _DECAY,
        "b2": _SLOW_DECAY,
        "estim_lr0": LogUniform(1e-10, 1e0),
        "weight_decay": _WEIGHT_DECAY,
    },
    defaults={
        "learning_rate": 1.0,
        "b1": 0.9,
        "b2": 0.999,
        "estim_lr0": 1e-6,
        "weight_decay": 1e-4,
    },
)
"""Prodigy (Mishchenko and Defazio 2024; `optax.contrib.prodigy`): AdamW that finds its step size.

The learning rate is a factor of the step size that it finds, which begins at `estim_lr0`.
"""

ademamix = HandDesigned(
    name="ademamix",
    build=_ademamix,
    space={
        "learning_rate": _NORMALIZED_STEP,
        "b1": _DECAY,
        "b2": _SLOW_DECAY,
        "b3": OneMinusLogUniform(0.0, 0.99999, low_is_limit=True),
        "alpha": LogUniform(1e-2, 1e2, low_is_limit=True, zero_is_valid=True),
        "weight_decay": _WEIGHT_DECAY,
    },
    defaults={
        "learning_rate": 1e-3,
        "b1": 0.9,
        "b2": 0.999,
        "b3": 0.9999,
        "alpha": 5.0,
        "weight_decay": 1e-4,
    },
)
"""AdEMAMix (Pagliardini et al. 2024; `optax.contrib.ademamix`): AdamW with a second, slow momentum.

`alpha` is its weight and `b3` its decay rate. Both are constant, without the authors' own warm-up
of them.
"""

ALL_HAND_DESIGNED: tuple[HandDesigned, ...] = (
    sgd,
    momentum,
    nesterov,
    rmsprop,
    adam,
    adamw,
    sam,
    adagrad,
    lion,
    adan,
    nadamw,
    muon,
    orthogonal_nadamw,
    schedule_free_adamw,
    prodigy,
    ademamix,
)
"""Every hand-designed optimizer of this module, to be tuned and compared with."""
