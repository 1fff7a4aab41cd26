"""Settings of task families."""

from l2o.recipes.task_settings.base import JudgeOn as JudgeOn, TaskSettings as TaskSettings
from l2o.recipes.task_settings.functions import (
    Lasso as Lasso,
    LeastSquares as LeastSquares,
    Quadratic as Quadratic,
    Rastrigin as Rastrigin,
    Rosenbrock as Rosenbrock,
)
from l2o.recipes.task_settings.images import ImageConv as ImageConv, ImageMLP as ImageMLP
from l2o.recipes.task_settings.several_losses import (
    Attributes as Attributes,
    ConflictingQuadratics as ConflictingQuadratics,
    OverlaidPairs as OverlaidPairs,
)
from l2o.recipes.task_settings.small_models import (
    BreastCancer as BreastCancer,
    CharacterModel as CharacterModel,
    LogisticRegression as LogisticRegression,
    TwoMoons as TwoMoons,
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
