"""Settings of learned optimizers."""

import abc
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from jaxtyping import PRNGKeyArray

    from l2o.optimizers import LearnedOptimizer


@dataclass(frozen=True)
class OptimizerSettings(abc.ABC):
    """What all learned optimizers have in common."""

    @property
    @abc.abstractmethod
    def title(self) -> str:
        """The optimizer's name, for tables and figures."""

    @abc.abstractmethod
    def build(self, key: "PRNGKeyArray") -> "LearnedOptimizer":
        """Builds the optimizer before meta-training.

        **Arguments:** `key`, of the initial weights.

        **Raises:** `ValueError` for settings out of range.
        """


@dataclass(frozen=True)
class DM(OptimizerSettings):
    """L2O-DM: two LSTM layers on the logarithm and sign of the gradient."""

    hidden_size: int = 20
    """Units in each layer."""
    steepness: float = 5.0
    """Orders of magnitude, base e, that the logarithm of the gradient resolves."""

    @property
    def title(self) -> str:
        """The optimizer's name."""
        return "L2O-DM"

    def build(self, key: "PRNGKeyArray") -> "LearnedOptimizer":
        """Builds the optimizer before meta-training."""
        from l2o import optimizers

        return optimizers.DM(**asdict(self), key=key)


@dataclass(frozen=True)
class RNNProp(OptimizerSettings):
    """RNNProp: two LSTM layers on Adam's direction and the scaled gradient."""

    hidden_size: int = 20
    """Units in each layer."""
    decay: float = 0.95
    """Decay rate of both moment averages."""
    max_step: float = 0.01
    """Largest update of a parameter in one step."""

    @property
    def title(self) -> str:
        """The optimizer's name."""
        return "RNNProp"

    def build(self, key: "PRNGKeyArray") -> "LearnedOptimizer":
        """Builds the optimizer before meta-training."""
        from l2o import optimizers

        return optimizers.RNNProp(**asdict(self), key=key)


@dataclass(frozen=True)
class GRU(OptimizerSettings):
    """A component-wise GRU with a learned initial state."""

    hidden_size: int = 64
    """Units of the GRU."""
    input_features: Literal["raw", "log"] = "raw"
    """The gradient itself, or its logarithm and sign."""
    input_scale: float = 1.0
    """Factor on the gradient."""
    output_scale: float = 1.0
    """Factor on the update."""

    @property
    def title(self) -> str:
        """The optimizer's name."""
        return f"GRU({self.hidden_size})"

    def build(self, key: "PRNGKeyArray") -> "LearnedOptimizer":
        """Builds the optimizer before meta-training."""
        from l2o import optimizers

        return optimizers.GRU(**asdict(self), key=key)


@dataclass(frozen=True)
class Hierarchical(OptimizerSettings):
    """L2O-Scale: GRUs for every coordinate, every tensor and the whole problem."""

    coordinate_size: int = 10
    """Units of the cell of each coordinate."""
    tensor_size: int = 20
    """Units of the cell of each tensor."""
    global_size: int = 20
    """Units of the cell of the whole problem."""
    last_tensor_only: bool = False
    """The problem's cell sees the last tensor alone, as in the public code."""
    smallest_initial_rate: float = 1e-6
    """Smallest learning rate to begin with; each tensor's is drawn at random."""
    largest_initial_rate: float = 1e-2
    """Largest learning rate to begin with; each tensor's is drawn at random."""

    @property
    def title(self) -> str:
        """The optimizer's name."""
        return "L2O-Scale"

    def build(self, key: "PRNGKeyArray") -> "LearnedOptimizer":
        """Builds the optimizer before meta-training."""
        from l2o import optimizers

        return optimizers.Hierarchical(**asdict(self), key=key)


@dataclass(frozen=True)
class ML2O(OptimizerSettings):
    """ML2O: modules for each objective and one that they share, for tasks with several losses."""

    num_objectives: int = 2
    """Losses of the tasks."""
    hidden_size: int = 16
    """Units of both modules."""
    decay: float = 0.95
    """Decay rate of all moment averages."""
    initial_step: float = 0.01
    """Size of the first updates before meta-training."""

    @property
    def title(self) -> str:
        """The optimizer's name."""
        return "ML2O"

    def build(self, key: "PRNGKeyArray") -> "LearnedOptimizer":
        """Builds the optimizer before meta-training."""
        from l2o import multiobjective

        return multiobjective.ML2O(**asdict(self), key=key)


@dataclass(frozen=True)
class PlainML2O(OptimizerSettings):
    """ML2O as the paper's abstract has it: an LSTM for each objective, and one over them."""

    num_objectives: int = 2
    """Losses of the tasks."""
    hidden_size: int = 20
    """Units of every module."""
    steepness: float = 10.0
    """Orders of magnitude, base e, that the logarithm of the gradient resolves."""
    output_scale: float = 0.01
    """Factor on the update."""

    @property
    def title(self) -> str:
        """The optimizer's name."""
        return "plain ML2O"

    def build(self, key: "PRNGKeyArray") -> "LearnedOptimizer":
        """Builds the optimizer before meta-training."""
        from l2o import multiobjective

        return multiobjective.PlainML2O(**asdict(self), key=key)


AnyOptimizer = DM | RNNProp | GRU | Hierarchical | ML2O | PlainML2O
"""Every learned optimizer that a recipe can have."""
