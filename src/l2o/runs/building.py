"""What meta-training is called with, made of a recipe's settings."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PRNGKeyArray

from l2o.composition import ESTIMATOR, REGULARIZER, Composed
from l2o.flatness import filter_norms, parameter_sizes
from l2o.metatraining import Curriculum, Imitation, Regularizer, Relative
from l2o.objectives import FinalLoss, MeanLogRatio, MeanLoss, NormalizedMeanLoss, Objective
from l2o.runs.recipe import Recipe
from l2o.runs.regularization import Regularization
from l2o.runs.training_settings import TrainingSettings

_OBJECTIVES: dict[str, type[Objective]] = {
    "mean-loss": MeanLoss,
    "normalized-mean-loss": NormalizedMeanLoss,
    "final-loss": FinalLoss,
    "mean-log-ratio": MeanLogRatio,
}
_SCALES = {"filters": filter_norms, "tensors": parameter_sizes}


def keys_of(recipe: Recipe) -> tuple[PRNGKeyArray, PRNGKeyArray, PRNGKeyArray]:
    """Randomness for initial weights, for meta-training, and for tuning and comparing."""
    weights, training, evaluation = jax.random.split(jax.random.key(recipe.seed), 3)
    return weights, training, evaluation


def evaluation_key(recipe: Recipe) -> PRNGKeyArray:
    """Randomness for tuning and comparing that meta-training with the same seed does not use."""
    return keys_of(recipe)[2]


def explanation_key(recipe: Recipe) -> PRNGKeyArray:
    """Randomness of the tasks on which an optimizer's updates are recorded to explain it."""
    # JAX may give the same for this as for `keys_of(recipe)[1]`, and below `keys_of(recipe)[2]`.
    # What is drawn with them is derived otherwise; no task is drawn for two purposes.
    return jax.random.fold_in(jax.random.key(recipe.seed), 1)


def distillation_key(recipe: Recipe) -> PRNGKeyArray:
    """Randomness of the tasks on which a closed form is found."""
    return jax.random.fold_in(jax.random.key(recipe.seed), 2)


def arguments_of_metatrain(recipe: Recipe) -> dict[str, Any]:
    """What `metatrain`, or with a curriculum `metatrain_on_curriculum`, is called with.

    The optimizer, the family, the curriculum and where to write are given beside.

    **Raises:** `ValueError` for settings out of range.
    """
    settings = recipe.training
    arguments = {
        "key": keys_of(recipe)[1],
        "meta_steps": settings.meta_steps,
        "num_tasks": settings.num_tasks,
        "truncation": settings.truncation,
        "objective": build_objective(settings),
        "objective_weight": recipe.regularization.objective_weight,
        "regularizers": build_regularizers(recipe.regularization),
        "estimator": settings.estimator.make(ESTIMATOR)[0],
        "imitation": build_imitation(settings),
        "meta_optimizer": build_meta_optimizer(settings),
        "validation_every": settings.validation_every,
        "validation_tasks": settings.validation_tasks,
        "checkpoint_every": settings.checkpoint_every,
    }
    return arguments if settings.curriculum else arguments | {"horizon": settings.horizon}


def build_curriculum(settings: TrainingSettings) -> Curriculum | None:
    """Builds the curriculum, if there is to be one."""
    return None if settings.curriculum is None else Curriculum(settings.curriculum)


def build_objective(settings: TrainingSettings) -> Objective:
    """Builds the objective."""
    return _OBJECTIVES[settings.objective]()


def build_imitation(settings: TrainingSettings) -> Imitation | None:
    """Builds the imitation of Adam, if there is to be any."""
    return Imitation(settings.imitation_ratio) if settings.imitation_ratio else None


def build_meta_optimizer(settings: TrainingSettings) -> optax.GradientTransformation:
    """Builds Adam with its schedule, the penalty's gradient and clipping."""
    before = []
    if settings.meta_l2_penalty:
        before.append(_norm_penalty(settings.meta_l2_penalty))
    if settings.clip_value is not None:
        before.append(optax.clip(settings.clip_value))
    if settings.clip_norm is not None:
        before.append(optax.clip_by_global_norm(settings.clip_norm))
    adam = optax.adam(build_schedule(settings), settings.b1, settings.b2, settings.epsilon)
    return optax.chain(*before, adam)


def build_schedule(settings: TrainingSettings) -> optax.Schedule:
    """Builds the learning rate as a function of the meta-step."""
    peak, warmup_steps = settings.learning_rate, settings.warmup_steps
    if settings.schedule == "cosine":
        remaining = max(1, settings.meta_steps - warmup_steps)
        after = optax.cosine_decay_schedule(peak, remaining, alpha=0.01)
    elif settings.schedule == "exponential":
        after = optax.exponential_decay(peak, settings.decay_steps, settings.decay_rate)
    else:
        after = optax.constant_schedule(peak)
    if warmup_steps == 0:
        return after
    warmup = optax.linear_schedule(0.0, peak, warmup_steps)
    return optax.join_schedules([warmup, after], [warmup_steps])


def build_regularizers(regularization: Regularization) -> tuple[Regularizer, ...]:
    """Builds the regularizers whose weight is not zero.

    **Raises:** `ValueError` for settings out of range.
    """
    return tuple(
        _regularizer(each) for each in regularization.regularizers if each.keywords["weight"]
    )


def _regularizer(regularizer: Composed) -> Regularizer:
    try:
        weight = regularizer.keywords["weight"]
        made, shared = regularizer.make(REGULARIZER, weight=weight)
    except ValueError as error:
        raise ValueError(f"{regularizer.name}: {error}") from error
    relative_to = shared["relative_to"]
    return made if relative_to == "nothing" else Relative(made, _SCALES[relative_to])


def _norm_penalty(factor: float) -> optax.GradientTransformation:
    """Adds the gradient of `factor` times the 2-norm of the meta-parameters."""

    def add(updates: optax.Updates, params: optax.Params | None) -> optax.Updates:
        # At zero, where the norm has no gradient, the parameters themselves are zero.
        norm = jnp.maximum(optax.global_norm(params), jnp.finfo(jnp.float32).tiny)
        return jax.tree.map(lambda update, param: update + factor * param / norm, updates, params)

    return optax.stateless(add)
