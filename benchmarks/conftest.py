"""Times several programs in turn and writes the table in `docs/benchmarks.md`.

Where JAX finds a GPU, PyTorch uses it, too, and the table is the one of that machine.
"""

import os
import platform
import statistics
import time
from pathlib import Path

import jax
import pytest
import torch

jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
_BACKEND = jax.default_backend()
if _BACKEND != "cpu":
    torch.set_default_device("cuda")
    # As PyTorch does.
    jax.config.update("jax_default_matmul_precision", "float32")

_ROWS = pytest.StashKey()
_TABLE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
_MARKS = {
    "cpu": "<!-- The table below is written by `make bench`. -->",
    "gpu": "<!-- The table below is written by `make bench` where there is a GPU. -->",
}
_END = "<!-- Here it ends. -->"


class Comparison:
    """Times programs in turn, A B C A B C, so that a machine that slows down slows all."""

    def __init__(self, rows):
        self._rows = rows

    def __call__(self, title, ours, others, benchmark, rounds=7):
        """Times `ours` against `others`, which maps a name to (program, wanted ratio or None).

        Ratios are the other's time over ours where more is better, and are of medians.
        """
        programs = {"ours": ours, **{name: program for name, (program, _) in others.items()}}
        times = {name: [] for name in programs}
        for program in programs.values():
            program()
        for _ in range(rounds):
            for name, program in programs.items():
                start = time.perf_counter()
                program()
                times[name].append(time.perf_counter() - start)
        benchmark.pedantic(ours, rounds=1)
        medians = {name: statistics.median(values) for name, values in times.items()}
        for name, (_, wanted) in others.items():
            ratio = medians[name] / medians["ours"]
            times_and_ratio = (_time(medians["ours"]), name, _time(medians[name]), f"{ratio:.2f}")
            self._rows.append((title, *times_and_ratio, wanted or ""))
        return medians

    def note(self, title, value, name="", reference="", ratio="", wanted=""):
        """Adds a row of something that is not a time."""
        self._rows.append((title, value, name, reference, ratio, wanted))


def _time(seconds):
    return f"{seconds * 1e3:.3g} ms"


@pytest.fixture
def compare(request):
    return Comparison(request.config.stash[_ROWS])


def pytest_configure(config):
    config.stash[_ROWS] = []


def _machine():
    if _BACKEND != "cpu":
        return f"{jax.devices()[0].device_kind}; {_versions()}"
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = lines[0].split(":")[1].strip() if lines else model
    return f"{os.cpu_count()} cores, {model}; {_versions()}"


def _versions():
    return f"Python {platform.python_version()}, JAX {jax.__version__}, PyTorch {torch.__version__}"


def pytest_sessionfinish(session):
    """Writes the table; if anything failed, says so above it."""
    rows = session.config.stash[_ROWS]
    if not rows:
        return
    head = ["what", "ours", "against", "theirs", "theirs / ours", "wanted"]
    lines = ["| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows]]
    before, mark, after = _TABLE.read_text().partition(_MARKS[_BACKEND])
    after = after.partition(_END)[2]
    parts = [f"{before}{mark}", f"Machine: {_machine()}.", "\n".join(lines), f"{_END}{after}"]
    if session.exitstatus:
        failed = f"**Incomplete: {session.testsfailed} of {session.testscollected} failed.**"
        if not session.testsfailed:
            failed = "**Incomplete: the run was stopped before its end.**"
        parts.insert(1, failed)
    _TABLE.write_text("\n\n".join(parts))
