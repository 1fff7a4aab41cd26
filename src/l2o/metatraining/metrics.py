"""The record of a run: one JSON object a line, and the same for TensorBoard."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from l2o.metatraining.files import METRICS, TENSORBOARD
from l2o.support.atomic import write_atomically
from l2o.support.checks import LARGEST_SIZE, is_finite_number
from l2o.support.strict_json import read_json

Row = dict[str, Any]
"""What one meta-step measured: `meta_step`, a whole number, and other numbers by name, `None` where
one is not finite."""


def as_kept(row: Row) -> Row:
    """A row with `None` for numbers that are not finite, which JSON does not have."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }


class MetricsLog:
    """Writes metrics to `metrics.jsonl` and `tensorboard/` in a folder.

    **Arguments:** `folder`; `resume_from`, the step that the run goes on from: later lines, from
    before it was killed, are dropped.

    **Raises:** `ValueError` if the lines that are there are damaged; `OSError` if the folder cannot
    be written to.
    """

    def __init__(self, folder: Path, resume_from: int) -> None:
        self.path = folder / METRICS
        self.rows = [row for row in read_metrics(folder) if row["meta_step"] <= resume_from]
        kept = "".join(json.dumps(row) + "\n" for row in self.rows)
        self._writing(lambda: write_atomically(self.path, kept.encode()))
        self._file = self.path.open("a")
        # Not before a run begins: it imports all of PyTorch where that is installed.
        from l2o.metatraining.tensorboard import TensorBoard

        self._board = TensorBoard(folder / TENSORBOARD, resume_from + 1)

    def write(self, row: Row) -> None:
        """Adds one row.

        **Raises:** `OSError` if it cannot be written.
        """
        row = as_kept(row)
        self.rows.append(row)
        self._writing(lambda: self._write(row))

    def _write(self, row: Row) -> None:
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        self._board.write(row)

    def close(self) -> None:
        """Closes both files.

        **Raises:** `OSError` if what was to be written could not be.
        """
        try:
            self._writing(self._file.close)
        finally:
            self._writing(self._board.close)

    def _writing(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            raise OSError(
                f"{self.path} cannot be written ({error.strerror or error}); the run can be "
                "resumed from its last checkpoint, if there is one."
            ) from error


def read_metrics(folder: Path) -> list[Row]:
    r"""The rows of a run's `metrics.jsonl`; a last line that was cut off is left out.

    **Raises:** `ValueError` for a line that is no row, or rows that are not in order.

    ```pycon
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = Path(folder, "metrics.jsonl").write_text('{"meta_step": 1}\n{"meta_st')
    ...     l2o.metatraining.read_metrics(Path(folder))
    ...
    [{'meta_step': 1}]
    ```
    """
    path = folder / METRICS
    if not path.exists():
        return []
    try:
        *lines, last = path.read_text().split("\n")
    except UnicodeDecodeError:
        raise _damaged(path, "it is no text") from None
    rows: list[Row] = []
    for number, line in enumerate(lines, start=1):
        row = _parse(line)
        if row is None:
            raise _damaged(path, f"line {number} is no row of numbers")
        if rows and row["meta_step"] <= rows[-1]["meta_step"]:
            raise _damaged(path, f"line {number} is not of a later meta-step than the one before")
        rows.append(row)
    whole = _parse(last)
    return rows if whole is None else [*rows, whole]


def _parse(line: str) -> Row | None:
    """The row in a line, or `None` if it is none."""
    try:
        row = read_json(line, METRICS)
    except ValueError:
        return None
    is_row = isinstance(row, dict) and _is_whole(row.get("meta_step"))
    return row if is_row and all(_is_number(value) for value in row.values()) else None


def _is_whole(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST_SIZE


def _is_number(value: Any) -> bool:
    return value is None or is_finite_number(value)


def _damaged(path: Path, reason: str) -> ValueError:
    return ValueError(
        f"{path} is damaged: {reason}. Mend or remove it; it is not needed to resume the run."
    )
