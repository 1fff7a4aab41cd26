"""What all pages share: where their templates are, and what they say of the software."""

import platform
from importlib.metadata import version
from typing import Any

import jinja2

_PACKAGES = ("l2o", "jax", "equinox", "optax", "numpy", "scipy")


def render_page(template: str, *, package: str = "l2o.report", **content: Any) -> bytes:
    """Makes a page out of a template.

    **Arguments:** `template`, a file of the package; `package`, whose templates may include those
    of this room; `content`, the template's variables.

    **Returns:** the page, as the bytes of a file; what is no Unicode, as names of files may be, is
    escaped.
    """
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader(package, "."), jinja2.PackageLoader("l2o.report", ".")]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template(template).render(**content)
    return page.encode(errors="backslashreplace")


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that numbers depend on."""
    return {
        "Python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
    }
