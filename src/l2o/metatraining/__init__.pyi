# The public names: type checkers read them here, and so does `__init__.py` at run time.
from l2o.metatraining._coordinate_gradient import coordinate_gradient as coordinate_gradient
from l2o.metatraining._metatrain import (
    MetaTrainingResult as MetaTrainingResult,
    metatrain as metatrain,
)
from l2o.metatraining.back_propagation import BackPropagation as BackPropagation
from l2o.metatraining.check import check_metatraining as check_metatraining
from l2o.metatraining.curriculum import (
    HIERARCHICAL_CURRICULUM as HIERARCHICAL_CURRICULUM,
    RECURRENT_CURRICULUM as RECURRENT_CURRICULUM,
    Curriculum as Curriculum,
    CurriculumResult as CurriculumResult,
    metatrain_on_curriculum as metatrain_on_curriculum,
)
from l2o.metatraining.estimators import *
from l2o.metatraining.imitation import Imitation as Imitation
from l2o.metatraining.meta_gradient import (
    InnerProblems as InnerProblems,
    MetaGradient as MetaGradient,
    MetaGradientEstimator as MetaGradientEstimator,
    MetaLoss as MetaLoss,
)
from l2o.metatraining.metrics import read_metrics as read_metrics
from l2o.metatraining.part import Part as Part
from l2o.metatraining.plan import Footprint as Footprint
from l2o.metatraining.progress import Progress as Progress
from l2o.metatraining.regularizers import *
from l2o.metatraining.regularizers.regularizer import Regularizer as Regularizer
from l2o.metatraining.regularizers.relative import Relative as Relative
from l2o.metatraining.window import Window as Window, WindowGradient as WindowGradient
