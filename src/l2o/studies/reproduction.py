"""Papers whose experiments can be repeated with one command."""

import importlib
import shlex
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from l2o.studies.processes import start_processes
from l2o.support.checks import check_choice, check_size
from l2o.support.lock import only_writer
from l2o.support.strict_json import read_json

if TYPE_CHECKING:
    from l2o.runs.progress import OnProgress
    from l2o.studies.study import Study


@dataclass(frozen=True)
class Reproduction:
    """The experiments of a paper, from meta-training to figures."""

    name: str
    """What it is called on the command line."""
    description: str
    """What is repeated, in a sentence."""
    profiles: Mapping[str, str]
    """The sizes that experiments come in: what is in each, and what it takes."""
    module: str
    """Which has the `Study` as `STUDY`; it is imported when the study is done."""

    def run(
        self,
        profile: str,
        out: Path,
        on_progress: "OnProgress",
        *,
        num_processes: int = 1,
        executor: Executor | None = None,
    ) -> Path:
        """Does all of it, or what is left of it when it was interrupted.

        **Arguments:** `profile`, one of `profiles`; `out`, the folder for `results.json`, the
        figures and the page, and for all that is needed to go on after a kill; `on_progress`,
        called now and then; `num_processes`, that work side by side, and take one or two GB of
        memory each; `executor`, to compute parts in their place, such as that of a Dask cluster
        whose workers share the folder.

        **Returns:** the page about the results.

        **Raises:** `ValueError` for an unknown profile, for less than one process, and for a
        folder that holds anything but the same reproduction in the same profile, or that another
        command is writing into; `ChildProcessError` if one of the processes is killed.
        """
        check_choice("A profile", profile, self.profiles)
        check_size("The number of processes", num_processes)
        study = self.study()
        command = f"l2o reproduce {self.name} --profile {profile} --out {shlex.quote(str(out))}"
        # The processes that are started write into it too, and end with this one.
        with only_writer(out):
            if executor is not None or num_processes == 1:
                return study.run(profile, out, on_progress, command=command, executor=executor)
            with start_processes(num_processes) as processes:
                return study.run(
                    profile,
                    out,
                    on_progress,
                    command=command,
                    executor=processes,
                    activity=f"{num_processes} processes at work",
                )

    def study(self) -> "Study":
        """The study itself."""
        return importlib.import_module(self.module).STUDY

    def draw(self, out: Path) -> Path:
        """Writes figures and page once more.

        **Arguments:** `out`, a folder with `results.json`.

        **Returns:** the page.

        **Raises:** `OSError` and `ValueError` if the results cannot be read, or nothing be written.
        """
        path = out / "results.json"
        return self.study().write(read_json(path.read_bytes(), path), out)
