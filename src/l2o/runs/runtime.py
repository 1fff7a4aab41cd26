"""The one place for settings of JAX that hold for the whole process."""

import os
import warnings
from pathlib import Path

# More than this many tasks at once are rare, and every device takes time to set up.
_MOST_DEVICES = 8


def set_up_jax(*, num_devices: int | None = None, shared: bool = False) -> None:
    """Imports JAX and sets it up for the command line; to be called before anything is computed.

    Compiled programs are kept on disk, in the folder `jax` under `L2O_CACHE` or `~/.cache/l2o`,
    so that a second run of a command starts at once. Products on accelerators are made in full
    single precision, so that results do not depend on where they are computed.

    **Arguments:** `num_devices`, among which meta-training divides its tasks; by default every
    processor core is one, unless `JAX_NUM_CPU_DEVICES` is set; `shared`, whether processes that
    this one starts are to use the same accelerator, of which none may take all memory then.

    **Raises:** `ValueError` if the cache is said to be in a home directory that nobody has.
    """
    if shared:
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax

    from l2o.tasks.datasets import cache_folder

    # JAX adds its settings at run time, so the attribute is none that a type checker knows.
    if num_devices is not None or getattr(jax.config, "jax_num_cpu_devices") < 1:  # noqa: B009
        jax.config.update("jax_num_cpu_devices", num_devices or min(num_cores(), _MOST_DEVICES))
    cache = cache_folder() / "jax"
    if _is_writable(cache):
        jax.config.update("jax_compilation_cache_dir", str(cache))
    else:
        warnings.warn(
            f"Compiled programs cannot be kept in {cache}; they will be compiled again next time. "
            "Set the environment variable L2O_CACHE to a writable folder.",
            stacklevel=2,
        )
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    if jax.default_backend() != "cpu":
        jax.config.update("jax_default_matmul_precision", "float32")


def _is_writable(folder: Path) -> bool:
    """Whether files can be written into the folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def num_cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
