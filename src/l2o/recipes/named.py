"""The experiments that have a name."""

import difflib
from dataclasses import replace
from pathlib import Path

from l2o.recipes.evaluation_settings import EvaluationSettings
from l2o.recipes.flatness.profiles import CPU as FEW_EXAMPLES
from l2o.recipes.optimizer_settings import DM, GRU, ML2O, Hierarchical, RNNProp
from l2o.recipes.recipe import Recipe
from l2o.recipes.task_settings import (
    ConflictingQuadratics,
    ImageMLP,
    OverlaidPairs,
    Quadratic,
    Rosenbrock,
    TwoMoons,
)
from l2o.recipes.training_settings import TrainingSettings

_ALL_BASELINES = (
    "sgd",
    "momentum",
    "nesterov",
    "rmsprop",
    "adam",
    "adamw",
    "adagrad",
    "lion",
    "adan",
)

# The inner loop of Andrychowicz et al. (2016) as Open-L2O has it: 100 steps, meta-gradients over
# 20 of them, first order.
_TRUNCATED = TrainingSettings(
    meta_steps=2000, horizon=100, truncation=20, schedule="cosine", clip_norm=1.0
)

# Over a hundred steps on digits, the best Adam moves six times as far in a step as the published
# limit of 0.01 allows. With that limit RNNProp loses to it, on MNIST too.
_RNNPROP = RNNProp(max_step=0.1)
_RNNPROP_TRAINING = replace(_TRUNCATED, learning_rate=3e-3)

# As in the study on few examples: the published initial rates are for thousands of steps.
_SCALE = Hierarchical(smallest_initial_rate=1e-2, largest_initial_rate=1e-1)

# Maheswaranathan et al. (2021): exact meta-gradients through all of 200 steps. Adam's short
# averages and the clipping are those of their published optimizer for quadratics; a higher
# learning rate that falls to nothing gets there in fewer meta-steps.
_FULL = TrainingSettings(
    meta_steps=2000,
    num_tasks=32,
    horizon=200,
    truncation=200,
    objective="normalized-mean-loss",
    estimator="exact",
    learning_rate=2e-3,
    schedule="cosine",
    b1=0.8,
    b2=0.6,
    epsilon=4.5e-6,
    clip_value=0.05,
    validation_tasks=64,
)

_SEVERAL_LOSSES = TrainingSettings(
    meta_steps=200,
    num_tasks=1,
    horizon=200,
    objective="normalized-mean-loss",
    estimator="exact",
    learning_rate=1e-3,
    schedule="cosine",
    clip_norm=1.0,
    validation_every=25,
    validation_tasks=8,
)
_SEVERAL_BASELINES = EvaluationSettings(
    baselines=("mean-adam", "upgrad-adam", "mgda-adam", "pcgrad-adam"),
    num_configurations=128,
    tuning_tasks=4,
    num_tasks=32,
    num_steps=200,
)

_SMALL_EVALUATION = EvaluationSettings(
    baselines=_ALL_BASELINES,
    num_configurations=512,
    tuning_tasks=32,
    num_tasks=128,
    num_steps=200,
    longer_steps=1000,
)

RECIPES: tuple[Recipe, ...] = (
    Recipe(
        name="demo",
        description="RNNProp on small MLPs on digits, in the five minutes of make demo.",
        task=ImageMLP(),
        optimizer=_RNNPROP,
        training=TrainingSettings(
            meta_steps=600,
            num_tasks=2,
            learning_rate=3e-3,
            schedule="cosine",
            clip_norm=1.0,
        ),
        evaluation=EvaluationSettings(
            baselines=("momentum", "adam"),
            tuning_tasks=4,
            longer_steps=300,
            other_tasks=(
                ImageMLP(hidden=(20, 20), activations=("sigmoid",)),
                Quadratic(),
            ),
        ),
    ),
    Recipe(
        name="digits-rnnprop",
        description="RNNProp on small MLPs on scikit-learn's digits.",
        task=ImageMLP(),
        optimizer=_RNNPROP,
        training=_RNNPROP_TRAINING,
        evaluation=EvaluationSettings(baselines=_ALL_BASELINES, longer_steps=1000),
    ),
    Recipe(
        name="digits-dm",
        description="L2O-DM on small MLPs on scikit-learn's digits.",
        task=ImageMLP(),
        optimizer=DM(),
        training=_TRUNCATED,
        evaluation=EvaluationSettings(baselines=_ALL_BASELINES, longer_steps=1000),
    ),
    Recipe(
        name="digits-scale",
        description="L2O-Scale, the hierarchical optimizer, on small MLPs on digits.",
        task=ImageMLP(),
        optimizer=_SCALE,
        training=_TRUNCATED,
        evaluation=EvaluationSettings(baselines=_ALL_BASELINES, longer_steps=1000),
    ),
    Recipe(
        name="few-examples-rnnprop",
        description="RNNProp for networks with few examples: held-out loss, relative curvature.",
        task=FEW_EXAMPLES.training_task,
        optimizer=_RNNPROP,
        training=replace(FEW_EXAMPLES.training, learning_rate=1e-2),
        regularization=FEW_EXAMPLES.find_method("held-out-hessian").with_weight(1.0),
        evaluation=EvaluationSettings(
            baselines=FEW_EXAMPLES.baselines,
            num_steps=FEW_EXAMPLES.num_steps,
            other_tasks=tuple(
                each.task for each in FEW_EXAMPLES.optimizees[1:] if each.task.dataset == "digits"
            ),
        ),
    ),
    Recipe(
        name="pairs-ml2o",
        description="ML2O, for several losses, on networks that tell two overlaid digits.",
        task=OverlaidPairs(),
        optimizer=ML2O(decay=0.9, initial_step=0.03),
        training=_SEVERAL_LOSSES,
        evaluation=_SEVERAL_BASELINES,
    ),
    Recipe(
        name="conflicting-quadratics-ml2o",
        description="ML2O on pairs of quadratics of the same parameters.",
        task=ConflictingQuadratics(),
        optimizer=ML2O(initial_step=0.1),
        training=replace(
            _SEVERAL_LOSSES,
            meta_steps=1000,
            num_tasks=16,
            horizon=100,
            # On quadratics a little better than exact meta-gradients.
            estimator="first-order",
            learning_rate=3e-3,
            validation_every=250,
            validation_tasks=64,
        ),
        evaluation=_SEVERAL_BASELINES,
    ),
    Recipe(
        name="mnist-rnnprop",
        description="RNNProp on the 784-20-10 MLP on MNIST (needs L2O_DATA).",
        task=ImageMLP(dataset="mnist", init_std=0.01),
        optimizer=_RNNPROP,
        training=_RNNPROP_TRAINING,
        evaluation=EvaluationSettings(longer_steps=1000),
    ),
    Recipe(
        name="mnist-dm",
        description="L2O-DM on the 784-20-10 MLP on MNIST (needs L2O_DATA).",
        task=ImageMLP(dataset="mnist", init_std=0.01),
        optimizer=DM(),
        training=_TRUNCATED,
        evaluation=EvaluationSettings(longer_steps=1000),
    ),
    Recipe(
        name="quadratic-gru",
        description="A GRU on random quadratics, as Maheswaranathan et al. (2021) train it.",
        task=Quadratic(),
        optimizer=GRU(),
        training=_FULL,
        evaluation=_SMALL_EVALUATION,
    ),
    Recipe(
        name="quadratic-rnnprop",
        description="RNNProp on random quadratics.",
        task=Quadratic(),
        # Minimisers are far away: the best Adam has a learning rate of 11.
        optimizer=RNNProp(max_step=10.0),
        training=TrainingSettings(
            meta_steps=2000,
            num_tasks=64,
            horizon=200,
            objective="normalized-mean-loss",
            learning_rate=3e-3,
            schedule="cosine",
            clip_norm=1.0,
        ),
        evaluation=_SMALL_EVALUATION,
    ),
    Recipe(
        name="rosenbrock-gru",
        description="A GRU on the Rosenbrock function, as Maheswaranathan et al. (2021) have it.",
        task=Rosenbrock(),
        # Gradients go up to 4,000, and are below one in the valley.
        optimizer=GRU(input_scale=0.03, output_scale=0.05),
        # Losses over initial losses would be all about the few starts near the minimum.
        training=TrainingSettings(
            meta_steps=1000,
            num_tasks=128,
            horizon=200,
            truncation=200,
            objective="mean-log-ratio",
            estimator="exact",
            learning_rate=1e-3,
            schedule="cosine",
            b2=0.99,
            clip_norm=1.0,
            validation_every=50,
            validation_tasks=128,
        ),
        evaluation=_SMALL_EVALUATION,
    ),
    Recipe(
        name="moons-gru",
        description="A GRU on a network that separates two moons (Maheswaranathan et al. 2021).",
        task=TwoMoons(hidden=(8, 8)),
        # Most gradients are below 0.1.
        optimizer=GRU(input_scale=100.0, output_scale=0.1),
        # It becomes unstable now and then; the best on validation is what counts.
        training=TrainingSettings(
            meta_steps=1400,
            num_tasks=8,
            horizon=200,
            truncation=100,
            objective="normalized-mean-loss",
            learning_rate=1.5e-3,
            schedule="cosine",
            b2=0.9,
            clip_norm=0.5,
            validation_every=25,
            validation_tasks=32,
        ),
        evaluation=EvaluationSettings(num_steps=200, longer_steps=1000),
    ),
)
"""Every named recipe."""


def find_recipe(name: str) -> Recipe:
    """The recipe of this name, or in this JSON file, such as the `config.json` of a run.

    **Arguments:** `name`, of a recipe or a file that ends in `.json`.

    **Raises:** `ValueError` for an unknown name, a missing file or one that holds no recipe.
    """
    if name.endswith(".json"):
        path = Path(name)
        try:
            return Recipe.from_json(path.read_bytes(), path)
        except OSError as error:
            raise ValueError(f"The recipe {name} cannot be read: {error.strerror}.") from None
    known = {recipe.name: recipe for recipe in RECIPES}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"There is no recipe {name!r}; there are {', '.join(known)}, and any .json file that "
            f"holds one.{hint}"
        )
    return known[name]
