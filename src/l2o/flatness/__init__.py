"""How flat a loss is around its parameters.

The floating-point arrays of any pytree are the parameters; integers and functions among its leaves
stay as they are. Half precision is raised to single precision.
"""

from l2o.flatness._lanczos import RitzPairs as RitzPairs, lanczos as lanczos
from l2o.flatness._loss_surface import (
    LossSurface as LossSurface,
    filter_normalised_direction as filter_normalised_direction,
    loss_slice as loss_slice,
    loss_surface as loss_surface,
)
from l2o.flatness._rescaled import (
    filter_norms as filter_norms,
    parameter_sizes as parameter_sizes,
    rescaled as rescaled,
)
from l2o.flatness._sharpness import (
    expected_sharpness as expected_sharpness,
    sharpness as sharpness,
)
from l2o.flatness._spectral_density import (
    SpectralDensity as SpectralDensity,
    spectral_density as spectral_density,
)
from l2o.flatness._trace import trace as trace
from l2o.flatness.bounds import (
    eigenvalue_bound as eigenvalue_bound,
    entropy_gap_bounds as entropy_gap_bounds,
    quadratic_entropy_gap as quadratic_entropy_gap,
    trace_bound as trace_bound,
)
from l2o.flatness.eigenvalues import (
    ritz_pairs as ritz_pairs,
    spectral_norm as spectral_norm,
    top_eigenvalue as top_eigenvalue,
)
from l2o.flatness.estimate import Estimate as Estimate
from l2o.flatness.hessian import curvature as curvature, hessian_product as hessian_product
from l2o.flatness.langevin import (
    entropy_gap_by_sgld as entropy_gap_by_sgld,
    sgld_mean as sgld_mean,
)
from l2o.flatness.local_entropy import entropy_gap as entropy_gap
from l2o.flatness.power_method import power_iteration as power_iteration
from l2o.flatness.raveled import Loss as Loss
