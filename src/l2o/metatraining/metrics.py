"""The record of a run: one JSON object a line, and the same for TensorBoard."""

import json
import math
from pathlib import Path
from typing import Any


class MetricsLog:
    """Writes metrics to `metrics.jsonl` and `tensorboard/` in a folder.

    **Arguments:** `folder`; `resume_from`, the step that the run goes on from: later lines, from
    before it was killed, are dropped.
    """

    def __init__(self, folder: Path, resume_from: int) -> None:
        # Imported where it is needed, since it imports all of PyTorch where that is installed.
        from tensorboardX import SummaryWriter

        self._path = folder / "metrics.jsonl"
        self.rows = [row for row in read_metrics(folder) if row["meta_step"] <= resume_from]
        kept = "".join(json.dumps(row) + "\n" for row in self.rows)
        replacement = self._path.with_suffix(".tmp")
        replacement.write_text(kept)
        replacement.replace(self._path)
        self._file = self._path.open("a")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=resume_from + 1)

    def write(self, row: dict[str, Any]) -> None:
        """Adds one row; numbers that are not finite are written as `null`."""
        row = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in row.items()
        }
        self.rows.append(row)
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        for name, value in row.items():
            if name != "meta_step" and value is not None:
                self._board.add_scalar(name, value, row["meta_step"])

    def close(self) -> None:
        """Closes both files."""
        self._file.close()
        self._board.close()


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The rows of a run's `metrics.jsonl`; a last line that was cut off is left out."""
    path = folder / "metrics.jsonl"
    if not path.exists():
        return []
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows
