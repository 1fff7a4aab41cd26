"""Families of tasks that are made of plain settings."""

from l2o.tasks.attributes import attributes_family as attributes_family
from l2o.tasks.breast_cancer import breast_cancer_family as breast_cancer_family
from l2o.tasks.conv_nets import image_conv_family as image_conv_family
from l2o.tasks.image_classification import image_mlp_family as image_mlp_family
from l2o.tasks.language_model import character_model_family as character_model_family
from l2o.tasks.lasso import LassoFamily as LassoFamily
from l2o.tasks.least_squares import LeastSquaresFamily as LeastSquaresFamily
from l2o.tasks.logistic_regression import LogisticRegressionFamily as LogisticRegressionFamily
from l2o.tasks.modular_addition import ModularAdditionFamily as ModularAdditionFamily
from l2o.tasks.overlaid_pairs import overlaid_pairs_family as overlaid_pairs_family
from l2o.tasks.quadratic import QuadraticFamily as QuadraticFamily
from l2o.tasks.rastrigin import RastriginFamily as RastriginFamily
from l2o.tasks.rosenbrock import rosenbrock_family as rosenbrock_family
from l2o.tasks.teacher_student import TeacherStudentFamily as TeacherStudentFamily
from l2o.tasks.two_moons import two_moons_family as two_moons_family
