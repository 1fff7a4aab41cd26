"""A run that is killed goes on as if it had not been."""

import os
import random
import runpy
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from l2o.metatraining import read_metrics

pytestmark = pytest.mark.usefixtures("quick_compilation")

SCRIPT = Path(__file__).with_name("run_that_gets_killed.py")
run_that_gets_killed = runpy.run_path(str(SCRIPT))
main, run, META_STEPS = (run_that_gets_killed[name] for name in ("main", "run", "META_STEPS"))


def start(folder):
    """A process of its own that runs, slowly, in this folder."""
    # What one process compiled, the next one need not compile again.
    caches = {
        "JAX_COMPILATION_CACHE_DIR": str(folder.parent / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "PYTHONDONTWRITEBYTECODE": "",
    }
    command = [sys.executable, str(SCRIPT), str(folder)]
    return subprocess.Popen(command, env={**os.environ, **caches})


def newest_checkpoint(folder):
    steps = [int(path.stem) for path in (folder / "checkpoints").glob("*.zip")]
    return max(steps, default=0)


def kill_after(folder, seconds, checkpoint):
    """Runs, and kills the run some time after it wrote a later checkpoint than this."""
    process = start(folder)
    try:
        while newest_checkpoint(folder) <= checkpoint:
            assert process.poll() is None, "the run ended before it was killed"
            time.sleep(0.01)
        time.sleep(seconds)
    finally:
        process.kill()
    assert process.wait() == -9
    return newest_checkpoint(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory, quick_compilation):
    """Of a run that was never stopped, and of one that was killed twice."""
    root = tmp_path_factory.mktemp("runs")
    whole, killed = root / "whole", root / "killed"
    whole.mkdir()
    killed.mkdir()
    main(whole)
    moments = random.Random()
    first = kill_after(killed, moments.uniform(0, 0.3), 0)
    kill_after(killed, moments.uniform(0, 0.3), first)
    assert not (killed / "weights.npz").exists()
    main(killed)
    return whole, killed


def test_it_ends_in_the_same_weights_bit_for_bit(folders):
    whole, killed = (np.load(folder / "weights.npz") for folder in folders)
    assert sorted(whole) == sorted(killed)
    for name in whole:
        assert whole[name].tobytes() == killed[name].tobytes(), name


def test_every_meta_step_is_recorded_once(folders):
    whole, killed = (read_metrics(folder) for folder in folders)
    assert [row["meta_step"] for row in killed] == list(range(1, META_STEPS + 1))
    assert killed == whole


def test_other_settings_are_noticed(folders):
    with pytest.raises(ValueError, match="does not fit this run's settings"):
        run(folders[0], hidden_size=3)


def test_a_used_folder_is_not_overwritten(folders):
    with pytest.raises(ValueError, match="already holds a run"):
        run(folders[0], resume=False)


def test_a_finished_run_gives_its_result_again(folders):
    result = run(folders[0])
    weights = np.load(folders[0] / "weights.npz")
    leaves = jax.tree.leaves((result.optimizer, result.last_optimizer))
    for index, leaf in enumerate(leaves):
        np.testing.assert_array_equal(leaf, weights[f"arr_{index}"])
    assert result.best_step == weights["step"]
    assert len(result.history) == META_STEPS
