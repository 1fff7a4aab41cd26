"""Random gradients for the tests of this folder."""

import itertools

import numpy as np


def draw(seed, num_cases, m, d, conflict=0.0, decades=0.0):
    """Jacobians (num_cases, m, d): without `conflict` they are normal, with 1 they sum to zero.

    Norms differ by up to `decades` powers of ten.
    """
    generator = np.random.default_rng(seed)
    jacobians = generator.standard_normal((num_cases, m, d))
    jacobians -= conflict * jacobians.mean(axis=1, keepdims=True)
    return jacobians * 10 ** generator.uniform(-decades / 2, decades / 2, (num_cases, m, 1))


def gramians(jacobians):
    return jacobians @ np.swapaxes(jacobians, -1, -2)


def least_cosines(jacobians, weights):
    """For every case, the least cosine between a gradient and the combination of all."""
    weights = np.asarray(weights, float)
    combined = np.einsum("km,kmd->kd", weights, jacobians)
    cosines = np.einsum("kmd,kd->km", jacobians, combined)
    cosines /= np.linalg.norm(jacobians, axis=2) * np.linalg.norm(combined, axis=1)[:, None]
    return cosines.min(axis=1)


def least_norm(jacobian):
    """The least norm of a convex combination, from all supports one by one."""
    m, best = len(jacobian), np.inf
    for size in range(1, m + 1):
        for support in map(list, itertools.combinations(range(m), size)):
            rows = jacobian[support]
            system = np.block([[rows @ rows.T, np.ones((size, 1))], [np.ones(size), 0.0]])
            weights = np.linalg.lstsq(system, np.eye(size + 1)[-1], rcond=None)[0][:-1]
            if (weights >= -1e-12).all():
                best = min(best, np.linalg.norm(weights @ rows / weights.sum()))
    return best
