"""Parts of a work that other processes can import."""

import json
import os
import signal
import time
from pathlib import Path

from l2o.support.checks import check_at_least


def square(report, x):
    report(0, 1)
    report(1, 1)
    return {"square": x * x}


def noted(report, folder, x):
    """As above, and leaves a file for each time that it is done."""
    times = len(list(Path(folder).glob(f"{x}-*")))
    (Path(folder) / f"{x}-{times}").touch()
    return square(report, x)


def who(report):
    return {"process": os.getpid()}


def meet(report, folder, name, others):
    """Is done once others are being done, too."""
    (Path(folder) / name).touch()
    until = time.monotonic() + 60
    while not all((Path(folder) / other).exists() for other in others):
        assert time.monotonic() < until
        time.sleep(0.02)
    return {"met": True}


def infinite(report):
    return {"answer": float("inf")}


def refuse(report, size):
    check_at_least("sizes", size, 1)
    return {}


def is_broken(report):
    return json.loads("{")


def fails_unspeakably(report):
    """With an error of JAX, whose constructor takes what is being traced."""
    import jax
    import numpy as np

    return jax.jit(np.asarray)(1.0)


class UnspeakableError(ValueError):
    """Cannot be made again from what is sent between processes."""

    def __init__(self, message, number):
        super().__init__(message)
        self.number = number


def refuses_unspeakably(report):
    raise UnspeakableError("no", 2)


def dies(report):
    os.kill(os.getpid(), signal.SIGKILL)


def sleeps(report, path):
    Path(path).write_text(str(os.getpid()))
    time.sleep(60)
    return {}
