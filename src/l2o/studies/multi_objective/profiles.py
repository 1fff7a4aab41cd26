"""What is meta-trained, what it is compared with, and on what."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from l2o.composition import Composed
from l2o.runs.evaluation_settings import EvaluationSettings
from l2o.runs.recipe import Recipe
from l2o.runs.training_settings import TrainingSettings


@dataclass(frozen=True)
class ProblemStudy:
    """The part on test problems."""

    problems: tuple[str, ...]
    """As `methods.problems` names them."""
    aggregators: tuple[str, ...]
    """As `methods.AGGREGATORS` names them; each with gradient descent."""
    training_task: Composed
    optimizer: Composed
    training: TrainingSettings
    num_steps: int
    num_starts: int
    tuning_starts: int
    log10_steps: tuple[float, float, int]
    """Factors on every method's update that are tried: from, to (base-10 logarithms), how many."""


@dataclass(frozen=True)
class NetworkFamily:
    """A kind of multi-task networks."""

    name: str
    task: Composed
    num_targets: int
    aggregators: tuple[str, ...]
    """Those that are tuned for it, each with Adam."""
    optimizers: tuple[Composed, ...] = ()
    """Those that are meta-trained on it."""
    others: tuple[str, ...] = ()
    """Families whose ML2O is set to work on it as well."""


@dataclass(frozen=True)
class NetworkStudy:
    """The part on networks."""

    families: tuple[NetworkFamily, ...]
    training: TrainingSettings
    meta_seeds: tuple[int, ...]
    num_steps: int
    num_seeds: int
    """Fresh networks that every method trains."""
    evaluation_seed: int
    """Of those networks, so that settings can be chosen on others."""
    tuning_tasks: int
    num_configurations: int
    num_refined: int
    """The best so many hand-designed methods are tuned once more, with more configurations."""
    refined_configurations: int
    guard_every: int
    """Steps after which GML2O at intervals tests on all training data."""


@dataclass(frozen=True)
class MultiObjectiveStudy:
    """A whole study."""

    problems: ProblemStudy
    networks: NetworkStudy

    def problem_recipe(self) -> Recipe:
        """The meta-training for the test problems."""
        return Recipe(
            name="multi-objective-problems",
            description="ML2O on conflicting quadratics.",
            task=self.problems.training_task,
            optimizer=self.problems.optimizer,
            training=self.problems.training,
        )

    def network_recipe(self, family: NetworkFamily, optimizer: Composed, seed: int) -> Recipe:
        """One meta-training for networks."""
        networks = self.networks
        return Recipe(
            name=f"multi-objective-{family.name}",
            description="One meta-training of the multi-objective study.",
            task=family.task,
            optimizer=optimizer,
            training=networks.training,
            evaluation=EvaluationSettings(
                num_configurations=networks.num_configurations,
                tuning_tasks=networks.tuning_tasks,
                num_tasks=networks.num_seeds,
                num_steps=networks.num_steps,
            ),
            seed=seed,
        )

    def as_dict(self) -> dict[str, Any]:
        """All settings, for JSON."""
        return asdict(self)


_OF_GRAMIANS = (
    "mean",
    "random",
    "MGDA",
    "UPGrad",
    "DualProj",
    "PCGrad",
    "GradVac",
    "CAGrad",
    "IMTL-G",
    "Nash-MTL",
    "FairGrad",
    "Aligned-MTL",
    "ConFIG",
    "GradDrop",
)
_OF_LOSSES = (
    "relative losses",
    "MoCo",
    "DB-MTL",
    "FAMO",
    "DWA",
    "uncertainty",
    "geometric mean",
    "STCH",
)

_PROBLEMS = ProblemStudy(
    problems=(
        "JOS1",
        "ill-scaled quadratics",
        "Fonseca",
        "SLCDT1",
        "CAGrad toy",
        "ZLT1",
        "Lov1",
        "SP1",
        "FF1",
        "SLCDT2",
        "Hil1",
    ),
    aggregators=_OF_GRAMIANS,
    training_task=Composed("conflicting-quadratics"),
    optimizer=Composed("ML2O", {"initial_step": 0.1}),
    training=TrainingSettings(
        meta_steps=1000,
        num_tasks=16,
        horizon=100,
        truncation=20,
        objective="normalized-mean-loss",
        learning_rate=3e-3,
        schedule="cosine",
        clip_norm=1.0,
        validation_every=250,
        validation_tasks=64,
        checkpoint_every=500,
    ),
    num_steps=200,
    num_starts=30,
    tuning_starts=6,
    log10_steps=(-3.0, 1.0, 13),
)

_NETWORKS = NetworkStudy(
    families=(
        NetworkFamily(
            name="digit pairs",
            task=Composed("overlaid-pairs"),
            num_targets=2,
            aggregators=(*_OF_GRAMIANS, *_OF_LOSSES),
            optimizers=(
                Composed("ML2O", {"decay": 0.9, "initial_step": 0.03}),
                Composed("PlainML2O"),
            ),
            others=("digit attributes",),
        ),
        NetworkFamily(
            name="digit attributes",
            task=Composed("attributes"),
            num_targets=3,
            aggregators=(*_OF_GRAMIANS, *_OF_LOSSES),
            optimizers=(
                Composed("ML2O", {"num_objectives": 3, "decay": 0.9, "initial_step": 0.03}),
            ),
            others=("digit pairs",),
        ),
        NetworkFamily(
            name="MNIST pairs",
            task=Composed(
                "overlaid-pairs", {"dataset": "mnist", "pooling": 2, "pairs_per_image": 1}
            ),
            num_targets=2,
            aggregators=(
                "mean",
                "relative losses",
                "MGDA",
                "UPGrad",
                "PCGrad",
                "CAGrad",
                "IMTL-G",
                "Aligned-MTL",
                "MoCo",
                "DB-MTL",
            ),
            optimizers=(Composed("ML2O", {"decay": 0.9, "initial_step": 0.03}),),
            others=("digit pairs",),
        ),
    ),
    training=TrainingSettings(
        meta_steps=200,
        num_tasks=1,
        horizon=200,
        truncation=20,
        objective="normalized-mean-loss",
        # Without second derivatives, meta-training gets worse after some fifty meta-steps.
        estimator=Composed("exact"),
        learning_rate=1e-3,
        schedule="cosine",
        clip_norm=1.0,
        validation_every=25,
        validation_tasks=8,
        checkpoint_every=50,
    ),
    meta_seeds=(1, 2, 3),
    num_steps=200,
    num_seeds=20,
    evaluation_seed=1,
    tuning_tasks=4,
    num_configurations=96,
    num_refined=5,
    refined_configurations=1024,
    guard_every=20,
)

CPU = MultiObjectiveStudy(_PROBLEMS, _NETWORKS)
"""All test problems; pairs and attributes of 8x8 digits, pairs of 14x14 MNIST if it is there."""

QUICK = MultiObjectiveStudy(
    replace(
        _PROBLEMS,
        problems=("JOS1", "CAGrad toy"),
        aggregators=("mean", "UPGrad"),
        optimizer=Composed("ML2O", {"hidden_size": 4, "initial_step": 0.1}),
        training=replace(
            _PROBLEMS.training, meta_steps=8, num_tasks=4, horizon=20, validation_every=8
        ),
        num_steps=20,
        num_starts=4,
        tuning_starts=2,
        log10_steps=(-2.0, 0.0, 3),
    ),
    replace(
        _NETWORKS,
        families=(
            replace(
                _NETWORKS.families[0],
                task=Composed("overlaid-pairs", {"hidden": (8,), "pairs_per_image": 1}),
                aggregators=("mean", "UPGrad", "relative losses"),
                optimizers=(Composed("ML2O", {"hidden_size": 4}),),
                others=(),
            ),
        ),
        training=replace(_NETWORKS.training, meta_steps=8, horizon=20, validation_every=8),
        meta_seeds=(1, 2),
        num_steps=20,
        num_seeds=3,
        tuning_tasks=2,
        num_configurations=8,
        num_refined=1,
        refined_configurations=16,
        guard_every=5,
    ),
)
"""All parts, each as short as can be."""

_MNIST_PAIRS = Composed(
    "overlaid-pairs",
    {
        "dataset": "mnist",
        "hidden": (256, 128),
        "head_hidden": (64,),
        "batch_size": 256,
        "pairs_per_image": 1,
    },
)

FULL = MultiObjectiveStudy(
    replace(
        _PROBLEMS,
        num_starts=200,
        num_steps=1000,
    ),
    replace(
        _NETWORKS,
        families=(
            replace(_NETWORKS.families[0], name="MNIST pairs", task=_MNIST_PAIRS, others=()),
            replace(
                _NETWORKS.families[1],
                name="MNIST attributes",
                task=Composed(
                    "attributes", {"dataset": "mnist", "hidden": (256, 128), "batch_size": 256}
                ),
                others=("MNIST pairs",),
            ),
        ),
        training=replace(_NETWORKS.training, meta_steps=5000, horizon=1000, num_tasks=4),
        num_steps=1000,
    ),
)
"""All test problems, 28x28 MNIST and 1,000 steps, for an accelerator; needs the data."""
