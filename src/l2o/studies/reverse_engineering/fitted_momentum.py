"""The one momentum that is nearest to an optimizer's linear response.

Single modes say little where many eigenvalues lie so close together that their alphas cancel. The
response that they add up to is well-conditioned, and momentum's is an exponential.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

_BETAS = np.linspace(0.0, 0.999, 1000)
_REMEMBERS = 0.5
_EXPLAINS = 0.5


@dataclass(frozen=True)
class FittedMomentum:
    """v = beta v + g, x -= alpha v."""

    alpha: float
    beta: float
    share_explained: float
    """Of the sum of squares of the response."""

    @property
    def is_momentum(self) -> bool:
        """Whether it remembers, and is most of what the optimizer does."""
        return self.beta >= _REMEMBERS and self.share_explained >= _EXPLAINS


def fit_momentum(response: Float[np.ndarray, " steps"]) -> FittedMomentum:
    """Fits -alpha beta^n to an impulse response, by least squares.

    **Arguments:** `response`, of the updates to a gradient that is larger by 1 at step 0.
    """
    powers = _BETAS[:, None] ** np.arange(response.size)
    alphas = -(powers @ response) / np.sum(powers**2, axis=1)
    errors = np.sum((response + alphas[:, None] * powers) ** 2, axis=1)
    best = int(np.argmin(errors))
    total = np.sum(response**2)
    share = 1 - errors[best] / total if total > 0 else 0.0
    return FittedMomentum(float(alphas[best]), float(_BETAS[best]), float(share))
