"""What every study is: parts that give results, and pages that are written from these alone."""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypedDict, TypeVar

from l2o.report.pages import versions
from l2o.runs.progress import OnProgress
from l2o.studies.work import Work
from l2o.support.atomic import write_atomically
from l2o.support.strict_json import read_json, to_json


class Heading(TypedDict):
    """What the results of every study begin with."""

    experiment: str
    paper: str
    """Whose question it is."""
    profile: str
    command: str
    """That gives these results."""
    versions: dict[str, str]
    """Of Python and of packages."""


_Settings = TypeVar("_Settings")
_Results = TypeVar("_Results", bound=Heading)


@dataclass(frozen=True)
class Study(Generic[_Settings, _Results]):
    """A study from the first part to the page."""

    experiment: str
    """What it is called in the results."""
    paper: str
    profiles: Mapping[str, _Settings]
    """What is done in each size, as plain data."""
    claim: Callable[[_Settings], Mapping[str, Any]]
    """What decides the results, for JSON; raises `ValueError` where the data are missing."""
    results: Callable[[Heading, _Settings, Work], _Results]
    """Does all parts; gives what `results.json` holds."""
    write: Callable[[_Results, Path], Path]
    """Writes figures and pages from that into the folder, and gives the page."""

    def run(
        self,
        profile: str,
        out: Path,
        on_progress: OnProgress,
        *,
        command: str,
        executor: Executor | None = None,
        activity: str = "at work",
    ) -> Path:
        """Does a profile and writes all about it, going on where an earlier process stopped.

        **Arguments:** `profile`, one of `profiles`; `out`, the folder for `results.json`, the
        figures and the page; `on_progress`, called now and then; `command`, to be named in the
        results; `executor` and `activity`, as for `Work`.

        **Returns:** the page.

        **Raises:** `ValueError` for a folder that holds anything else, and for missing data.
        """
        settings = self.profiles[profile]
        claim_folder(out, {**self.claim(settings), "profile": profile})
        heading: Heading = {
            "experiment": self.experiment,
            "paper": self.paper,
            "profile": profile,
            "command": command,
            "versions": versions(),
        }
        with Work(out, on_progress, executor, activity) as work:
            done = self.results(heading, settings, work)
        # As JSON gives it back: without tuples.
        results: _Results = json.loads(to_json(done))
        write_atomically(out / "results.json", _one_line_each(results).encode())
        return self.write(results, out)


def claim_folder(folder: Path, settings: Mapping[str, Any]) -> None:
    """Makes the folder that of a work with these settings.

    **Raises:** `ValueError` if it holds anything else.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file, not a folder for results.")
    path = folder / "settings.json"
    # As it comes back from the file.
    settings = json.loads(to_json(settings))
    if path.exists():
        if read_json(path.read_bytes(), path) != settings:
            raise ValueError(
                f"{folder} holds results of other settings: choose another folder with --out."
            )
    # Hidden files are of no one's work.
    elif folder.exists() and any(not x.name.startswith(".") for x in folder.iterdir()):
        raise ValueError(f"{folder} is not empty: choose another folder with --out.")
    write_atomically(path, json.dumps(settings, indent=1).encode())


def _one_line_each(results: Mapping[str, Any]) -> str:
    """JSON in which every entry of the lists and objects in `results` takes a line."""

    def written(value: Any) -> str:
        if isinstance(value, dict) and value:
            entries = [f"{to_json(name)}: {to_json(each)}" for name, each in value.items()]
            return "{\n  " + ",\n  ".join(entries) + "\n }"
        if isinstance(value, list) and value:
            return "[\n  " + ",\n  ".join(map(to_json, value)) + "\n ]"
        return to_json(value)

    parts = [f"{to_json(name)}: {written(value)}" for name, value in results.items()]
    return "{\n " + ",\n ".join(parts) + "\n}\n"
