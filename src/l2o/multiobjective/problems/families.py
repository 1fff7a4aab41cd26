"""Families of tasks with several losses that are made of plain settings."""

from l2o.multiobjective.problems.conflicting_quadratics import (
    ConflictingQuadraticsFamily as ConflictingQuadraticsFamily,
)
