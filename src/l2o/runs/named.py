"""The experiments that have a name."""

from dataclasses import replace
from pathlib import Path

from l2o.composition import Composed
from l2o.runs.evaluation_settings import EvaluationSettings
from l2o.runs.recipe import Recipe
from l2o.runs.regularization import Regularization
from l2o.runs.training_settings import TrainingSettings
from l2o.support.checks import did_you_mean
from l2o.support.kinds import held_to_kinds

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
_RNNPROP = Composed("RNNProp", {"max_step": 0.1})
_RNNPROP_TRAINING = replace(_TRUNCATED, learning_rate=3e-3)

# As in the study on few examples: the published initial rates are for thousands of steps.
_SCALE = Composed("Hierarchical", {"smallest_initial_rate": 1e-2, "largest_initial_rate": 1e-1})

# Maheswaranathan et al. (2021): exact meta-gradients through all of 200 steps. Adam's short
# averages and the clipping are those of their published optimizer for quadratics; a higher
# learning rate that falls to nothing gets there in fewer meta-steps.
_FULL = TrainingSettings(
    meta_steps=2000,
    num_tasks=32,
    horizon=200,
    truncation=200,
    objective="normalized-mean-loss",
    estimator=Composed("exact"),
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
    estimator=Composed("exact"),
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

_FEW_EXAMPLES = Composed(
    "image-mlp",
    {"activations": ("sigmoid",), "num_train": 200, "num_held_out": 200, "batch_size": 64},
)

RECIPES: tuple[Recipe, ...] = (
    Recipe(
        name="demo",
        description="RNNProp on small MLPs on digits, in the five minutes of make demo.",
        task=Composed("image-mlp"),
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
                Composed("image-mlp", {"hidden": (20, 20), "activations": ("sigmoid",)}),
                Composed("quadratic"),
            ),
        ),
    ),
    Recipe(
        name="digits-rnnprop",
        description="RNNProp on small MLPs on scikit-learn's digits.",
        task=Composed("image-mlp"),
        optimizer=_RNNPROP,
        training=_RNNPROP_TRAINING,
        evaluation=EvaluationSettings(baselines=_ALL_BASELINES, longer_steps=1000),
    ),
    Recipe(
        name="digits-dm",
        description="L2O-DM on small MLPs on scikit-learn's digits.",
        task=Composed("image-mlp"),
        optimizer=Composed("DM"),
        training=_TRUNCATED,
        evaluation=EvaluationSettings(baselines=_ALL_BASELINES, longer_steps=1000),
    ),
    Recipe(
        name="digits-scale",
        description="L2O-Scale, the hierarchical optimizer, on small MLPs on digits.",
        task=Composed("image-mlp"),
        optimizer=_SCALE,
        training=_TRUNCATED,
        evaluation=EvaluationSettings(baselines=_ALL_BASELINES, longer_steps=1000),
    ),
    Recipe(
        name="few-examples-rnnprop",
        description="RNNProp for networks with few examples: held-out loss, relative curvature.",
        # Few examples, where what is unseen matters; as many are held out, for the meta-loss alone.
        task=_FEW_EXAMPLES,
        optimizer=_RNNPROP,
        training=TrainingSettings(
            meta_steps=200,
            num_tasks=1,
            horizon=100,
            truncation=20,
            learning_rate=1e-2,
            schedule="cosine",
            clip_norm=1.0,
            validation_every=25,
            validation_tasks=8,
            checkpoint_every=200,
        ),
        regularization=Regularization(
            objective_weight=0.0,
            regularizers=(
                Composed("hessian-norm", {"weight": 1.0, "relative_to": "filters"}),
                Composed("held-out-loss", {"weight": 1.0}),
            ),
        ),
        evaluation=EvaluationSettings(
            baselines=("sgd", "momentum", "adam", "adamw", "sam"),
            num_steps=200,
            other_tasks=(
                _FEW_EXAMPLES.but(num_held_out=None, activations=("relu",)),
                _FEW_EXAMPLES.but(num_held_out=None, hidden=(20, 20)),
                _FEW_EXAMPLES.but(num_held_out=None, activations=("relu",), hidden=(64,)),
                Composed(
                    "image-conv",
                    {
                        "dataset": "digits",
                        "network": "two-layer-conv",
                        "batch_size": 64,
                        "num_train": 200,
                    },
                ),
            ),
        ),
    ),
    Recipe(
        name="pairs-ml2o",
        description="ML2O, for several losses, on networks that tell two overlaid digits.",
        task=Composed("overlaid-pairs"),
        optimizer=Composed("ML2O", {"decay": 0.9, "initial_step": 0.03}),
        training=_SEVERAL_LOSSES,
        evaluation=_SEVERAL_BASELINES,
    ),
    Recipe(
        name="conflicting-quadratics-ml2o",
        description="ML2O on pairs of quadratics of the same parameters.",
        task=Composed("conflicting-quadratics"),
        optimizer=Composed("ML2O", {"initial_step": 0.1}),
        training=replace(
            _SEVERAL_LOSSES,
            meta_steps=1000,
            num_tasks=16,
            horizon=100,
            # On quadratics a little better than exact meta-gradients.
            estimator=Composed("first-order"),
            learning_rate=3e-3,
            validation_every=250,
            validation_tasks=64,
        ),
        evaluation=_SEVERAL_BASELINES,
    ),
    Recipe(
        name="mnist-rnnprop",
        description="RNNProp on the 784-20-10 MLP on MNIST (needs L2O_DATA).",
        task=Composed("image-mlp", {"dataset": "mnist", "init_std": 0.01}),
        optimizer=_RNNPROP,
        training=_RNNPROP_TRAINING,
        evaluation=EvaluationSettings(longer_steps=1000),
    ),
    Recipe(
        name="mnist-dm",
        description="L2O-DM on the 784-20-10 MLP on MNIST (needs L2O_DATA).",
        task=Composed("image-mlp", {"dataset": "mnist", "init_std": 0.01}),
        optimizer=Composed("DM"),
        training=_TRUNCATED,
        evaluation=EvaluationSettings(longer_steps=1000),
    ),
    Recipe(
        name="quadratic-gru",
        description="A GRU on random quadratics, as Maheswaranathan et al. (2021) train it.",
        task=Composed("quadratic"),
        optimizer=Composed("GRU"),
        training=_FULL,
        evaluation=_SMALL_EVALUATION,
    ),
    Recipe(
        name="quadratic-rnnprop",
        description="RNNProp on random quadratics.",
        task=Composed("quadratic"),
        # Minimisers are far away: the best Adam has a learning rate of 11.
        optimizer=Composed("RNNProp", {"max_step": 10.0}),
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
        task=Composed("rosenbrock"),
        # Gradients go up to 4,000, and are below one in the valley.
        optimizer=Composed("GRU", {"input_scale": 0.03, "output_scale": 0.05}),
        # Losses over initial losses would be all about the few starts near the minimum.
        training=TrainingSettings(
            meta_steps=1000,
            num_tasks=128,
            horizon=200,
            truncation=200,
            objective="mean-log-ratio",
            estimator=Composed("exact"),
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
        task=Composed("two-moons", {"hidden": (8, 8)}),
        # Most gradients are below 0.1.
        optimizer=Composed("GRU", {"input_scale": 100.0, "output_scale": 0.1}),
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


@held_to_kinds
def find_recipe(name: Path | str) -> Recipe:
    """The recipe of this name, or in this JSON file, such as the `config.json` of a run.

    **Arguments:** `name`, of a recipe or a file that ends in `.json`.

    **Returns:** the recipe, complete: settings not given have the defaults of what they are for.

    **Raises:** `ValueError` for an unknown name, a missing file or one that holds no recipe.
    """
    if (path := Path(name)).suffix == ".json":
        try:
            return Recipe.from_json(path.read_bytes(), path).completed()
        except OSError as error:
            raise ValueError(f"The recipe {name} cannot be read: {error.strerror}.") from None
    return recipe_named(str(name)).completed()


def as_recipe(recipe: Recipe | Path | str) -> Recipe:
    """A recipe, or the one that is named, as `find_recipe` has it."""
    return recipe if isinstance(recipe, Recipe) else find_recipe(recipe)


def recipe_named(name: str) -> Recipe:
    """The recipe of this name as it is written here, without the settings that are defaults.

    **Raises:** `ValueError` for an unknown name.
    """
    known = {recipe.name: recipe for recipe in RECIPES}
    if name not in known:
        raise ValueError(
            f"There is no recipe {name!r}; there are {', '.join(known)}, and any .json file that "
            f"holds one.{did_you_mean(name, known)}"
        )
    return known[name]
