"""The one place for settings of JAX that hold for the whole process."""


def set_up_jax() -> None:
    """Imports JAX and sets it up for the command line; to be called before anything is computed.

    Compiled programs are kept on disk, in the folder `jax` under `L2O_CACHE` or `~/.cache/l2o`,
    so that a second run of a command starts at once.
    """
    import jax

    from l2o.tasks.datasets import cache_folder

    jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
