"""The frame of all studies: parts done once, here or elsewhere, in the order of plain code."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import example_parts
import pytest

from l2o.studies.processes import start_processes
from l2o.studies.work import Work
from l2o.support.bad_input import explains_itself, sentence_of

EXECUTORS = {
    "here": nullcontext,
    "threads": lambda: ThreadPoolExecutor(2),
    "one process": lambda: start_processes(1),
    "two processes": lambda: start_processes(2),
}


def ignore(progress):
    pass


@pytest.fixture(scope="module", params=EXECUTORS)
def executor(request):
    with EXECUTORS[request.param]() as executor:
        yield executor


@pytest.fixture(scope="module")
def elsewhere():
    """Some executor of processes, to be shared by tests that do not break it."""
    with start_processes(2) as executor:
        yield executor


def sums(work):
    """A work whose parts need each other: squares of squares."""

    def branch(x):
        first = work.once(f"first/{x}", example_parts.square, x)["square"]
        return work.once(f"second/{first}", example_parts.square, first)["square"]

    largest = work.start(lambda: max(work.each(branch, (1, 2, 3))))
    smallest = min(work.each(branch, (3, 2)))
    return [smallest, largest.result()]


def without_times(folder):
    parts = folder / "parts"
    return {
        str(path.relative_to(parts)): json.loads(path.read_text())["square"]
        for path in parts.rglob("*.json")
    }


def test_every_executor_gives_the_same(executor, tmp_path):
    said = []
    with Work(tmp_path, said.append, executor, "at it") as work:
        assert sums(work) == [16, 81]
    assert without_times(tmp_path) == {
        "first/1.json": 1,
        "first/2.json": 4,
        "first/3.json": 9,
        "second/1.json": 1,
        "second/4.json": 16,
        "second/9.json": 81,
    }
    if executor is None:
        assert [(each.done, each.total) for each in said[1:4]] == [(0, None), (0, 1), (1, 1)]
        assert said[1].activity == "part 1, first/1"
    else:
        # A part that two branches ask for is one part; one is told of as soon as it is asked for.
        assert re.fullmatch("at it: first/[13]", said[1].activity)
        assert (said[1].done, said[1].total) == (0, 1)
        dones = [each.done for each in said]
        assert dones == sorted(dones)
        assert set(dones) == {0, 1, 2, 3, 4, 5, 6}
        assert said[-1].total == 6
        assert all(each.activity.startswith("at it") for each in said)
    assert said[0].activity == "at it: starting"
    # What is there already is told of, and counts.
    said.clear()
    (tmp_path / "parts" / "second" / "9.json").unlink()
    with Work(tmp_path, said.append, executor, "at it") as work:
        assert sums(work) == [16, 81]
        work.once("last", example_parts.square, 1)
    assert said[0].activity == "at it: going on with the parts that are there already"
    assert (said[0].done, said[0].total) == (5, None)
    if executor is not None:
        assert (said[-1].done, said[-1].total) == (7, 7)


def test_a_part_is_computed_once(executor, tmp_path):
    noted = tmp_path / "noted"
    noted.mkdir()
    for _ in range(2):
        with Work(tmp_path / "work", ignore, executor) as work:
            found = work.each(
                lambda x: work.once(f"squares/{x}", example_parts.noted, noted, x), (2, 2, 3, 2)
            )
            assert [each["square"] for each in found] == [4, 4, 9, 4]
            assert found[0].keys() == {"square", "seconds", "cpu_seconds"}
    assert sorted(path.name for path in noted.iterdir()) == ["2-0", "3-0"]


def test_branches_are_at_work_at_the_same_time(elsewhere, tmp_path):
    """Each waits for the other, which has to wait for a part of its own first."""

    def branch(name, other):
        work.once(f"{name}/before", example_parts.square, 1)
        return work.once(f"{name}/meets", example_parts.meet, tmp_path, name, [other])

    with Work(tmp_path / "work", ignore, elsewhere) as work:
        first = work.start(branch, "a", "b")
        assert work.start(branch, "b", "a").result()["met"]
        assert first.result()["met"]


def test_parts_are_computed_by_other_processes(elsewhere, tmp_path):
    with Work(tmp_path, ignore, elsewhere) as work:
        assert work.once("who", example_parts.who)["process"] != os.getpid()
    with Work(tmp_path / "x", ignore) as work:
        assert work.once("who", example_parts.who)["process"] == os.getpid()


def test_an_error_is_raised_and_nothing_is_begun_after_it(executor, tmp_path):
    def branch(x):
        if x == 1:
            return work.once("fails", example_parts.is_broken)
        work.once("first", example_parts.square, x)
        stopped.wait()
        return work.once("never", example_parts.square, x)

    def run():
        # The other branch goes on when this one has failed.
        first = work.start(branch, 1)
        second = work.start(branch, 2)
        while not first.done():
            time.sleep(0.01)
        stopped.set()
        # What is asked for is what was told to stop.
        second.result()

    stopped = threading.Event()
    with pytest.raises(json.JSONDecodeError) as caught, Work(tmp_path, ignore, executor) as work:
        run()
    assert not explains_itself(caught.value)
    assert not (tmp_path / "parts" / "never.json").exists()
    assert not (tmp_path / "parts" / "fails.json").exists()
    # The same work goes on when what was wrong is right.
    with Work(tmp_path, ignore, executor) as work:
        assert work.once("fails", example_parts.square, 3)["square"] == 9


def test_bad_input_is_told_as_such(executor, tmp_path):
    message = "sizes must be at least 1, got 0"
    with (
        pytest.raises(ValueError, match=message) as caught,
        Work(tmp_path, ignore, executor) as work,
    ):
        work.once("refused", example_parts.refuse, 0)
    assert explains_itself(caught.value)


def test_a_part_that_raised_is_tried_anew(executor, tmp_path):
    """By the same work, whose caller has seen to what was wrong."""
    with Work(tmp_path, ignore, executor) as work:
        for fails, arguments in ((example_parts.is_broken, ()), (example_parts.refuse, (0,))):
            with pytest.raises(ValueError, match=r"Expecting|at least 1"):
                work.once("part", fails, *arguments)
        assert work.once("part", example_parts.square, 3)["square"] == 9
        # And from then on it is kept.
        assert work.once("part", example_parts.refuse, 0)["square"] == 9


def test_what_is_not_finite_is_refused(executor, tmp_path):
    with (
        pytest.raises(ValueError, match="JSON compliant"),
        Work(tmp_path, ignore, executor) as work,
    ):
        work.once("infinite", example_parts.infinite)
    assert not (tmp_path / "parts").exists()


def test_an_error_of_the_caller_stops_the_branches(elsewhere, tmp_path):
    started = []

    def run():
        started.append(work.start(work.once, "squares/2", example_parts.square, 2))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), Work(tmp_path, ignore, elsewhere) as work:
        run()
    assert started[0].done()


def test_an_error_of_a_branch_is_raised_even_if_nobody_asks_for_what_it_gives(executor, tmp_path):
    def run(work):
        work.start(lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError), Work(tmp_path, ignore, executor) as work:
        run(work)


def test_an_executor_that_has_lost_a_process_is_told_as_such(tmp_path):
    with start_processes(1) as executor:
        for name in ("first", "second"):
            with (
                pytest.raises(ChildProcessError, match="goes on where it stopped"),
                Work(tmp_path, ignore, executor) as work,
            ):
                work.once(name, example_parts.dies)


@pytest.mark.parametrize("part", ["fails_unspeakably", "refuses_unspeakably"])
def test_an_error_that_cannot_be_sent_is_told_all_the_same(elsewhere, tmp_path, part):
    """It would look as if the process had been killed."""
    with (
        pytest.raises(RuntimeError, match=r"TracerArrayConversionError|UnspeakableError"),
        Work(tmp_path, ignore, elsewhere) as work,
    ):
        work.once("fails", getattr(example_parts, part))


def test_a_process_that_is_killed(tmp_path):
    def run():
        branches = [
            work.start(work.once, "dies", example_parts.dies),
            work.start(work.once, "sleeps", example_parts.sleeps, tmp_path / "pid"),
        ]
        for branch in branches:
            branch.result()

    with (
        start_processes(2) as executor,
        pytest.raises(ChildProcessError) as caught,
        Work(tmp_path, ignore, executor) as work,
    ):
        run()
    assert explains_itself(caught.value)
    assert sentence_of(caught.value).startswith("One of the processes ended before its work")


class Queue(Executor):
    """Computes nothing until it is told to, in the order of submission."""

    def __init__(self):
        self.waiting = []

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        self.waiting.append((future, fn))
        return future


def test_parts_that_wait_are_left_where_one_fails(tmp_path):
    queue = Queue()

    def compute_one():
        while not queue.waiting:
            time.sleep(0.01)
        future, job = queue.waiting.pop(0)
        try:
            future.set_result(job())
        except json.JSONDecodeError as error:
            future.set_exception(error)

    waits = []

    def run():
        fails = work.start(work.once, "fails", example_parts.is_broken)
        while not queue.waiting:
            time.sleep(0.01)
        waits.extend(work.start(work.once, f"{x}", example_parts.square, x) for x in range(3))
        while len(queue.waiting) < 4:
            time.sleep(0.01)
        compute_one()
        fails.result()

    with pytest.raises(json.JSONDecodeError), Work(tmp_path, ignore, queue) as work:
        run()
    assert all(future.cancelled() for future, _ in queue.waiting)
    assert all(branch.done() for branch in waits)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b'{"answer": 4', b"\xff\xfe", b"[]", b"3", b'{"answer": 42}', b"[" * 100_000),
        b'{"seconds": "x", "cpu_seconds": null, "square": 4}',
    ],
)
def test_a_damaged_part_is_told(tmp_path, content):
    with Work(tmp_path, ignore) as work:
        work.once("a/b", example_parts.square, 2)
        path = tmp_path / "parts" / "a" / "b.json"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"is damaged; delete it, .*parts/a/b\.json"):
            work.once("a/b", example_parts.square, 2)
        # As it says.
        path.unlink()
        path.mkdir()
        with pytest.raises(ValueError, match="is damaged; delete it"):
            work.once("a/b", example_parts.square, 2)
        path.rmdir()
        assert work.once("a/b", example_parts.square, 2)["square"] == 4


PROGRAM = """
import signal
import sys
import example_parts
from pathlib import Path
from l2o.studies.processes import start_processes
from l2o.studies.work import Work

if __name__ == "__main__":
    # Shells have what they start in the background ignore interruptions.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    out, pid = map(Path, sys.argv[1:])
    with start_processes(2) as executor, Work(out, lambda progress: None, executor) as work:
        work.once("square", example_parts.noted, out, 2)
        work.each(lambda x: work.once(f"sleeps-{x}", example_parts.sleeps, pid), range(9))
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes there")
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_a_work_that_is_killed_goes_on(by, tmp_path):
    """Its processes end with it: otherwise they would write where another one goes on."""
    out, pid = tmp_path / "out", tmp_path / "pid"
    out.mkdir()
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, program, out, pid],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    try:
        worker = int(wait_for(lambda: pid.exists() and pid.read_text()))
        if by == signal.SIGINT:
            # A terminal interrupts all processes at once.
            os.killpg(process.pid, by)
            errors = process.communicate(timeout=60)[1]
            assert errors.endswith("KeyboardInterrupt\n")
            assert "InvalidStateError" not in errors
        else:
            process.send_signal(by)
        assert wait_for(lambda: not is_running(worker))
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    with Work(out, ignore) as work:
        assert work.once("square", example_parts.noted, out, 2)["square"] == 4
        assert work.once("sleeps-0", example_parts.square, 3)["square"] == 9
    assert [path.name for path in out.glob("2-*")] == ["2-0"]


def wait_for(condition, seconds=60):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError("waited in vain")


def is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # It may be waiting for somebody to ask how it ended.
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
