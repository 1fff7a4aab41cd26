"""Checkpoints: exact, and known from damaged ones."""

import shutil
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.metatraining import metatrain
from l2o.metatraining.checkpoints import Checkpoint, Checkpoints

SCORES = [1.5, float("inf"), 0.1]


def state(number):
    """Leaves of all kinds, functions among them."""
    return {
        "key": jax.random.fold_in(jax.random.key(0), number),
        "other key": jax.random.key(number, impl="rbg"),
        "half": jnp.full((2,), number, jnp.bfloat16),
        "empty": jnp.zeros((0, 3)),
        "whole": jnp.asarray(number),
        "flags": jnp.asarray([True, False]),
        "function": jax.nn.relu,
    }


def assert_same(one, other):
    for name in one:
        if name == "function":
            assert one[name] is other[name]
            continue
        assert one[name].dtype == other[name].dtype
        assert one[name].sharding == other[name].sharding
        numbers = [
            np.asarray(jax.random.key_data(x) if "key" in name else x)
            for x in (one[name], other[name])
        ]
        np.testing.assert_array_equal(*numbers)


@pytest.fixture
def checkpoints(tmp_path):
    written = Checkpoints(tmp_path)
    for number in (3, 10, 20):
        written.save(Checkpoint(number, state(number), SCORES, number))
    return written


def test_the_newest_two_are_kept(checkpoints, tmp_path):
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10.zip", "20.zip"]
    restored = checkpoints.restore(state(0))
    assert (restored.meta_step, restored.scores, restored.num_rows) == (20, SCORES, 20)
    assert_same(restored.state, state(20))


def test_none(tmp_path):
    assert Checkpoints(tmp_path / "nowhere").restore(state(0)) is None
    assert not Checkpoints(tmp_path / "nowhere").exist()


def test_arrays_lie_where_they_lay(tmp_path):
    mesh = jax.make_mesh((2,), ("tasks",))
    sharding = jax.NamedSharding(mesh, jax.P("tasks"))
    spread = jax.device_put(jnp.arange(4.0), sharding)
    Checkpoints(tmp_path).save(Checkpoint(1, spread, [], 0))
    restored = Checkpoints(tmp_path).restore(jax.device_put(jnp.zeros(4), sharding))
    assert restored.state.sharding == sharding
    np.testing.assert_array_equal(restored.state, np.arange(4))


def with_flipped_bit(content, offset, bit):
    """With one bit of the list of the archive's files changed."""
    start = content.index(b"PK\x01\x02") + offset
    return content[:start] + bytes([content[start] ^ bit]) + content[start + 1 :]


DAMAGE = {
    "said to be encrypted": lambda content: with_flipped_bit(content, 8, 1),
    "said to be compressed": lambda content: with_flipped_bit(content, 10, 8),
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
    "text": lambda content: b"not a checkpoint",
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_one_gives_way_to_the_one_before(kind, checkpoints, tmp_path):
    newest = tmp_path / "20.zip"
    newest.write_bytes(DAMAGE[kind](newest.read_bytes()))
    with pytest.warns(UserWarning, match=r"^Damaged: .*20\.zip\. .* before, of meta-step 10\.$"):
        restored = checkpoints.restore(state(0))
    assert restored.meta_step == 10
    assert_same(restored.state, state(10))
    assert not newest.exists()


def test_all_damaged(checkpoints, tmp_path):
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match=r"^All checkpoints of the run are damaged: .*10\.zip\.$"):
        checkpoints.restore(state(0))
    assert len(list(tmp_path.iterdir())) == 2


def test_whatever_byte_is_changed(checkpoints, tmp_path):
    newest = tmp_path / "20.zip"
    content = newest.read_bytes()
    kept = {}
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 0xFF
        newest.write_bytes(bytes(changed))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            restored = checkpoints.restore(state(0))
        kept.setdefault(restored.meta_step, []).append(position)
        # Dates and the like may change, numbers may not.
        assert restored.meta_step == 10 or restored.scores == SCORES
        if restored.meta_step == 20:
            assert_same(restored.state, state(20))
    assert len(kept[10]) > len(content) / 3


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state | {"whole": jnp.asarray(1.0)},
        lambda state: state | {"half": jnp.zeros((3,), jnp.bfloat16)},
        lambda state: {name: leaf for name, leaf in state.items() if name != "flags"},
        lambda state: state | {"more": jnp.zeros(2)},
        lambda state: state | {"other key": jax.random.key(0)},
    ],
)
def test_other_settings(change, checkpoints, tmp_path):
    with pytest.raises(ValueError, match=r"20\.zip does not fit this run's settings"):
        checkpoints.restore(change(state(0)))
    assert len(list(tmp_path.iterdir())) == 2


def test_the_other_precision_is_named(tmp_path):
    def numbers(dtype, size=2):
        with jax.enable_x64(dtype == "float64"):
            return {"a": jnp.zeros(size, dtype), "key": jax.random.key(0), "n": jnp.asarray(1)}

    for number, written, asked in ((1, "float64", "float32"), (2, "float32", "float64")):
        checkpoints = Checkpoints(tmp_path / written)
        checkpoints.save(Checkpoint(number, numbers(written), [], 0))
        is_double = int(written == "float64")
        with pytest.raises(ValueError, match=f"set the environment .* JAX_ENABLE_X64={is_double}"):
            checkpoints.restore(numbers(asked) | {"n": numbers(written)["n"]})
        with pytest.raises(ValueError, match="does not fit this run's settings"):
            checkpoints.restore(numbers(asked, size=3))


def test_a_run_of_an_earlier_version_goes_on(learnable_rate, parabolas, tmp_path):
    """On two devices, in the middle of its second tasks; the number is that of that version."""
    shutil.copytree(Path(__file__).with_name("landed"), tmp_path, dirs_exist_ok=True)
    result = metatrain(
        learnable_rate(jnp.asarray(0.1)),
        parabolas(),
        key=jax.random.key(5),
        meta_steps=7,
        num_tasks=2,
        horizon=6,
        truncation=2,
        validation_every=2,
        validation_tasks=2,
        folder=tmp_path,
        resume=True,
    )
    assert [row["meta_step"] for row in result.history] == list(range(1, 8))
    np.testing.assert_allclose(result.last_optimizer.rate, 0.10596967488527298, rtol=1e-6)
    np.testing.assert_allclose(result.history[-1]["meta_loss"], 1.141461968421936, rtol=1e-5)
