"""Figures, and pages about runs, explanations and flatness."""

from l2o.support.faces import lazy_face

__getattr__, __dir__, __all__ = lazy_face(__name__)
