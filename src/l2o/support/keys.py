"""Random keys that a user gives."""

from typing import Any

import jax

from l2o.support.checks import in_a_line


def check_key(key: Any, name: str = "key") -> None:
    """Makes sure that `key` is a single random key of JAX, a new one or one of the legacy kind.

    **Arguments:** `key`, which may be traced; `name`, what the argument is called.

    **Raises:** `ValueError` that names the argument and says how a key is made.
    """
    try:
        jax.eval_shape(jax.random.split, key)
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} must be a random key such as jax.random.key(0), got {in_a_line(key)}."
        ) from None
