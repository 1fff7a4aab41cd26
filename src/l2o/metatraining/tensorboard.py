"""Scalars of a run for TensorBoard; imported where a run begins, since it takes long."""

import socket
import struct
import time
from pathlib import Path
from typing import Any

from tensorboardX.proto import event_pb2
from tensorboardX.record_writer import masked_crc32c
from tensorboardX.summary import scalar

# Its names are made when it is imported.
_PROTO: Any = event_pb2


class TensorBoard:
    """Scalars for TensorBoard, written by the process itself.

    tensorboardX's `SummaryWriter` writes from a thread, whose errors nobody hears of: with a disk
    that is full, the queue to it fills up, and the process waits forever.
    """

    def __init__(self, folder: Path, purge_step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}"
        self._file = (folder / name).open("ab")
        # What an earlier process wrote of these steps is not shown.
        start = _PROTO.SessionLog(status=_PROTO.SessionLog.START)
        self._add(file_version="brain.Event:2")
        self._add(step=purge_step, session_log=start)
        self._file.flush()

    def write(self, row: dict[str, Any]) -> None:
        """Adds the numbers of a meta-step."""
        for name, value in row.items():
            if name != "meta_step" and value is not None:
                self._add(step=row["meta_step"], summary=scalar(name, value))
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _add(self, **content: Any) -> None:
        """Writes an event as TensorFlow frames them: length, its checksum, content, checksum."""
        event = _PROTO.Event(wall_time=time.time(), **content).SerializeToString()
        length = struct.pack("<Q", len(event))
        for part in (length, event):
            self._file.write(part + struct.pack("<I", masked_crc32c(part)))
