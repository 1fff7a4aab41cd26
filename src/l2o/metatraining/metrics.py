"""The record of a run: one JSON object a line, and the same for TensorBoard."""

import json
import math
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from l2o.support.atomic import write_atomically
from l2o.support.checks import LARGEST_SIZE, is_finite_number
from l2o.support.strict_json import read_json

Row = dict[str, Any]
"""What one meta-step measured: `meta_step`, a whole number, and other numbers by name, `None` where
one is not finite."""

_METRICS = "metrics.jsonl"


class MetricsLog:
    """Writes metrics to `metrics.jsonl` and `tensorboard/` in a folder.

    **Arguments:** `folder`; `resume_from`, the step that the run goes on from: later lines, from
    before it was killed, are dropped.

    **Raises:** `ValueError` if the lines that are there are damaged; `OSError` if the folder cannot
    be written to.
    """

    def __init__(self, folder: Path, resume_from: int) -> None:
        self.path = folder / _METRICS
        self.rows = [row for row in read_metrics(folder) if row["meta_step"] <= resume_from]
        kept = "".join(json.dumps(row) + "\n" for row in self.rows)
        self._writing(lambda: write_atomically(self.path, kept.encode()))
        self._file = self.path.open("a")
        self._board = _TensorBoard(folder / "tensorboard", resume_from + 1)

    def write(self, row: Row) -> None:
        """Adds one row; numbers that are not finite are written as `null`.

        **Raises:** `OSError` if it cannot be written.
        """
        row = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in row.items()
        }
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


class _TensorBoard:
    """Scalars for TensorBoard, written by the process itself.

    tensorboardX's `SummaryWriter` writes from a thread, whose errors nobody hears of: with a disk
    that is full, the queue to it fills up, and the process waits forever.
    """

    def __init__(self, folder: Path, purge_step: int) -> None:
        # Imported where it is needed, since it imports all of PyTorch where that is installed.
        from tensorboardX.proto import event_pb2

        self._proto: Any = event_pb2
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}"
        self._file = (folder / name).open("ab")
        # What an earlier process wrote of these steps is not shown.
        start = self._proto.SessionLog(status=self._proto.SessionLog.START)
        self._add(file_version="brain.Event:2")
        self._add(step=purge_step, session_log=start)
        self._file.flush()

    def write(self, row: Row) -> None:
        from tensorboardX.summary import scalar

        for name, value in row.items():
            if name != "meta_step" and value is not None:
                self._add(step=row["meta_step"], summary=scalar(name, value))
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def _add(self, **content: Any) -> None:
        """Writes an event as TensorFlow frames them: length, its checksum, content, checksum."""
        from tensorboardX.record_writer import masked_crc32c

        event = self._proto.Event(wall_time=time.time(), **content).SerializeToString()
        length = struct.pack("<Q", len(event))
        for part in (length, event):
            self._file.write(part + struct.pack("<I", masked_crc32c(part)))


def read_metrics(folder: Path) -> list[Row]:
    """The rows of a run's `metrics.jsonl`; a last line that was cut off is left out.

    **Raises:** `ValueError` for a line that is no row, or rows that are not in order.
    """
    path = folder / _METRICS
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
        row = read_json(line, _METRICS)
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
