"""The gradients of all objectives, stacked or not, behind one interface; their inner products."""

from l2o.gradients._choice import chunk_that_fits as chunk_that_fits, gradients as gradients
from l2o.gradients._gramian import (
    AnyGramian as AnyGramian,
    Gramian as Gramian,
    as_gramian as as_gramian,
    from_cosines as from_cosines,
)
from l2o.gradients._linearized import (
    LinearizedGradients as LinearizedGradients,
    linearized as linearized,
)
from l2o.gradients._stacked import StackedGradients as StackedGradients, stacked as stacked
from l2o.gradients._trunk_split import (
    TrunkAndHeads as TrunkAndHeads,
    TrunkSplitGradients as TrunkSplitGradients,
    stacked_at_trunk as stacked_at_trunk,
    trunk_split as trunk_split,
)
from l2o.gradients.jacobian import (
    Jacobian as Jacobian,
    check_stacked as check_stacked,
    combine as combine,
    gradient_norms as gradient_norms,
    gramian as gramian,
    norm_of as norm_of,
    num_objectives as num_objectives,
    products_with as products_with,
)
from l2o.gradients.protocol import Gradients as Gradients, as_jacobian as as_jacobian
