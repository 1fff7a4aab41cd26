"""What a meta-training run leaves behind."""

import warnings
from pathlib import Path

from jaxtyping import PyTree

from l2o.metatraining.checkpoints import Checkpoint, Checkpoints
from l2o.metatraining.files import CHECKPOINTS
from l2o.metatraining.metrics import MetricsLog, Row, as_kept


class RunRecord:
    """The history of a run, and in its folder, if it has one, metrics and checkpoints.

    **Arguments:** `folder`, or `None` to write nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.history: list[Row] = []
        self.scores: list[float] = []
        """Of all validations so far."""
        self._folder = folder
        self._checkpoints = None if folder is None else Checkpoints(folder / CHECKPOINTS)
        self._log: MetricsLog | None = None

    def begin(self, state: PyTree, *, resume: bool) -> tuple[PyTree, int]:
        """Says where the run begins, and opens its files there.

        **Arguments:** `state`, that of a fresh run; `resume`, whether to go on from the last
        checkpoint, if there is one.

        **Returns:** the state to begin with, and the number of meta-steps that it has behind it.

        **Raises:** `ValueError` if there is a run already and it is not to be resumed, if its
        checkpoint does not fit `state`, or if its files are damaged.
        """
        if self._folder is None or self._checkpoints is None:
            return state, 0
        if self._checkpoints.exist() and not resume:
            raise ValueError(
                f"{self._folder} already holds a run; resume it or choose another folder."
            )
        begin = self._checkpoints.restore(state) or Checkpoint(0, state, [], 0)
        self._log = MetricsLog(self._folder, resume_from=begin.meta_step)
        self.history, self.scores = self._log.rows, begin.scores
        missing = begin.num_rows - len(self.history)
        if missing > 0:
            warnings.warn(
                f"{self._log.path} lacks {missing} of the {begin.num_rows} rows up to the "
                f"checkpoint of meta-step {begin.meta_step}; the run goes on without them.",
                stacklevel=2,
            )
        return begin.state, begin.meta_step

    def add(self, row: Row) -> None:
        """Adds what was measured at one meta-step."""
        if self._log is None:
            self.history.append(as_kept(row))
        else:
            self._log.write(row)

    def checkpoint(self, meta_step: int, state: PyTree) -> None:
        """Keeps the state after a meta-step, to go on from."""
        if self._checkpoints is not None:
            checkpoint = Checkpoint(meta_step, state, self.scores, len(self.history))
            self._checkpoints.save(checkpoint)

    def close(self) -> None:
        """Closes the files."""
        if self._log is not None:
            self._log.close()
