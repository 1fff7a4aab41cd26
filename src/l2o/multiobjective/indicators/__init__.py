"""Indicators: how good a set of points is as an approximation of a Pareto front."""

from l2o.multiobjective.indicators._hypervolume import hypervolume as hypervolume
from l2o.multiobjective.indicators._igd import igd as igd
from l2o.multiobjective.indicators._non_dominated import non_dominated as non_dominated
