"""The names of what is in the folder of a saved optimizer."""

from pathlib import Path

WEIGHTS = "model.safetensors"
"""The tensors."""

CONFIG = "config.json"
"""The architecture, the keywords of its constructor, and a checksum."""


def is_saved_optimizer(folder: Path) -> bool:
    """Whether a folder holds a saved optimizer."""
    return (folder / WEIGHTS).exists()
