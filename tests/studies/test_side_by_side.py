import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from l2o.studies.side_by_side import Job, ignore_progress, run_side_by_side
from l2o.support.bad_input import explains_itself, sentence_of
from l2o.support.checks import check_at_least

# Jobs are sent to other processes, which know what is in modules and not what is in tests.


def test_stages_are_done_one_after_another(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    said = []
    stages = [
        [Job("makes", first.mkdir), Job("too", second.mkdir)],
        [Job("moves", partial(first.rename, second / "inner"))],
    ]
    run_side_by_side(stages, 2, said.append)
    assert (second / "inner").is_dir()
    assert not first.exists()
    assert [each.done for each in said] == [0, 1, 2, 3]
    assert {each.total for each in said} == {3}
    assert said[-1].activity == "2 processes at work: moves"


def test_errors_come_back_and_end_the_work(tmp_path):
    never = tmp_path / "never"
    stages = [[Job("fails", partial(int, "no number"))], [Job("too late", never.mkdir)]]
    with pytest.raises(ValueError, match="no number"):
        run_side_by_side(stages, 2, ignore_progress)
    assert not never.exists()


def test_bad_input_is_told_as_such_and_defects_are_not(tmp_path):
    """Where an error came from is not sent between processes."""
    message = "sizes must be at least 1, got 0"
    jobs = [[Job("is told", partial(check_at_least, "sizes", 0, 1))]]
    with pytest.raises(ValueError, match=message) as caught:
        run_side_by_side(jobs, 1, ignore_progress)
    assert explains_itself(caught.value)
    jobs = [[Job("is broken", partial(json.loads, "{"))]]
    with pytest.raises(json.JSONDecodeError) as caught:
        run_side_by_side(jobs, 1, ignore_progress)
    assert not explains_itself(caught.value)


def test_an_error_that_cannot_be_sent_is_told_all_the_same():
    """As JAX's, whose constructor takes what is being traced; it is no process that was killed."""
    script = "__import__('jax').jit(__import__('numpy').asarray)(1.0)"
    with pytest.raises(RuntimeError, match="TracerArrayConversionError"):
        run_side_by_side([[Job("fails", partial(eval, script))]], 1, ignore_progress)


def test_a_process_that_is_killed(tmp_path):
    with pytest.raises(ChildProcessError, match="ended before its work was done") as caught:
        run_side_by_side([[Job("dies", partial(os._exit, 3))]], 1, ignore_progress)
    assert explains_itself(caught.value)
    assert sentence_of(caught.value).startswith("One of the processes ended")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes there")
def test_processes_end_with_the_one_that_is_killed(tmp_path):
    """Otherwise they would write into the folder that another one goes on with."""
    path = tmp_path / "worker"
    script = (
        "from functools import partial\n"
        "from subprocess import run\n"
        "from l2o.studies.side_by_side import *\n"
        "if __name__ == '__main__':\n"
        f"    do = partial(run, ['sh', '-c', 'echo $PPID > {path}; sleep 30'])\n"
        "    run_side_by_side([[Job('sleeps', do)]], 2, ignore_progress)\n"
    )
    program = tmp_path / "program.py"
    program.write_text(script)
    process = subprocess.Popen([sys.executable, program])
    try:
        worker = int(_wait_for(lambda: path.exists() and path.read_text()))
        process.send_signal(signal.SIGKILL)
        assert _wait_for(lambda: not _is_running(worker))
    finally:
        process.kill()
        process.wait()


def _wait_for(condition, seconds=60):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError("waited in vain")


def _is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # It may be waiting for somebody to ask how it ended.
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
