"""Settings of task families."""

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from l2o.tasks import TaskFamily
    from l2o.tasks.datasets import Classification, MultiTaskData

JudgeOn = Literal["validation", "test"]
"""The split for held-out metrics: validation for all choices, test for the final word."""

Dataset = Literal["digits", "mnist", "mnist-14x14", "cifar10"]
"""The name of a data set of images."""

Activation = Literal["relu", "sigmoid", "tanh", "gelu", "silu"]
"""The name of an activation function."""


@dataclass(frozen=True)
class TaskSettings(abc.ABC):
    """What all families of tasks have in common."""

    max_log_scale: float = 0.0
    """Puts every parameter in random units: a factor of exp(U(-r, r)) with this r."""

    @property
    @abc.abstractmethod
    def title(self) -> str:
        """The family in a few words, for tables and figures."""

    @abc.abstractmethod
    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        """The family, in its own units."""

    def family(self, judge_on: JudgeOn) -> "TaskFamily":
        """Builds the family of tasks.

        **Arguments:** `judge_on`, the split for held-out metrics, where there are some.

        **Raises:** `ValueError` for settings out of range, and for data that are missing.
        """
        from l2o.tasks import ReparameterizedFamily
        from l2o.tasks.checks import check_at_least

        check_at_least("max_log_scale", self.max_log_scale, 0)
        family = self._family(judge_on)
        return ReparameterizedFamily(family, self.max_log_scale) if self.max_log_scale else family


@dataclass(frozen=True)
class Quadratic(TaskSettings):
    """Convex quadratics with log-uniform eigenvalues in random directions."""

    dimension: int = 5
    """Number of parameters."""
    log10_eigenvalues: tuple[float, float] = (-3.0, 0.0)
    """Smallest and largest base-10 logarithm of the eigenvalues."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{self.dimension}-dimensional quadratics"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o.tasks import QuadraticFamily

        del judge_on
        return QuadraticFamily(self.dimension, self.log10_eigenvalues)


@dataclass(frozen=True)
class LeastSquares(TaskSettings):
    """Linear regressions with standard normal data."""

    num_rows: int = 20
    """Number of data points."""
    dimension: int = 10
    """Number of parameters."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{self.dimension}-dimensional least squares"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o.tasks import LeastSquaresFamily

        del judge_on
        return LeastSquaresFamily(self.num_rows, self.dimension)


@dataclass(frozen=True)
class Lasso(TaskSettings):
    """Least squares with an l1 penalty, standard normal data."""

    num_rows: int = 5
    """Number of data points."""
    dimension: int = 10
    """Number of parameters."""
    l1_penalty: float = 0.005
    """Factor of the 1-norm of the parameters."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{self.dimension}-dimensional lasso"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o.tasks import LassoFamily

        del judge_on
        return LassoFamily(self.num_rows, self.dimension, self.l1_penalty)


@dataclass(frozen=True)
class Rastrigin(TaskSettings):
    """Quadratics under a grid of ripples, with many local minima."""

    dimension: int = 10
    """Number of parameters."""
    amplitude: float = 10.0
    """Height of the ripples."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{self.dimension}-dimensional Rastrigin functions"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o.tasks import RastriginFamily

        del judge_on
        return RastriginFamily(self.dimension, self.amplitude)


@dataclass(frozen=True)
class Rosenbrock(TaskSettings):
    """The curved valley of Rosenbrock, from random starts."""

    dimension: int = 2
    """Number of parameters."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{self.dimension}-dimensional Rosenbrock function"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o import tasks

        del judge_on
        return tasks.SingleTask(tasks.Rosenbrock(self.dimension))


@dataclass(frozen=True)
class TwoMoons(TaskSettings):
    """Full-batch classification of two half-moons by a small network."""

    hidden: tuple[int, ...] = (64, 64, 64)
    """Units of each hidden layer."""
    activation: Activation = "tanh"
    """Activation of the hidden units."""
    l2_penalty: float = 5e-3
    """Factor of the 2-norm, not squared, of the parameters."""
    random_data: bool = False
    """Give every task fresh data."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"two moons, {_network_title((2, *self.hidden, 1), (self.activation,))}"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o.tasks import MLP, TwoMoonsFamily

        network = MLP((2, *self.hidden, 1), self.activation)
        return TwoMoonsFamily(
            network=network,
            random_data=self.random_data,
            l2_penalty=self.l2_penalty,
            judge_on=judge_on,
        )


@dataclass(frozen=True)
class BreastCancer(TaskSettings):
    """Full-batch logistic regression on scikit-learn's breast-cancer data."""

    l2_penalty: float = 5e-4
    """Factor of half the squared 2-norm of the weights."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return "logistic regression on breast-cancer data"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o.tasks import LogisticRegression, SingleTask

        return SingleTask(LogisticRegression(l2_penalty=self.l2_penalty, judge_on=judge_on))


@dataclass(frozen=True)
class LogisticRegression(TaskSettings):
    """Full-batch logistic regression between two random Gaussian clouds."""

    num_points: int = 100
    """Points in each split."""
    dimension: int = 3
    """Numbers that describe a point."""
    l2_penalty: float = 5e-4
    """Factor of half the squared 2-norm of the weights."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{self.dimension}-dimensional logistic regression"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o.tasks import LogisticRegressionFamily

        return LogisticRegressionFamily(self.num_points, self.dimension, self.l2_penalty, judge_on)


@dataclass(frozen=True)
class ImageMLP(TaskSettings):
    """Classification of images by multilayer perceptrons, on minibatches."""

    dataset: Dataset = "digits"
    """Images: digits (8 x 8, bundled); mnist, mnist-14x14 or cifar10 from the folder L2O_DATA."""
    hidden: tuple[int, ...] = (20,)
    """Units of each hidden layer; the most there can be, with --min-width."""
    activations: tuple[Activation, ...] = ("relu",)
    """Activation of the hidden units; one of them is drawn for each task."""
    batch_size: int = 128
    """Images in a minibatch."""
    init_std: float | None = None
    """Standard deviation of all initial parameters; by default it depends on layer sizes."""
    min_width: int | None = None
    """Draw each hidden layer's units from here on; by default all layers are full."""
    max_log_init_scale: float = 0.0
    """Scales all initial parameters of a task by exp(U(-r, r)) with this r."""
    num_train: int | None = None
    """Give every task this many random training images; by default all."""
    num_held_out: int | None = None
    """Hold this many random training images of every task out, for --held-out-loss."""
    weight_decay: float = 0.0
    """Factor of half the squared 2-norm of the parameters in the training loss."""
    label_smoothing: float = 0.0
    """Share of each label that is spread over all classes in the training loss."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        inputs = {"digits": 64, "mnist": 784, "mnist-14x14": 196, "cifar10": 3072}[self.dataset]
        sizes = (inputs, *self.hidden, 10)
        return f"{_dataset_title(self.dataset)}, {_network_title(sizes, self.activations)}"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o.tasks import image_mlp_family

        return image_mlp_family(
            _read(self.dataset),
            self.hidden,
            self.activations,
            min_width=self.min_width,
            max_log_init_scale=self.max_log_init_scale,
            init_std=self.init_std,
            num_train=self.num_train,
            num_held_out=self.num_held_out,
            batch_size=self.batch_size,
            judge_on=judge_on,
            weight_decay=_unless_zero("weight_decay", self.weight_decay),
            label_smoothing=_unless_zero("label_smoothing", self.label_smoothing),
        )


@dataclass(frozen=True)
class ImageConv(TaskSettings):
    """Classification of images by convolutional networks, on minibatches."""

    dataset: Dataset = "mnist"
    """Images: digits (8 x 8, bundled); mnist, mnist-14x14 or cifar10 from the folder L2O_DATA."""
    network: Literal["mnist-conv", "cifar-conv", "four-layer-conv", "two-layer-conv"] = "mnist-conv"
    """The network (see l2o.tasks)."""
    batch_size: int = 128
    """Images in a minibatch."""
    num_train: int | None = None
    """Give every task this many random training images; by default all."""
    num_held_out: int | None = None
    """Hold this many random training images of every task out, for --held-out-loss."""
    weight_decay: float = 0.0
    """Factor of half the squared 2-norm of the parameters in the training loss."""
    label_smoothing: float = 0.0
    """Share of each label that is spread over all classes in the training loss."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{_dataset_title(self.dataset)}, {self.network} network"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o import tasks

        builders = {
            "mnist-conv": tasks.mnist_conv,
            "cifar-conv": tasks.cifar_conv,
            "four-layer-conv": tasks.four_layer_conv,
            "two-layer-conv": tasks.two_layer_conv,
        }
        task = builders[self.network](_read(self.dataset))
        return tasks.ImageClassificationFamily(
            task.dataset,
            task.network,
            self.num_train,
            self.num_held_out,
            self.batch_size,
            judge_on=judge_on,
            weight_decay=_unless_zero("weight_decay", self.weight_decay),
            label_smoothing=_unless_zero("label_smoothing", self.label_smoothing),
        )


@dataclass(frozen=True)
class CharacterModel(TaskSettings):
    """Prediction of the next character of Shakespeare's plays, on minibatches."""

    hidden: tuple[int, ...] = (64,)
    """Units of each hidden layer."""
    activation: Activation = "tanh"
    """Activation of the hidden units."""
    context: int = 8
    """Characters to look back."""
    embedding_size: int = 16
    """Numbers that stand for a character."""
    batch_size: int = 128
    """Windows of text in a minibatch."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"Shakespeare, {self.context} characters back, {self.hidden} {self.activation} units"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o.tasks import SingleTask, character_mlp
        from l2o.tasks.datasets import tiny_shakespeare

        return SingleTask(
            character_mlp(
                tiny_shakespeare(),
                self.hidden,
                self.activation,
                context=self.context,
                embedding_size=self.embedding_size,
                batch_size=self.batch_size,
                judge_on=judge_on,
            )
        )


@dataclass(frozen=True)
class _MultiTask(TaskSettings):
    """What all multi-task networks have in common."""

    dataset: Literal["digits", "mnist"] = "digits"
    """Images that the tasks are made of."""
    pooling: int = 1
    """Averages squares of so many pixels: 2 makes MNIST 14 x 14."""
    hidden: tuple[int, ...] = (32,)
    """Units of each layer of the trunk."""
    head_hidden: tuple[int, ...] = ()
    """Units of each hidden layer of every head."""
    activations: tuple[Activation, ...] = ("relu",)
    """Activations of the trunk's hidden units; each task draws one."""
    batch_size: int = 64
    """Rows in a minibatch."""

    @abc.abstractmethod
    def data(self) -> "MultiTaskData":
        """Reads the data."""

    def _images(self) -> "Classification":
        from l2o.tasks.datasets import average_pool

        images = _read(self.dataset)
        return images if self.pooling == 1 else average_pool(images, self.pooling)

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        return self.family_of(self.data(), judge_on)

    def family_of(self, data: "MultiTaskData", judge_on: JudgeOn) -> "TaskFamily":
        """The family with other data, such as one of the targets alone."""
        from l2o.tasks import multi_task_mlp_family

        return multi_task_mlp_family(
            data,
            self.hidden,
            self.head_hidden,
            self.activations,
            batch_size=self.batch_size,
            judge_on=judge_on,
        )


@dataclass(frozen=True)
class OverlaidPairs(_MultiTask):
    """Two overlapping digits, both to be recognised by one network: MultiMNIST from MNIST."""

    pairs_per_image: int = 4
    """Pairs that each image is upper left in."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{_dataset_title(self.dataset)} pairs, trunk {self.hidden}"

    def data(self) -> "MultiTaskData":
        """Reads the data."""
        from l2o.tasks.datasets import overlaid_pairs

        return overlaid_pairs(self._images(), pairs_per_image=self.pairs_per_image)


@dataclass(frozen=True)
class Attributes(_MultiTask):
    """A digit, its ink in units of hundreds, and whether it is even, which few labels tell."""

    missing: float = 0.75
    """Share of training rows without the last label."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{_dataset_title(self.dataset)} attributes, trunk {self.hidden}"

    def data(self) -> "MultiTaskData":
        """Reads the data."""
        from l2o.tasks.datasets import digit_attributes

        return digit_attributes(self._images(), missing=self.missing)


@dataclass(frozen=True)
class ConflictingQuadratics(TaskSettings):
    """Several convex quadratics of the same parameters, of random condition and scale."""

    num_quadratics: int = 2
    """Number of objectives."""
    dimension: int = 10
    """Number of parameters."""
    max_condition: float = 100.0
    """Largest condition number."""
    max_log_factor: float = 2.0
    """Multiplies each objective by exp(U(-r, r)) with this r."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{self.num_quadratics} quadratics in {self.dimension} dimensions"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o.multiobjective.problems import RandomQuadraticsFamily

        del judge_on
        return RandomQuadraticsFamily(
            self.num_quadratics, self.dimension, self.max_condition, self.max_log_factor
        )


AnyTask = (
    ImageMLP
    | ImageConv
    | CharacterModel
    | TwoMoons
    | BreastCancer
    | LogisticRegression
    | Quadratic
    | LeastSquares
    | Lasso
    | Rosenbrock
    | Rastrigin
    | OverlaidPairs
    | Attributes
    | ConflictingQuadratics
)
"""Every kind of task that a recipe can have."""


def _read(dataset: Dataset) -> "Classification":
    """The data set of this name."""
    from l2o.tasks import datasets

    match dataset:
        case "digits":
            return datasets.digits()
        case "mnist":
            return datasets.mnist()
        case "mnist-14x14":
            return datasets.average_pool(datasets.mnist())
        case "cifar10":
            return datasets.cifar10()


def _dataset_title(dataset: Dataset) -> str:
    return {
        "digits": "digits",
        "mnist": "MNIST",
        "mnist-14x14": "MNIST 14 x 14",
        "cifar10": "CIFAR-10",
    }[dataset]


def _unless_zero(name: str, value: float) -> float | None:
    """A setting for which 0 means none.

    **Raises:** `ValueError` if it is not between 0 and 1.
    """
    from l2o.tasks.checks import check_at_least

    check_at_least(name, value, 0)
    check_at_least(f"1 - {name}", 1 - value, 0)
    return value or None


def _network_title(sizes: tuple[int, ...], activations: tuple[str, ...]) -> str:
    return f"{'-'.join(map(str, sizes))} MLP ({'/'.join(activations)})"
