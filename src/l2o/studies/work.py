"""A long work, done part by part: each part once, here or elsewhere, and kept as a file."""

import json
import pickle
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypedDict, TypeVar, cast

from l2o.runs.progress import ComparisonProgress, OnProgress
from l2o.support.atomic import write_atomically
from l2o.support.bad_input import explains_itself
from l2o.support.checks import is_finite_number
from l2o.support.programs import forget_programs_if_many
from l2o.support.strict_json import read_json, to_json

Report = Callable[[int, int | None], None]
"""Told how much of a part is done, and of how much where that is known."""

_Arguments = ParamSpec("_Arguments")
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_Part = TypeVar("_Part", bound=Mapping[str, Any])

# Threads of branches do nothing but wait, and are made as they are needed.
_MOST_BRANCHES = 10_000
_SECONDS_TO_END = 2.0
# Of parts that run at the same time.
_MOST_NAMED = 2


class Timed(TypedDict, total=False):
    """What every part that is kept has."""

    seconds: float
    """That it took."""
    cpu_seconds: float
    """The same of all threads of the process."""


class Work:
    """A long work and its folder, in which each part is kept once it is done.

    The order of work is that of the code that asks for parts with `once` and waits for each. What
    can be done at the same time is said with `start` and `each`: branches of the same plain code.
    Without an executor they are done one after another, with one each waits in a thread of its own
    for what the executor computes. To be used in a `with` statement, at whose end none is left.

    **Arguments:** `path`, the folder; `on_progress`, called now and then; `executor`, which
    computes parts: processes of this machine, or any other with the interface of
    `concurrent.futures` whose workers share the folder; `activity`, how its work is announced.
    """

    def __init__(
        self,
        path: Path,
        on_progress: OnProgress,
        executor: Executor | None = None,
        activity: str = "at work",
    ) -> None:
        self.path = path
        self._on_progress = on_progress
        self._executor = executor
        self._activity = activity
        self._threads = ThreadPoolExecutor(_MOST_BRANCHES)
        self._lock = threading.Lock()
        self._parts: dict[str, Future[str | _Refusal]] = {}
        self._kept: set[str] = set()
        self._num_done = 0
        self._error: BaseException | None = None

    def once(
        self,
        name: str,
        function: Callable[Concatenate[Report, _Arguments], _Part],
        *arguments: _Arguments.args,
        **keywords: _Arguments.kwargs,
    ) -> _Part:
        """A part of the work, computed unless it was before or is just now.

        **Arguments:** `name`, under which it is kept and announced; `function`, which gives what
        JSON knows, and is told first whom to report progress to; `arguments` and `keywords`, the
        others of the function. An executor of processes has to be able to pickle them.

        **Returns:** what `function` gave, whenever that was, as JSON gives it back, and how long it
        took (`Timed`).

        **Raises:** `ValueError` if what is kept is damaged; what `function` raises;
        `ChildProcessError` if a process ends before its part is done.
        """
        path = self.path / "parts" / f"{name}.json"
        job = _Job(path, function, arguments, keywords)
        if self._executor is None:
            if path.exists():
                return self._kept_part(name, path)
            text = job.compute(self._reporter(name))
            self._num_done += 1
            return cast(_Part, json.loads(text))
        with self._lock:
            if path.exists() and name not in self._parts:
                return self._kept_part(name, path)
            if self._error is not None:
                raise CancelledError
            is_new = name not in self._parts
            if is_new:
                with _telling_of_ended_processes():
                    self._parts[name] = self._executor.submit(job)
                self._say_what_runs()
            part = self._parts[name]
        try:
            text = _outcome(part)
        except BaseException:
            with self._lock:
                # It may be asked for again, when what was wrong is mended.
                if part.done() and self._parts.get(name) is part:
                    del self._parts[name]
            raise
        if is_new:
            with self._lock:
                self._num_done += 1
                self._say_what_runs()
        return cast(_Part, json.loads(text))

    def start(
        self,
        function: Callable[_Arguments, _Result],
        *arguments: _Arguments.args,
        **keywords: _Arguments.kwargs,
    ) -> "Future[_Result]":
        """Begins a branch of the work; without an executor it is done before anything else.

        **Arguments:** `function`, which asks for parts; `arguments` and `keywords` of it.

        **Returns:** what it will give.
        """
        if self._executor is not None:
            return self._threads.submit(self._branch, lambda: function(*arguments, **keywords))
        done: Future[_Result] = Future()
        done.set_result(function(*arguments, **keywords))
        return done

    def each(self, function: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
        """Does a branch for each item and waits for all.

        **Returns:** what `function` gives for each, in their order.
        """
        return [branch.result() for branch in [self.start(function, item) for item in items]]

    def _branch(self, do: Callable[[], _Result]) -> _Result:
        try:
            return do()
        except BaseException as error:
            self._stop(error)
            raise

    def _stop(self, error: BaseException) -> None:
        """Lets parts that have begun be finished, and leaves all others."""
        with self._lock:
            if self._error is None:
                self._error = error
            parts = list(self._parts.values())
        if isinstance(error, KeyboardInterrupt | ChildProcessError):
            # Processes that have ended, too, take their parts along; until 3.12, Python stumbles
            # over those that are cancelled meanwhile.
            wait(parts, _SECONDS_TO_END)
        with self._lock:
            for part in self._parts.values():
                part.cancel()

    def __enter__(self) -> Self:
        there = num_parts_done(self.path)
        found = f"{self._activity}: going on with the parts that are there already"
        self._say(found if there else f"{self._activity}: starting", there, None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is not None:
            self._stop(error)
        self._threads.shutdown(cancel_futures=error is not None)
        # A branch that was told to stop is not what went wrong, and nobody need have asked for one.
        if self._error is not None and (error is None or isinstance(error, CancelledError)):
            raise self._error

    def _kept_part(self, name: str, path: Path) -> Any:
        self._kept.add(name)
        return _kept(path)

    def _reporter(self, name: str) -> Report:
        activity = f"part {len(self._kept) + self._num_done + 1}, {name}"
        self._say(activity, 0, None)
        return lambda done, total: self._say(activity, done, total)

    def _say_what_runs(self) -> None:
        """Tells of the parts that were asked for until now, those kept among them."""
        open_ = [name for name, part in self._parts.items() if not part.done()]
        running = [name for name in open_ if self._parts[name].running()] or open_
        more = f" and {len(running) - _MOST_NAMED} more" if len(running) > _MOST_NAMED else ""
        kept = len(self._kept)
        self._say(
            f"{self._activity}: {', '.join(running[:_MOST_NAMED])}{more}".removesuffix(": "),
            kept + self._num_done,
            kept + len(self._parts),
        )

    def _say(self, activity: str, done: int, total: int | None) -> None:
        self._on_progress(ComparisonProgress(activity, done, total))


@dataclass(frozen=True)
class _Job:
    """A part to be computed, by whatever process."""

    path: Path
    function: Callable[..., Mapping[str, Any]]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]

    def compute(self, report: Report) -> str:
        """Computes the part and keeps it."""
        forget_programs_if_many()
        began, cpu_began = time.perf_counter(), time.process_time()
        part = self.function(report, *self.arguments, **self.keywords)
        took: Timed = {
            "seconds": round(time.perf_counter() - began, 1),
            "cpu_seconds": round(time.process_time() - cpu_began, 1),
        }
        text = to_json({**part, **took})
        write_atomically(self.path, text.encode())
        return text

    def __call__(self) -> "str | _Refusal":
        """The same in an executor; an error that explains itself is only what it says.

        Its origin is not sent between processes. Some errors of libraries cannot be made again from
        what is sent, which would look as if the process had been killed; they are sent as text.
        """
        try:
            return self.compute(_report_nothing)
        except Exception as error:
            if isinstance(error, ValueError) and explains_itself(error):
                return _Refusal(str(error))
            try:
                pickle.loads(pickle.dumps(error))
            except Exception:
                raise RuntimeError("".join(traceback.format_exception(error))) from None
            raise


@dataclass(frozen=True)
class _Refusal:
    """Why a part cannot be computed, for the user."""

    message: str


def _outcome(part: "Future[str | _Refusal]") -> str:
    """A part's text once it is there."""
    with _telling_of_ended_processes():
        outcome = part.result()
    if isinstance(outcome, _Refusal):
        raise ValueError(outcome.message)
    return outcome


@contextmanager
def _telling_of_ended_processes() -> Iterator[None]:
    """Says what to do where a process has ended."""
    try:
        yield
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "One of the processes ended before its work was done, perhaps for want of memory: the "
            "same command goes on where it stopped, with fewer --processes if need be."
        ) from error


def num_parts_done(folder: Path) -> int:
    """How many parts are kept in the folder of a work."""
    return sum(1 for _ in (folder / "parts").rglob("*.json"))


def _kept(path: Path) -> dict[str, Any]:
    """A part that was computed before."""
    try:
        part = read_json(path.read_bytes(), path)
        times = [part.get(name) for name in Timed.__annotations__] if isinstance(part, dict) else []
        if not times or not all(map(is_finite_number, times)):
            raise ValueError(f"{path} lacks what every part has.")
    except (ValueError, OSError) as error:
        raise ValueError(
            f"A part of the results is damaged; delete it, and it is computed anew: {error}"
        ) from error
    return part


def _report_nothing(done: int, total: int | None) -> None:
    """What is done elsewhere is announced when it is finished."""
