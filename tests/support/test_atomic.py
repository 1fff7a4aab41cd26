import os
import subprocess
import sys
import threading

import pytest

from l2o.support.atomic import replaced_atomically, write_atomically
from l2o.support.lock import only_writer

WRITE = """
import sys, time
from pathlib import Path
from l2o.support.atomic import replaced_atomically
with replaced_atomically(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


def start_writing(path):
    """Another process that is in the middle of a file."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "writing\n"
    return process


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_killed_writers_leave_is_removed_and_nothing_of_living_ones(tmp_path):
    run = tmp_path / "run"
    paths = [run / "checkpoints" / "2.zip", run / "stage-1" / "checkpoints" / "4.zip", run / "x"]
    dead = [start_writing(path) for path in paths]
    living = start_writing(run / "checkpoints" / "6.zip")
    try:
        for process in dead:
            process.kill()
            process.wait()
        of_others = run / ".notes.1.tmp"
        of_others.write_text("")
        assert len(files_in(run)) == 5
        with only_writer(run), replaced_atomically(run / "y") as file:
            assert files_in(run) == [
                ".lock",
                ".notes.1.tmp",
                f".y.{os.getpid()}.l2o.tmp",
                f"checkpoints/.6.zip.{living.pid}.l2o.tmp",
            ]
            # Not even its own, while it is being written.
            file.write(b"1")
            with only_writer(run / "inner"):
                pass
        assert (run / "y").read_bytes() == b"1"
    finally:
        for process in (*dead, living):
            process.kill()
            process.wait()
            process.stdout.close()


def test_a_temporary_file_that_was_removed_before_it_was_locked(tmp_path, monkeypatch):
    from l2o.support import file_lock

    flock, removed = file_lock.fcntl.flock, []

    def flock_late(descriptor, operation):
        if not removed:
            removed.extend(path.unlink() or path for path in tmp_path.iterdir())
        flock(descriptor, operation)

    monkeypatch.setattr(file_lock.fcntl, "flock", flock_late)
    write_atomically(tmp_path / "x", b"all")
    assert len(removed) == 1
    assert (tmp_path / "x").read_bytes() == b"all"
    assert files_in(tmp_path) == ["x"]


def test_links_are_kept_and_what_they_lead_to_is_replaced(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "link"
    for name in ("there", "not-yet"):
        link.symlink_to(tmp_path / "elsewhere" / name)
        write_atomically(link, b"new")
        assert link.is_symlink()
        assert (tmp_path / "elsewhere" / name).read_bytes() == b"new"
        link.unlink()
    link.symlink_to(link)
    with pytest.raises(OSError, match=r"symbolic links: '.*link'"):
        write_atomically(link, b"new")
    with pytest.raises(ValueError, match="link is a link that leads nowhere"), only_writer(link):
        raise AssertionError
    with pytest.raises(ValueError, match="link is a link that"), only_writer(link / "run"):
        raise AssertionError
    assert files_in(tmp_path) == ["elsewhere/not-yet", "elsewhere/there"]


def test_a_pipe_is_written_to_and_stays_one(tmp_path):
    """As does /dev/null, which a file would replace for everybody."""
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_atomically(pipe, b"numbers")
    reader.join(10)
    assert read == [b"numbers"]
    assert pipe.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
