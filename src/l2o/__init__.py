"""Learning to optimize: meta-train optimizers, prove that they win, see how they work, use them.

Names are imported when they are first used, so that `import l2o` is quick and leaves JAX alone
until it is needed. Which names there are stands in `__init__.pyi`.
"""

from importlib import metadata
from typing import Any

from l2o.support.faces import lazy_face

_find, _, __all__ = lazy_face(__name__)


def __getattr__(name: str) -> Any:
    """Imports a public name on first use (PEP 562)."""
    return metadata.version(__name__) if name == "__version__" else _find(name)


def __dir__() -> list[str]:
    """All public names, imported or not."""
    return [*__all__, "__version__"]
