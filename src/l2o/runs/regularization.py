"""What is added to the meta-loss."""

from dataclasses import dataclass, replace

from l2o.composition import REGULARIZER, Composed
from l2o.support.checks import check_number, check_unique
from l2o.support.kinds import check_fields


@dataclass(frozen=True)
class Regularization:
    """What is added to the meta-loss, so that the networks trained do better on unseen data."""

    objective_weight: float = 1.0
    """Weight of the objective itself; 0 leaves the meta-loss to the regularizers."""
    regularizers: tuple[Composed, ...] = ()

    def check(self, truncation: int) -> None:
        """Makes sure that something is left of the meta-loss; JAX is left alone.

        **Arguments:** `truncation`, inner steps of a window, in which regularizers must act.

        **Raises:** `ValueError` that names the setting.
        """
        check_fields(self)
        check_number("objective_weight", self.objective_weight, least=0)
        # Flags could not tell two of a name apart.
        check_unique("regularizers", [regularizer.name for regularizer in self.regularizers])
        for regularizer in self.regularizers:
            weight = regularizer.keywords.get("weight")
            check_number(f"the weight of {regularizer.name}", weight, least=0)
            every = regularizer.keywords.get("every", 1)
            if isinstance(every, int) and every > truncation:
                raise ValueError(
                    f"{regularizer.name} must act at least once in a window: every must be at most "
                    f"truncation, got {every} and {truncation}."
                )
        weights = [regularizer.keywords["weight"] for regularizer in self.regularizers]
        if not any((self.objective_weight, *weights)):
            raise ValueError(
                "Nothing is left of the meta-loss: objective_weight, or the weight of a "
                "regularizer, must be above 0."
            )

    def completed(self) -> "Regularization":
        """The same with all settings of all regularizers that have a weight.

        **Raises:** `ValueError` for unknown names, and for settings that are unknown or of the
        wrong type.
        """
        completed = [
            regularizer.completed(REGULARIZER)
            for regularizer in self.regularizers
            if regularizer.keywords.get("weight") != 0
        ]
        return replace(self, regularizers=tuple(completed))
