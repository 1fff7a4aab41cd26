"""Tuning baselines, comparing optimizers on fresh tasks, and how sure the comparison is."""

from l2o.support.faces import lazy_face

__getattr__, __dir__, __all__ = lazy_face(__name__)
