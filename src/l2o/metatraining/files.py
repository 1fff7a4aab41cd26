"""The names of what meta-training writes into a folder."""

from pathlib import Path

METRICS = "metrics.jsonl"
"""What was measured, a line for every entry."""

TENSORBOARD = "tensorboard"
"""The same for TensorBoard."""

CHECKPOINTS = "checkpoints"
"""Where a run that was killed goes on from."""

_STAGE = "stage-"


def has_checkpoints(folder: Path) -> bool:
    """Whether a run in a folder can go on from where it was."""
    return any((folder / CHECKPOINTS).glob("[!.]*"))


def stage_folder(folder: Path, number: int) -> Path:
    """The folder of one stage of a curriculum, the first of which is 1: a run of its own."""
    return folder / f"{_STAGE}{number}"


def stage_folders(folder: Path) -> list[Path]:
    """The folders of all stages that there are, in order."""
    numbers = [path.name.removeprefix(_STAGE) for path in folder.glob(f"{_STAGE}*")]
    return [
        stage_folder(folder, number) for number in sorted(map(int, filter(str.isdecimal, numbers)))
    ]
