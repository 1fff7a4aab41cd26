"""Parts of a long work done by several processes.

A reproduction keeps every part that is done in its folder (`WorkFolder.once`). So processes share
nothing but that folder: they do parts in any order, and then the work is run as ever, which finds
them there.
"""

import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NamedTuple

from l2o.runs.compare import ComparisonProgress, OnProgress
from l2o.runs.runtime import set_up_jax
from l2o.support.bad_input import explains_itself
from l2o.support.plain_warnings import show_warnings_plainly


class Job(NamedTuple):
    """Some parts of a work, for one process."""

    title: str
    do: Callable[[], Any]
    """What it gives is dropped. It is sent to the process, so it has to be of a module."""


def run_side_by_side(
    stages: Sequence[Sequence[Job]], num_processes: int, on_progress: OnProgress
) -> None:
    """Does jobs in several processes, each with one of JAX's processor devices.

    **Arguments:** `stages`, jobs that need nothing but what earlier stages have done, the longest
    best first; `num_processes`, at most; `on_progress`, called when a job is done.

    **Raises:** what a job raises, or `ChildProcessError` if a process ends before its work is done.
    Jobs that have begun are finished first, the others left.
    """
    total = sum(map(len, stages))
    activity = f"{num_processes} processes at work"
    on_progress(ComparisonProgress(activity, 0, total))
    done = 0
    with ProcessPoolExecutor(
        num_processes, multiprocessing.get_context("spawn"), initializer=_begin
    ) as executor:
        for stage in stages:
            waiting = {executor.submit(_do, job): job.title for job in stage}
            for future in as_completed(waiting):
                try:
                    problem = future.result()
                    if problem is not None:
                        raise ValueError(problem)
                except BrokenProcessPool as error:
                    raise ChildProcessError(
                        "One of the processes ended before its work was done, perhaps for want of "
                        "memory: the same command goes on where it stopped, with fewer --processes "
                        "if need be."
                    ) from error
                except BaseException:
                    executor.shutdown(wait=False, cancel_futures=True)
                    raise
                done += 1
                on_progress(ComparisonProgress(f"{activity}: {waiting[future]}", done, total))


def _begin() -> None:
    """Sets up a process, which an interruption ends at once: what is done is kept."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    show_warnings_plainly()
    set_up_jax(num_devices=1)


def _end_with_parent() -> None:
    """Ends this process if the one that started it was killed: another may go on with the work."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _do(job: Job) -> str | None:
    """Does a job; an error that explains itself is what it says, since its origin is not sent.

    Some errors of libraries cannot be made again from what is sent, which would look as if the
    process had been killed; they are sent as text.
    """
    try:
        job.do()
    except ValueError as error:
        if explains_itself(error):
            return str(error)
        raise
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            raise RuntimeError("".join(traceback.format_exception(error))) from None
        raise
    return None


def ignore_progress(_: ComparisonProgress) -> None:
    """Reports nothing."""
