"""Papers whose experiments can be repeated with one command."""

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from l2o.runs.compare import OnProgress
from l2o.support.lock import only_writer
from l2o.support.programs import forget_programs_if_many
from l2o.support.strict_json import read_json


class Profile(NamedTuple):
    """A size that experiments come in."""

    study: Any
    """What is done, as plain data."""
    description: str
    """What is in it, and what it takes."""


@dataclass(frozen=True)
class Reproduction:
    """The experiments of a paper, from meta-training to figures."""

    name: str
    """What it is called on the command line."""
    description: str
    """What is repeated, in a sentence."""
    profiles: dict[str, Profile]
    """By name."""
    run_study: Callable[..., Path]
    """Does a profile's study, given what `run` is given, and `profile` and `command`, to be named
    in the results; returns the page."""

    def run(
        self, profile: str, out: Path, on_progress: OnProgress, *, num_processes: int = 1
    ) -> Path:
        """Does all of it, or what is left of it when it was interrupted.

        **Arguments:** `profile`, one of `profiles`; `out`, the folder for `results.json`, the
        figures and the page, and for all that is needed to go on after a kill; `on_progress`,
        called now and then; `num_processes`, that work side by side. Each takes one or two GB of
        memory.

        **Returns:** the page about the results.

        **Raises:** `ValueError` for an unknown profile, for less than one process, and for a
        folder that holds anything but the same reproduction in the same profile, or that another
        command is writing into.
        """
        from l2o.support.checks import check_choice, check_size

        check_choice("A profile", profile, self.profiles)
        check_size("The number of processes", num_processes)
        # The processes that are started write into it too, and end with this one.
        with only_writer(out):
            return self._run(profile, out, on_progress, num_processes)

    def _run(self, profile: str, out: Path, on_progress: OnProgress, num_processes: int) -> Path:
        command = f"l2o reproduce {self.name} --profile {profile} --out {shlex.quote(str(out))}"
        return self.run_study(
            self.profiles[profile].study,
            out,
            on_progress,
            profile=profile,
            command=command,
            num_processes=num_processes,
        )


@dataclass(frozen=True)
class WorkFolder:
    """A folder in which each part of a long work is kept once it is done."""

    path: Path

    def claim(self, settings: dict[str, Any]) -> None:
        """Makes the folder that of a work with these settings.

        **Raises:** `ValueError` if it holds anything else.
        """
        from l2o.support.atomic import write_atomically

        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"{self.path} is a file, not a folder for results.")
        path = self.path / "settings.json"
        # As it comes back from the file.
        settings = json.loads(json.dumps(settings))
        if path.exists():
            if read_json(path.read_bytes(), path) != settings:
                raise ValueError(
                    f"{self.path} holds results of other settings: choose another folder with "
                    "--out."
                )
        # Hidden files are of no one's work.
        elif self.path.exists() and any(not x.name.startswith(".") for x in self.path.iterdir()):
            raise ValueError(f"{self.path} is not empty: choose another folder with --out.")
        write_atomically(path, json.dumps(settings, indent=1).encode())

    def once(self, name: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """A part of the work, computed unless it was before.

        **Arguments:** `name`, under which it is kept; `compute`, gives what JSON knows.

        **Returns:** what `compute` gave, whenever that was; `seconds` and `cpu_seconds` are what
        it took, the latter of all threads of the process.

        **Raises:** `ValueError` if what is kept is damaged.
        """
        import time

        from l2o.support.atomic import write_atomically

        path = self.path / "parts" / f"{name}.json"
        if path.exists():
            return self._kept(path)
        forget_programs_if_many()
        began, cpu_began = time.perf_counter(), time.process_time()
        part = compute()
        part["seconds"] = round(time.perf_counter() - began, 1)
        part["cpu_seconds"] = round(time.process_time() - cpu_began, 1)
        text = json.dumps(part, allow_nan=False)
        write_atomically(path, text.encode())
        return json.loads(text)

    def _kept(self, path: Path) -> dict[str, Any]:
        """A part that was computed before."""
        try:
            part = read_json(path.read_bytes(), path)
            if not isinstance(part, dict) or not part.keys() >= {"seconds", "cpu_seconds"}:
                raise ValueError(f"{path} lacks what every part has.")
        except ValueError as error:
            raise ValueError(
                f"A part of the results in {self.path} is damaged; delete it, and it is computed "
                f"anew: {error}"
            ) from error
        return part


def one_line_each(results: dict[str, Any]) -> str:
    """JSON in which every entry of the lists and objects in `results` takes a line."""

    def written(value: Any) -> str:
        if isinstance(value, dict) and value:
            entries = [f"{json.dumps(name)}: {json.dumps(each)}" for name, each in value.items()]
            return "{\n  " + ",\n  ".join(entries) + "\n }"
        if isinstance(value, list) and value:
            return "[\n  " + ",\n  ".join(map(json.dumps, value)) + "\n ]"
        return json.dumps(value)

    parts = [f"{json.dumps(name)}: {written(value)}" for name, value in results.items()]
    return "{\n " + ",\n ".join(parts) + "\n}\n"
