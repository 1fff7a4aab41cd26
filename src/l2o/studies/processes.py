"""Processes of this machine that compute parts of a work."""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import Executor, ProcessPoolExecutor

from l2o.runs.runtime import set_up_jax
from l2o.support.plain_warnings import show_warnings_plainly


def start_processes(num_processes: int) -> Executor:
    """An executor of so many processes, each with one of JAX's processor devices.

    They are spawned, since JAX does not survive a fork, and end with the one that started them.
    """
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(num_processes, context, initializer=_begin)


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
