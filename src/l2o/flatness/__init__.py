"""How flat a loss is around its parameters."""

from l2o.flatness.eigenvalues import (
    power_iteration as power_iteration,
    ritz_pairs as ritz_pairs,
    spectral_norm as spectral_norm,
    top_eigenvalue as top_eigenvalue,
)
from l2o.flatness.estimate import Estimate as Estimate
from l2o.flatness.hessian import curvature as curvature, hessian_product as hessian_product
from l2o.flatness.lanczos import RitzPairs as RitzPairs, lanczos as lanczos
from l2o.flatness.raveled import Loss as Loss
from l2o.flatness.spectral_density import (
    SpectralDensity as SpectralDensity,
    spectral_density as spectral_density,
)
from l2o.flatness.trace import trace as trace
