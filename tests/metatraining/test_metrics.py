"""The record of a run, also where it is damaged or the disk full."""

import contextlib
import json
import resource

import jax
import jax.numpy as jnp
import pytest

from l2o.metatraining import metatrain, read_metrics
from l2o.metatraining.metrics import MetricsLog

pytestmark = pytest.mark.usefixtures("quick_compilation")

GOOD = '{"meta_step": 1, "meta_loss": 0.5, "score": null}'


@contextlib.contextmanager
def files_of_at_most(size):
    """As on a full disk, files cannot grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "",
        "[1]",
        "3",
        "null",
        "{}",
        '{"meta_loss": 1.0}',
        '{"meta_step": "2"}',
        '{"meta_step": 2.5}',
        '{"meta_step": true}',
        '{"meta_step": null}',
        '{"meta_step": -1}',
        '{"meta_step": 2, "meta_loss": "low"}',
        '{"meta_step": 2, "meta_loss": [1]}',
        '{"meta_step": 2, "meta_loss": NaN}',
        '{"meta_step": 2, "meta_loss": 1e999}',
        '{"meta_step": 2, "meta_loss": true}',
        "[" * 100_000,
        '{"meta_step": 1, "meta_loss": 0.5}',
        '{"meta_step": 0}',
    ],
)
def test_strange_lines(line, tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(f"{GOOD}\n{line}\n")
    with pytest.raises(
        ValueError, match=r"metrics\.jsonl is damaged: line 2 is .*resume the run\.$"
    ):
        read_metrics(tmp_path)


def test_what_is_no_text(tmp_path):
    (tmp_path / "metrics.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="is damaged: it is no text"):
        read_metrics(tmp_path)


@pytest.mark.parametrize("last", ["", '{"meta_step": 2, "met', GOOD.replace("1,", "2,")])
def test_a_last_line_without_an_end(last, tmp_path):
    (tmp_path / "metrics.jsonl").write_text(f"{GOOD}\n{last}")
    rows = read_metrics(tmp_path)
    assert rows[0] == json.loads(GOOD)
    assert len(rows) == 1 + last.endswith("}")


def test_what_tensorboard_shows(tmp_path):
    from tensorboardX.proto.event_pb2 import Event

    log = MetricsLog(tmp_path, resume_from=4)
    log.write({"meta_step": 5, "meta_loss": 0.5, "score": float("nan")})
    log.close()
    (path,) = (tmp_path / "tensorboard").iterdir()
    content, events = path.read_bytes(), []
    while content:
        length = int.from_bytes(content[:8], "little")
        events.append(Event.FromString(content[12 : 12 + length]))
        content = content[16 + length :]
    first, start, scalar = events
    assert first.file_version == "brain.Event:2"
    assert (start.step, start.session_log.status) == (5, 1)
    assert (scalar.step, scalar.summary.value[0].tag) == (5, "meta_loss")
    assert scalar.summary.value[0].simple_value == 0.5


def test_a_log_on_a_full_disk(tmp_path, capfd):
    log = MetricsLog(tmp_path, resume_from=0)

    def write_until_full():
        with contextlib.closing(log):
            for number in range(1, 1000):
                log.write({"meta_step": number, "meta_loss": 0.5})

    with (
        files_of_at_most(2000),
        pytest.raises(OSError, match=r"metrics\.jsonl cannot be written \(File too large\)"),
    ):
        write_until_full()
    assert capfd.readouterr() == ("", "")
    assert [row["meta_step"] for row in read_metrics(tmp_path)][:3] == [1, 2, 3]


def train(optimizer, family, **changes):
    settings = {"num_tasks": 2, "horizon": 2, "truncation": 2, "validation_tasks": 2}
    settings |= {"meta_steps": 4, "validation_every": 1, "checkpoint_every": 1}
    return metatrain(optimizer, family, key=jax.random.key(7), **settings | changes)


def test_a_run_on_a_full_disk(learnable_rate, parabolas, tmp_path, capfd):
    given = (learnable_rate(jnp.asarray(0.1)), parabolas())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(progress):
        if progress.meta_step == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))

    try:
        with pytest.raises(OSError, match=r"cannot be written \(File too large\)"):
            train(*given, folder=tmp_path, on_progress=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert capfd.readouterr() == ("", "")
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["1.zip", "2.zip"]
    # With room again, the run goes on as if nothing had been.
    resumed, whole = train(*given, folder=tmp_path, resume=True), train(*given)
    assert resumed.history == whole.history
    assert resumed.last_optimizer.rate == whole.last_optimizer.rate


def test_lost_rows_are_said(learnable_rate, parabolas, tmp_path):
    given = (learnable_rate(jnp.asarray(0.1)), parabolas())
    whole = train(*given, folder=tmp_path)
    path = tmp_path / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:1] + lines[2:]))
    with pytest.warns(
        UserWarning, match="lacks 1 of the 4 rows up to the checkpoint of meta-step 4"
    ):
        resumed = train(*given, folder=tmp_path, resume=True, meta_steps=5)
    assert [row["meta_step"] for row in resumed.history] == [1, 3, 4, 5]
    assert resumed.history[1:3] == whole.history[2:]
    # Of a later checkpoint it is not said again.
    train(*given, folder=tmp_path, resume=True, meta_steps=5)
    path.write_text("nonsense\n")
    with pytest.raises(ValueError, match="line 1 is no row of numbers"):
        train(*given, folder=tmp_path, resume=True)
