"""Invariant subspaces of a matrix, as fine as its conditioning lets one tell them apart."""

import equinox as eqx
import numpy as np
import scipy.linalg
from jaxtyping import Complex, Float
from scipy.linalg import get_lapack_funcs

# Eigenvalues belong together that a relative perturbation of the matrix by this much exchanges.
PERTURBATION = 1e-3
_ROUNDING = 1e-10


class InvariantSubspace(eqx.Module):
    """A subspace that the matrix maps into itself, with the projector along all others.

    matrix @ basis = basis @ block, dual @ basis = 1, and basis @ dual is the projector.
    """

    eigenvalues: Complex[np.ndarray, " size"]
    block: Complex[np.ndarray, "size size"]
    """The matrix within the subspace; upper triangular."""
    basis: Complex[np.ndarray, "state size"]
    dual: Complex[np.ndarray, "size state"]
    condition: float
    """The norm of the projector: by how much errors of the matrix are magnified; at least 1."""
    norm: float
    """Of the whole matrix, with its coordinates scaled so that rows and columns are balanced."""

    @property
    def mean(self) -> complex:
        """The mean of the eigenvalues, which stays well-conditioned where they meet."""
        return complex(np.mean(self.eigenvalues))


def invariant_subspaces(matrix: Float[np.ndarray, "state state"]) -> tuple[InvariantSubspace, ...]:
    """Splits space into invariant subspaces of a matrix.

    A well-conditioned eigenvalue has a subspace of its own. Eigenvalues that a relative
    perturbation by 1e-3 could exchange share one: around each lies a disc of radius
    1e-3 |matrix| sqrt(condition^2 - 1), which is zero for an eigenvector orthogonal to the others,
    and those whose discs touch are joined, the nearest first, until none do. So matrices without a
    full set of eigenvectors are treated like any other. Source: Golub and Van Loan, *Matrix
    Computations*, sections 7.2.4 and 7.6.2.

    **Arguments:** `matrix`, real and finite.

    **Returns:** the subspaces, the largest eigenvalues first. Complex pairs stay apart.
    """
    size = matrix.shape[0]
    if size == 0:
        return ()
    balanced, (scale, _) = scipy.linalg.matrix_balance(matrix, permute=False, separate=True)
    triangular, vectors = scipy.linalg.schur(balanced, output="complex")[:2]
    splitter = _Splitter(triangular, vectors, scale, float(np.linalg.norm(balanced, 2)))
    groups = {frozenset([i]): splitter.split([i]) for i in range(size)}
    while (pair := _nearest_that_touch(groups, splitter)) is not None:
        merged = pair[0] | pair[1]
        mirrored = splitter.mirrored(merged)
        for union in {merged | mirrored} if merged & mirrored else {merged, mirrored}:
            union = union.union(*(group for group in groups if group & union))
            groups = {group: value for group, value in groups.items() if not group & union}
            groups[union] = splitter.split(sorted(union))
    return tuple(sorted(groups.values(), key=lambda s: (-abs(s.mean), -s.mean.imag)))


class _Splitter:
    """Projects on invariant subspaces of one matrix, given its balanced Schur form."""

    def __init__(
        self,
        triangular: Complex[np.ndarray, "state state"],
        vectors: Complex[np.ndarray, "state state"],
        scale: Float[np.ndarray, " state"],
        norm: float,
    ) -> None:
        self.triangular, self.vectors, self.scale, self.norm = triangular, vectors, scale, norm
        self.eigenvalues = np.diag(triangular)

    def split(self, indices: list[int]) -> InvariantSubspace:
        """The subspace of some eigenvalues, by an ordered Schur form and a Sylvester equation."""
        size, count = self.eigenvalues.size, len(indices)
        chosen = np.zeros(size, np.int32)
        chosen[indices] = 1
        reorder, solve_sylvester = get_lapack_funcs(("trsen", "trsyl"), dtype=complex)
        ordered, vectors, *_ = reorder(chosen, self.triangular, self.vectors, job=b"N")
        block, rest = ordered[:count, :count], ordered[count:, count:]
        coupling = np.zeros((count, 0), complex)
        if count < size:
            solution, factor, _ = solve_sylvester(block, rest, ordered[:count, count:], isgn=-1)
            coupling = solution / max(factor, np.finfo(float).tiny)
        dual = np.hstack([np.eye(count), coupling]) @ vectors.conj().T
        angle = float(np.linalg.norm(coupling, 2)) if coupling.size else 0.0
        return InvariantSubspace(
            eigenvalues=np.diag(block),
            block=block,
            basis=self.scale[:, None] * vectors[:, :count],
            dual=dual / self.scale,
            condition=float(np.hypot(1, angle)),
            norm=self.norm,
        )

    def radius(self, subspace: InvariantSubspace) -> float:
        """How far the eigenvalues may move when the matrix is perturbed."""
        # Not the root of a square, which overflows where eigenvectors are nearly parallel.
        condition = subspace.condition
        excess = np.sqrt(max(0.0, condition - 1)) * np.sqrt(condition + 1)
        return self.norm * min(1e3, PERTURBATION * float(excess) + _ROUNDING)

    def mirrored(self, group: frozenset[int]) -> frozenset[int]:
        """The indices of the complex conjugates of a group's eigenvalues."""
        distances = np.abs(self.eigenvalues[None] - self.eigenvalues[list(group)].conj()[:, None])
        real = np.abs(np.imag(self.eigenvalues[list(group)])) <= _ROUNDING * self.norm
        nearest = np.where(real, list(group), np.argmin(distances, axis=1))
        return frozenset(int(index) for index in nearest)


def _nearest_that_touch(
    groups: dict[frozenset[int], InvariantSubspace], splitter: _Splitter
) -> tuple[frozenset[int], frozenset[int]] | None:
    """The nearest two groups of eigenvalues among those whose discs touch; `None` if none do."""
    names = list(groups)
    radii = np.array([splitter.radius(groups[name]) for name in names])
    between = np.abs(splitter.eigenvalues[:, None] - splitter.eigenvalues[None])
    member = np.array([[i in name for i in range(len(between))] for name in names])
    by_row = np.stack([np.min(between[row], axis=0) for row in member])
    distances = np.stack([np.min(by_row[:, row], axis=1) for row in member])
    np.fill_diagonal(distances, np.inf)
    touching = np.where(distances <= radii[:, None] + radii[None], distances, np.inf)
    if np.all(np.isinf(touching)):
        return None
    first, second = np.unravel_index(np.argmin(touching), touching.shape)
    return names[int(first)], names[int(second)]
