"""Which optimizers are meta-trained, how, and on what the networks they train are judged."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from l2o.recipes.evaluation_settings import EvaluationSettings
from l2o.recipes.optimizer_settings import DM, AnyOptimizer, Hierarchical, RNNProp
from l2o.recipes.recipe import Recipe
from l2o.recipes.regularization_settings import RegularizationSettings
from l2o.recipes.task_settings import ImageMLP
from l2o.recipes.training_settings import TrainingSettings

PLAIN = "plain"


@dataclass(frozen=True)
class Method:
    """A meta-loss: the mean training loss and what is added to it, with a weight to be chosen."""

    name: str
    title: str
    settings: RegularizationSettings
    field: str | None = None
    """The weight in the settings; `None` where there is nothing to choose."""
    weights: tuple[float, ...] = ()
    """To choose from, on validation tasks."""

    def with_weight(self, weight: float | None) -> RegularizationSettings:
        """The settings with a weight."""
        if self.field is None or weight is None:
            return self.settings
        return replace(self.settings, **{self.field: weight})


@dataclass(frozen=True)
class Optimizee:
    """A kind of network to be trained."""

    name: str
    task: ImageMLP


@dataclass(frozen=True)
class FlatnessStudy:
    """A whole study."""

    architectures: dict[str, AnyOptimizer]
    """The first one chooses the weights for all."""
    methods: tuple[Method, ...]
    few_methods: tuple[str, ...]
    """Those that the other architectures are meta-trained with."""
    training_task: ImageMLP
    training: TrainingSettings
    optimizees: tuple[Optimizee, ...]
    meta_seeds: tuple[int, ...]
    num_seeds: int
    """Networks of each kind that every optimizer trains."""
    validation_tasks: int
    num_steps: int
    baselines: tuple[str, ...]
    num_configurations: int

    def recipe(self, architecture: str, settings: RegularizationSettings, seed: int) -> Recipe:
        """One meta-training."""
        return Recipe(
            name=f"flatness-{architecture}",
            description="One meta-training of the flatness study.",
            task=self.training_task,
            optimizer=self.architectures[architecture],
            training=self.training,
            regularization=settings,
            evaluation=EvaluationSettings(
                baselines=self.baselines,
                num_configurations=self.num_configurations,
                tuning_tasks=8,
                num_tasks=self.num_seeds,
                num_steps=self.num_steps,
            ),
            seed=seed,
        )

    def as_dict(self) -> dict[str, Any]:
        """All settings, for JSON."""
        return asdict(self)


_RELATIVE = RegularizationSettings(relative_to="filters", sharpness_sigma=0.3)

METHODS = (
    Method(PLAIN, "no regularizer", RegularizationSettings()),
    Method(
        "hessian",
        "Hessian norm",
        RegularizationSettings(),
        "hessian_norm",
        (0.03, 0.3, 3.0),
    ),
    Method(
        "entropy",
        "local entropy",
        RegularizationSettings(),
        "local_entropy",
        (0.01, 0.1, 1.0),
    ),
    Method(
        "sharpness",
        "expected sharpness",
        RegularizationSettings(),
        "expected_sharpness",
        (0.3, 3.0, 30.0),
    ),
    Method(
        "relative-hessian", "relative Hessian norm", _RELATIVE, "hessian_norm", (0.1, 1.0, 10.0)
    ),
    Method(
        "relative-sharpness",
        "relative expected sharpness",
        _RELATIVE,
        "expected_sharpness",
        (0.1, 1.0, 10.0),
    ),
    Method(
        "held-out",
        "held-out loss alone",
        RegularizationSettings(objective_weight=0.0, held_out_loss=1.0),
    ),
    Method(
        "held-out-hessian",
        "held-out loss and relative Hessian norm",
        replace(_RELATIVE, objective_weight=0.0, held_out_loss=1.0),
        "hessian_norm",
        (0.1, 1.0, 10.0),
    ),
)

# Few examples, where what is unseen matters; as many are held out, for the meta-loss alone.
_LOW_DATA = ImageMLP(activations=("sigmoid",), num_train=200, num_held_out=200, batch_size=64)


def _optimizee(name: str, **changes: Any) -> Optimizee:
    return Optimizee(name, replace(_LOW_DATA, num_held_out=None, **changes))


_OPTIMIZEES = (
    _optimizee("sigmoid, 20 units"),
    _optimizee("ReLU, 20 units", activations=("relu",)),
    _optimizee("sigmoid, 20 and 20 units", hidden=(20, 20)),
    _optimizee("ReLU, 64 units", activations=("relu",), hidden=(64,)),
)

CPU = FlatnessStudy(
    architectures={"RNNProp": RNNProp(max_step=0.1), "L2O-DM": DM(), "L2O-Scale": Hierarchical()},
    methods=METHODS,
    few_methods=(PLAIN, "hessian", "entropy", "sharpness", "held-out"),
    training_task=_LOW_DATA,
    training=TrainingSettings(
        meta_steps=400,
        num_tasks=1,
        horizon=100,
        truncation=20,
        learning_rate=3e-3,
        schedule="cosine",
        clip_norm=1.0,
        validation_every=400,
        validation_tasks=8,
        checkpoint_every=400,
    ),
    optimizees=_OPTIMIZEES,
    meta_seeds=(1, 2, 3),
    num_seeds=10,
    validation_tasks=24,
    num_steps=200,
    baselines=("sgd", "momentum", "adam", "adamw", "sam"),
    num_configurations=128,
)
"""200 training examples of 8x8 digits; within an hour on two cores."""

QUICK = replace(
    CPU,
    architectures={"RNNProp": RNNProp(hidden_size=4, max_step=0.1)},
    methods=tuple(
        replace(method, weights=method.weights[:1])
        for method in METHODS
        if method.name in (PLAIN, "hessian", "held-out")
    ),
    training=replace(CPU.training, meta_steps=8, horizon=20, validation_every=8),
    optimizees=_OPTIMIZEES[:1],
    meta_seeds=(1, 2),
    num_seeds=3,
    validation_tasks=4,
    num_steps=20,
    baselines=("sgd", "sam"),
    num_configurations=8,
)
"""All parts, each as short as can be."""

_MNIST = replace(_LOW_DATA, dataset="mnist", num_train=500, num_held_out=500, batch_size=128)

FULL = replace(
    CPU,
    training_task=_MNIST,
    training=replace(CPU.training, meta_steps=5000, validation_every=5000, checkpoint_every=1000),
    optimizees=tuple(
        replace(each, task=replace(each.task, dataset="mnist", num_train=500, batch_size=128))
        for each in _OPTIMIZEES
    ),
    num_steps=10_000,
    num_configurations=512,
)
"""500 training examples of MNIST and 10,000 steps, for an accelerator; needs the data."""
