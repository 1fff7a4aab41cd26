"""Compiled programs, which take memory maps that a process has only so many of."""

from pathlib import Path

# Linux allows 65,530, and a program of meta-training takes hundreds or thousands.
_MANY_MAPS = 40_000


def forget_programs_if_many() -> None:
    """Drops compiled programs before they use up the memory maps that a process may have.

    Without maps left, a process dies. To be called where programs may be compiled, and outside of
    all that is being compiled.
    """
    import jax

    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > _MANY_MAPS:
        jax.clear_caches()
