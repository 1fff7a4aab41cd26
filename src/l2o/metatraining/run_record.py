"""What a meta-training run leaves behind."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from jaxtyping import PyTree

from l2o.metatraining.checkpoints import Checkpoints
from l2o.metatraining.metrics import MetricsLog


class RunRecord:
    """The history of a run, and in its folder, if it has one, metrics and checkpoints.

    **Arguments:** `folder`, or `None` to write nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.history: list[dict[str, Any]] = []
        self._folder = folder
        self._checkpoints: Checkpoints | None = None
        self._log: MetricsLog | None = None
        self._open_files = ExitStack()

    def begin(self, state: PyTree, *, resume: bool) -> tuple[PyTree, int]:
        """Says where the run begins, and opens its files there.

        **Arguments:** `state`, that of a fresh run; `resume`, whether to go on from the last
        checkpoint, if there is one.

        **Returns:** the state to begin with, and the number of meta-steps that it has behind it.

        **Raises:** `ValueError` if there is a run already and it is not to be resumed, or if its
        checkpoint does not fit `state`.
        """
        if self._folder is None:
            return state, 0
        self._checkpoints = Checkpoints(self._folder / "checkpoints")
        self._open_files.callback(self._checkpoints.close)
        done = self._checkpoints.latest()
        if done is not None:
            if not resume:
                raise ValueError(
                    f"{self._folder} already holds a run; resume it or choose another folder."
                )
            state = self._checkpoints.restore(done, state)
        self._log = MetricsLog(self._folder, resume_from=done or 0)
        self._open_files.callback(self._log.close)
        self.history = self._log.rows
        return state, done or 0

    def add(self, row: dict[str, Any]) -> None:
        """Adds what was measured at one meta-step."""
        if self._log is None:
            self.history.append(row)
        else:
            self._log.write(row)

    def checkpoint(self, meta_step: int, state: PyTree) -> None:
        """Keeps the state after a meta-step, to go on from."""
        if self._checkpoints is not None:
            self._checkpoints.save(meta_step, state)

    def close(self) -> None:
        """Closes the files."""
        self._open_files.close()
