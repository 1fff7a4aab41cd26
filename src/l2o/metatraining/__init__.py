"""Meta-training: gradients of a meta-loss, and the outer loop that follows them."""

from l2o.support.faces import lazy_face

__getattr__, __dir__, __all__ = lazy_face(__name__)
