import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from l2o.support import file_lock
from l2o.support.lock import only_writer

HOLD = """
import sys, time
from pathlib import Path
from l2o.support.lock import only_writer
with only_writer(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that writes into the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_process_is_refused_until_the_first_is_gone(holder, tmp_path):
    folder = tmp_path / "run"
    message = rf"Another process \({holder.pid}\) is writing into .*run: wait"
    for _ in range(2):
        with pytest.raises(ValueError, match=message), only_writer(folder):
            raise AssertionError
    assert folder.is_dir()
    # Nothing of a killed process keeps the next one out, though its file is still there.
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (folder / ".lock").exists()
    (folder / ".lock").write_text("1234567890")
    with only_writer(folder):
        assert int((folder / ".lock").read_text()) == os.getpid()


def test_nothing_is_left_behind(tmp_path):
    with only_writer(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert list(tmp_path.iterdir()) == []
    # Not even where it goes wrong; but what was there stays, and so does what was written.
    (tmp_path / "there").mkdir()
    with pytest.raises(KeyError), only_writer(tmp_path / "there"):
        raise KeyError
    with only_writer(tmp_path / "new" / "run"):
        (tmp_path / "new" / "run" / "config.json").write_text("")
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == [
        "new", "run", "config.json", "there",
    ]  # fmt: skip


def test_one_after_another(tmp_path):
    for _ in range(3):
        with (
            only_writer(tmp_path),
            pytest.raises(ValueError, match="is writing into"),
            only_writer(tmp_path),
        ):
            raise AssertionError


def test_a_lock_that_was_removed_meanwhile_is_none(tmp_path, monkeypatch):
    """Another process may lock a file that the one before is about to remove."""
    flock, removed = file_lock.fcntl.flock, []

    def flock_late(descriptor, operation):
        if not removed:
            removed.append((tmp_path / ".lock").unlink())
        flock(descriptor, operation)

    monkeypatch.setattr(file_lock.fcntl, "flock", flock_late)
    with only_writer(tmp_path):
        monkeypatch.undo()
        with pytest.raises(ValueError, match="is writing into"), only_writer(tmp_path):
            raise AssertionError


def test_file_systems_without_locks_and_other_failures(tmp_path, monkeypatch):
    def fail(number):
        def flock(*_):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(file_lock.fcntl, "flock", flock)

    fail(errno.ENOSYS)
    with only_writer(tmp_path):
        pass
    fail(errno.EIO)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)), only_writer(tmp_path):
        raise AssertionError


def test_a_file_is_no_folder(tmp_path):
    path: Path = tmp_path / "file"
    path.touch()
    with pytest.raises(ValueError, match="is a file"), only_writer(path):
        raise AssertionError
