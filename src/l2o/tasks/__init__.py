"""What gets optimized."""

from l2o.gradients import TrunkAndHeads as TrunkAndHeads
from l2o.tasks import datasets as datasets
from l2o.tasks.conv_nets import (
    ConvNet as ConvNet,
    ConvNetName as ConvNetName,
    Convolution as Convolution,
    cifar_conv as cifar_conv,
    four_layer_conv as four_layer_conv,
    mnist_conv as mnist_conv,
    two_layer_conv as two_layer_conv,
)
from l2o.tasks.families import *
from l2o.tasks.image_classification import (
    ImageClassification as ImageClassification,
    ImageClassificationFamily as ImageClassificationFamily,
    image_mlp as image_mlp,
)
from l2o.tasks.language_model import (
    CharacterLanguageModel as CharacterLanguageModel,
    CharacterLanguageModelFamily as CharacterLanguageModelFamily,
    character_mlp as character_mlp,
)
from l2o.tasks.lasso import Lasso as Lasso
from l2o.tasks.least_squares import LeastSquares as LeastSquares
from l2o.tasks.logistic_regression import LogisticRegression as LogisticRegression
from l2o.tasks.modular_addition import ModularAddition as ModularAddition
from l2o.tasks.multi_objective import (
    MultiObjectiveTask as MultiObjectiveTask,
    count_objectives as count_objectives,
)
from l2o.tasks.multi_task import (
    GradientForm as GradientForm,
    MultiTaskFamily as MultiTaskFamily,
    MultiTaskNetwork as MultiTaskNetwork,
    multi_task_mlp_family as multi_task_mlp_family,
)
from l2o.tasks.networks import (
    MLP as MLP,
    Activation as Activation,
    MLPFamily as MLPFamily,
    Network as Network,
)
from l2o.tasks.quadratic import Quadratic as Quadratic
from l2o.tasks.rastrigin import Rastrigin as Rastrigin
from l2o.tasks.reparameterized import (
    Reparameterized as Reparameterized,
    ReparameterizedFamily as ReparameterizedFamily,
)
from l2o.tasks.rosenbrock import Rosenbrock as Rosenbrock
from l2o.tasks.task import (
    Batch as Batch,
    Params as Params,
    SingleTask as SingleTask,
    Task as Task,
    TaskFamily as TaskFamily,
    check_family as check_family,
    check_task as check_task,
)
from l2o.tasks.task_batch import TaskBatch as TaskBatch
from l2o.tasks.teacher_student import TeacherStudent as TeacherStudent
from l2o.tasks.transformer import Transformer as Transformer
from l2o.tasks.two_moons import TwoMoons as TwoMoons, TwoMoonsFamily as TwoMoonsFamily
from l2o.tasks.value_function import ValueFunction as ValueFunction
