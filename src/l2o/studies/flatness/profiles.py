"""Which optimizers are meta-trained, how, and on what the networks they train are judged."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from l2o.composition import Composed
from l2o.runs.regularization import Regularization
from l2o.runs.training_settings import TrainingSettings

PLAIN = "plain"

VALIDATED = "{} by validation loss"
"""What a baseline is called that was tuned for the validation loss."""


@dataclass(frozen=True)
class Method:
    """A meta-loss: the mean training loss and what is added to it, with a weight to be chosen."""

    name: str
    title: str
    regularization: Regularization = field(default_factory=Regularization)
    chosen: str | None = None
    """The regularizer whose weight is to be chosen; `None` where there is nothing to choose."""
    weights: tuple[float, ...] = ()
    """To choose from, on validation tasks."""

    def with_weight(self, weight: float | None) -> Regularization:
        """The regularization with a weight."""
        if self.chosen is None or weight is None:
            return self.regularization
        regularizers = [
            regularizer.but(weight=weight) if regularizer.name == self.chosen else regularizer
            for regularizer in self.regularization.regularizers
        ]
        return replace(self.regularization, regularizers=tuple(regularizers))


@dataclass(frozen=True)
class Architecture:
    """A learned optimizer, and how much of the study it takes part in."""

    optimizer: Composed
    learning_rates: tuple[float, ...]
    """Of meta-training, to choose from on validation tasks."""
    methods: tuple[str, ...]
    """By name; those with weights choose them for this architecture alone."""
    enhanced: tuple[str, ...]
    """Those that are meta-trained on a curriculum with imitation, too."""
    weights: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """To choose from, for methods that do not try all of their own."""


@dataclass(frozen=True)
class Optimizee:
    """A kind of network to be trained."""

    name: str
    task: Composed


@dataclass(frozen=True)
class Control:
    """Something cheap in the optimizee's own training loss, with a strength to be chosen."""

    name: str
    title: str
    field: str
    """The strength in the settings of the task."""
    strengths: tuple[float, ...]
    """To choose from, on validation tasks."""

    def apply(self, task: Composed, strength: float) -> Composed:
        """The task with it."""
        return task.but(**{self.field: strength})


@dataclass(frozen=True)
class FlatnessStudy:
    """A whole study."""

    architectures: dict[str, Architecture]
    """The first one is also tried with controls, and shown in the pictures."""
    methods: tuple[Method, ...]
    training_task: Composed
    training: TrainingSettings
    enhanced_training: TrainingSettings
    optimizees: tuple[Optimizee, ...]
    controls: tuple[Control, ...]
    meta_seeds: tuple[int, ...]
    num_seeds: int
    """Networks of each kind that every optimizer trains."""
    seed: int
    """Of all networks to tune, to validate and to judge on."""
    validation_tasks: int
    num_steps: int
    levels: tuple[float, ...]
    """Training losses at which networks are compared, too."""
    baselines: tuple[str, ...]
    """Tuned for the mean training loss."""
    validated_baselines: tuple[str, ...]
    """Those that are tuned once more, for the validation loss at the end."""
    num_configurations: int
    shown_methods: tuple[str, ...]
    """Those whose loss surfaces and bounds are shown."""
    shown_baseline: str
    """The baseline beside them, which learned optimizers are also compared with, as it is tuned
    for one and for the other."""
    shown_networks: int
    """Networks whose bounds are shown."""

    @property
    def first_architecture(self) -> str:
        """The name of the one that is also tried with controls, and shown."""
        return next(iter(self.architectures))

    def find_method(self, name: str) -> Method:
        """The method of a name."""
        return next(method for method in self.methods if method.name == name)

    def as_dict(self) -> dict[str, Any]:
        """All settings, for JSON."""
        return asdict(self)


_HELD_OUT = Composed("held-out-loss", {"weight": 1.0})


def _weighted(
    name: str, title: str, chosen: str, weights: tuple[float, ...], **keywords: Any
) -> Method:
    """A method with one regularizer, whose weight is to be chosen."""
    regularizer = Composed(chosen, {"weight": 0.0, **keywords})
    return Method(name, title, Regularization(regularizers=(regularizer,)), chosen, weights)


METHODS = (
    Method(PLAIN, "no regularizer"),
    _weighted("hessian", "Hessian norm", "hessian-norm", (0.03, 0.3, 3.0)),
    _weighted("entropy", "local entropy", "local-entropy", (0.1, 1.0)),
    _weighted("sharpness", "expected sharpness", "expected-sharpness", (10.0, 30.0, 100.0)),
    _weighted("sam", "SAM sharpness", "sam-sharpness", (0.1, 1.0, 10.0)),
    _weighted(
        "relative-hessian",
        "relative Hessian norm",
        "hessian-norm",
        (0.1, 1.0, 10.0),
        relative_to="filters",
    ),
    _weighted(
        "relative-sharpness",
        "relative expected sharpness",
        "expected-sharpness",
        (1.0, 3.0, 10.0),
        relative_to="filters",
        sigma=0.3,
    ),
    Method(
        "held-out",
        "held-out loss alone",
        Regularization(objective_weight=0.0, regularizers=(_HELD_OUT,)),
    ),
    Method(
        "held-out-hessian",
        "held-out loss and relative Hessian norm",
        Regularization(
            objective_weight=0.0,
            regularizers=(
                Composed("hessian-norm", {"weight": 0.0, "relative_to": "filters"}),
                _HELD_OUT,
            ),
        ),
        "hessian-norm",
        (0.1, 1.0, 10.0),
    ),
)

_FEW = (PLAIN, "hessian", "entropy", "sam", "relative-hessian", "held-out", "held-out-hessian")
_FEW_WEIGHTS = {
    "hessian": (0.03, 0.3),
    "sam": (1.0, 10.0),
    "relative-hessian": (0.1, 1.0),
    "held-out-hessian": (0.1, 1.0),
}
_ENHANCED = (PLAIN, "held-out-hessian")

# Few examples, where what is unseen matters; as many are held out, for the meta-loss alone.
_LOW_DATA = Composed(
    "image-mlp",
    {"activations": ("sigmoid",), "num_train": 200, "num_held_out": 200, "batch_size": 64},
)


def _optimizee(name: str, **changes: Any) -> Optimizee:
    return Optimizee(name, _LOW_DATA.but(num_held_out=None, **changes))


_MLPS = (
    _optimizee("sigmoid, 20 units"),
    _optimizee("ReLU, 20 units", activations=("relu",)),
    _optimizee("sigmoid, 20 and 20 units", hidden=(20, 20)),
    _optimizee("ReLU, 64 units", activations=("relu",), hidden=(64,)),
)

_TRAINING = TrainingSettings(
    meta_steps=200,
    num_tasks=1,
    horizon=100,
    truncation=20,
    schedule="cosine",
    clip_norm=1.0,
    validation_every=25,
    validation_tasks=8,
    checkpoint_every=200,
)

CPU = FlatnessStudy(
    architectures={
        "RNNProp": Architecture(
            Composed("RNNProp", {"max_step": 0.1}),
            (3e-3, 1e-2),
            tuple(method.name for method in METHODS),
            (PLAIN, "hessian", "held-out-hessian"),
        ),
        "L2O-DM": Architecture(Composed("DM"), (3e-3, 1e-2), _FEW, _ENHANCED, _FEW_WEIGHTS),
        "L2O-Scale": Architecture(
            Composed("Hierarchical", {"smallest_initial_rate": 1e-2, "largest_initial_rate": 1e-1}),
            (3e-4, 1e-3, 3e-3),
            _FEW,
            _ENHANCED,
            _FEW_WEIGHTS,
        ),
    },
    methods=METHODS,
    training_task=_LOW_DATA,
    training=_TRAINING,
    enhanced_training=replace(
        _TRAINING,
        meta_steps=100,
        curriculum=(40, 100, 200),
        imitation_ratio=0.1,
        checkpoint_every=100,
    ),
    optimizees=(
        *_MLPS,
        Optimizee(
            "convolutional",
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
        _optimizee("MNIST 14 x 14, sigmoid, 20 units", dataset="mnist-14x14"),
    ),
    controls=(
        Control("weight-decay", "weight decay", "weight_decay", (1e-4, 1e-3, 1e-2)),
        Control("label-smoothing", "label smoothing", "label_smoothing", (0.05, 0.1, 0.2)),
    ),
    meta_seeds=(1, 2, 3),
    num_seeds=10,
    seed=1,
    validation_tasks=24,
    num_steps=200,
    levels=(0.1, 0.01),
    baselines=("sgd", "momentum", "adam", "adamw", "sam"),
    validated_baselines=("momentum", "adam"),
    num_configurations=64,
    shown_methods=(PLAIN, "hessian", "held-out-hessian"),
    shown_baseline="adam",
    shown_networks=4,
)
"""200 training examples of digits, or of MNIST where it is there; within an hour on two cores."""

QUICK = replace(
    CPU,
    architectures={
        "RNNProp": Architecture(
            Composed("RNNProp", {"hidden_size": 4, "max_step": 0.1}),
            (3e-3,),
            (PLAIN, "hessian", "held-out"),
            (PLAIN,),
        )
    },
    methods=tuple(
        replace(method, weights=method.weights[:1])
        for method in METHODS
        if method.name in (PLAIN, "hessian", "held-out")
    ),
    training=replace(CPU.training, meta_steps=8, horizon=20, validation_every=8),
    enhanced_training=replace(
        CPU.enhanced_training,
        meta_steps=4,
        curriculum=(20, 40),
        validation_every=2,
        imitation_ratio=0.25,
    ),
    optimizees=(CPU.optimizees[0], CPU.optimizees[4]),
    controls=(replace(CPU.controls[0], strengths=CPU.controls[0].strengths[:1]),),
    meta_seeds=(1, 2),
    num_seeds=3,
    validation_tasks=4,
    num_steps=20,
    levels=(2.2,),
    baselines=("sgd", "adam"),
    validated_baselines=("adam",),
    num_configurations=8,
    shown_methods=(PLAIN,),
    shown_networks=2,
)
"""All parts, each as short as can be."""

FULL = replace(
    CPU,
    architectures={
        # Over thousands of steps L2O-Scale's own initial learning rates do.
        **CPU.architectures,
        "L2O-Scale": replace(CPU.architectures["L2O-Scale"], optimizer=Composed("Hierarchical")),
    },
    training_task=_LOW_DATA.but(dataset="mnist", num_train=500, num_held_out=500, batch_size=128),
    training=replace(CPU.training, meta_steps=5000, validation_every=200, checkpoint_every=1000),
    enhanced_training=replace(
        CPU.enhanced_training,
        meta_steps=1000,
        curriculum=(100, 200, 500, 1000, 1500, 2000, 2500, 3000),
        validation_every=200,
        checkpoint_every=200,
    ),
    optimizees=(
        *(
            replace(each, task=each.task.but(dataset="mnist", num_train=500, batch_size=128))
            for each in _MLPS
        ),
        Optimizee("convolutional", Composed("image-conv", {"dataset": "mnist", "num_train": 500})),
        Optimizee(
            "CIFAR-10, convolutional",
            Composed(
                "image-conv", {"dataset": "cifar10", "network": "cifar-conv", "num_train": 500}
            ),
        ),
    ),
    num_steps=10_000,
    num_configurations=512,
)
"""500 training examples of MNIST and 10,000 steps, for an accelerator; needs the data."""

# The weights and the learning rate are those that were chosen for RNNProp on digits.
_CHOSEN = (PLAIN, "relative-hessian", "held-out-hessian")

GPU = replace(
    FULL,
    architectures={
        "RNNProp": Architecture(Composed("RNNProp", {"max_step": 0.1}), (1e-2,), _CHOSEN, ())
    },
    methods=tuple(
        replace(method, weights=(1.0,) if method.weights else ())
        for method in METHODS
        if method.name in _CHOSEN
    ),
    training=replace(_TRAINING, meta_steps=500, validation_every=100, checkpoint_every=500),
    optimizees=(
        *FULL.optimizees[:3],
        Optimizee(
            "CIFAR-10, ReLU, 20 units",
            FULL.optimizees[1].task.but(dataset="cifar10"),
        ),
    ),
    controls=(),
    num_steps=2000,
    baselines=("sgd", "adam"),
    validated_baselines=("adam",),
    num_configurations=64,
    shown_methods=(PLAIN, "held-out-hessian"),
)
"""Whether what was chosen on digits does as much for networks of the full size; some minutes of an
accelerator; needs the data."""
