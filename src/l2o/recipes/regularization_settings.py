"""Settings of the regularizers of the meta-loss."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from l2o.metatraining import Regularizer

_WEIGHTS = (
    "objective_weight",
    "hessian_norm",
    "hessian_trace",
    "local_entropy",
    "expected_sharpness",
    "sam_sharpness",
    "held_out_loss",
)


@dataclass(frozen=True)
class RegularizationSettings:
    """What is added to the meta-loss, so that the networks trained do better on unseen data."""

    objective_weight: float = 1.0
    """Weight of the objective itself; 0 leaves the meta-loss to what follows."""
    hessian_norm: float = 0.0
    """Weight of the Hessian's spectral norm."""
    hessian_trace: float = 0.0
    """Weight of the Hessian's trace."""
    local_entropy: float = 0.0
    """Weight of the negative local entropy."""
    expected_sharpness: float = 0.0
    """Weight of the mean rise of the loss under noise."""
    sam_sharpness: float = 0.0
    """Weight of the rise of the loss along its gradient."""
    held_out_loss: float = 0.0
    """Weight of the loss on held-out training data (--num-held-out)."""
    regularize_every: int = 1
    """Inner steps from one evaluation of regularizers to the next."""
    relative_to: Literal["nothing", "filters", "tensors"] = "nothing"
    """Measures perturbations in units of the size of each unit's weights, or of each tensor."""
    hessian_iterations: int = 10
    """Hessian-vector products for the spectral norm."""
    entropy_gamma: float = 1.0
    """Stiffness of the neighbourhood that local entropy looks at."""
    entropy_steps: int = 10
    """Steps of Langevin dynamics for the local entropy."""
    entropy_step_size: float = 0.1
    """Size of the steps of Langevin dynamics."""
    sharpness_sigma: float = 0.05
    """Standard deviation of the noise of the expected sharpness."""
    sam_rho: float = 0.05
    """Distance along the gradient of the SAM sharpness."""

    def check(self, truncation: int) -> None:
        """Makes sure that the settings are in range; JAX is left alone.

        **Arguments:** `truncation`, inner steps of a window, in which regularizers must act.

        **Raises:** `ValueError` that names the setting.
        """
        from l2o.support.checks import check_number, check_size

        weights = {name: getattr(self, name) for name in _WEIGHTS}
        for name, weight in weights.items():
            check_number(name, weight, least=0)
        if not any(weights.values()):
            raise ValueError(
                f"Nothing is left of the meta-loss: one of {', '.join(weights)} must be above 0."
            )
        for name in ("regularize_every", "hessian_iterations", "entropy_steps"):
            check_size(name, getattr(self, name))
        if self.regularize_every > truncation:
            raise ValueError(
                "regularize_every must be at most truncation, got "
                f"{self.regularize_every} and {truncation}."
            )
        check_number("entropy_gamma", self.entropy_gamma, least=0)
        for name in ("entropy_step_size", "sharpness_sigma", "sam_rho"):
            check_number(name, getattr(self, name), above=0)

    def build(self) -> "tuple[Regularizer, ...]":
        """Builds the regularizers whose weight is not zero."""
        from l2o import flatness, metatraining

        every = self.regularize_every
        sharpness: list[Regularizer] = []
        if self.hessian_norm:
            sharpness.append(
                metatraining.HessianNorm(
                    self.hessian_norm, every, num_iterations=self.hessian_iterations
                )
            )
        if self.hessian_trace:
            sharpness.append(metatraining.HessianTrace(self.hessian_trace, every))
        if self.local_entropy:
            sharpness.append(
                metatraining.LocalEntropy(
                    self.local_entropy,
                    every,
                    gamma=self.entropy_gamma,
                    num_steps=self.entropy_steps,
                    step_size=self.entropy_step_size,
                )
            )
        if self.expected_sharpness:
            sharpness.append(
                metatraining.ExpectedSharpness(
                    self.expected_sharpness, every, sigma=self.sharpness_sigma
                )
            )
        if self.sam_sharpness:
            sharpness.append(metatraining.SAMSharpness(self.sam_sharpness, every, rho=self.sam_rho))
        if self.relative_to != "nothing":
            scales = {"filters": flatness.filter_norms, "tensors": flatness.parameter_sizes}
            scale = scales[self.relative_to]
            sharpness = [metatraining.Relative(each, scale) for each in sharpness]
        if self.held_out_loss:
            sharpness.append(metatraining.HeldOutLoss(self.held_out_loss, every))
        return tuple(sharpness)
