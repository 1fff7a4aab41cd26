"""Whole experiments as settings that can be named, changed, saved and replayed, and runs of them.

`train`, `evaluate`, `explain`, `distill`, `measure_flatness` and `tune_baseline` do all that the
command line does, and write all that it writes.
"""

from l2o.support.faces import lazy_face

__getattr__, __dir__, __all__ = lazy_face(__name__)
