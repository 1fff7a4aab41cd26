import json
import os
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

import l2o
from l2o.deploy.tensors import checksum, to_numpy
from l2o.multiobjective import ML2O, PlainML2O
from l2o.optimizers import DM, GRU, Hierarchical, LearnedOptimizer, RNNProp
from l2o.support.atomic import write_atomically

KEY = jax.random.key(3)


class Custom(LearnedOptimizer):
    """A user's own optimizer: one meta-parameter in half precision, one integer leaf."""

    log_rate: jax.Array
    table: jax.Array
    nesterov: bool = eqx.field(static=True)

    def __init__(self, size=3, nesterov=False, *, key):
        self.log_rate = jax.random.normal(key, (size,)).astype(jnp.bfloat16)
        self.table = jnp.arange(size)
        self.nesterov = nesterov

    def config(self):
        return {"size": len(self.table), "nesterov": self.nesterov}

    def init(self, params):
        return ()

    def update(self, grads, state, params=None, *, value=None, **extra):
        return jax.tree.map(lambda g: -0.1 * g, grads), state


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A saved optimizer; tests that damage it take a copy."""
    path = tmp_path_factory.mktemp("saved") / "optimizer"
    l2o.save(RNNProp(hidden_size=4, key=KEY), path)
    return path


@pytest.fixture
def damaged(saved, tmp_path):
    for file in saved.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def edit_config(path, **changes):
    """Other names and keywords."""
    config = json.loads((path / "config.json").read_text())
    config["optimizer"] |= changes
    (path / "config.json").write_text(json.dumps(config))


def edit_tensors(path, change):
    file = path / "model.safetensors"
    tensors = safetensors.numpy.load_file(file)
    change(tensors)
    safetensors.numpy.save_file(tensors, file)


def assert_same(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        if eqx.is_array(a):
            assert a.dtype == b.dtype
            assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
        else:
            assert a == b


OPTIMIZERS = [
    DM(hidden_size=3, steepness=4.0, key=KEY),
    RNNProp(hidden_size=3, decay=0.9, max_step=0.05, key=KEY),
    GRU(5, "log", 2.0, 0.1, key=KEY),
    Hierarchical(2, 3, 4, True, 1e-4, 1e-3, key=KEY),
    ML2O(3, 2, 0.9, 0.1, key=KEY),
    PlainML2O(3, 2, 5.0, 0.1, key=KEY),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: type(optimizer).__name__)
def test_what_is_loaded_is_what_was_saved(optimizer, tmp_path):
    l2o.save(optimizer, tmp_path)
    assert_same(l2o.load(tmp_path), optimizer)


def test_the_folder_holds_two_files_and_nothing_pickled(saved):
    assert sorted(file.name for file in saved.iterdir()) == ["config.json", "model.safetensors"]
    config = json.loads((saved / "config.json").read_text())
    assert config["optimizer"]["name"] == "RNNProp"
    assert config["optimizer"]["keywords"]["hidden_size"] == 4
    assert config["format"] == 2
    assert config["library version"] == l2o.__version__


def test_a_class_of_the_users_own(tmp_path):
    optimizer = Custom(4, nesterov=True, key=KEY)
    l2o.save(optimizer, str(tmp_path))
    assert_same(l2o.load(str(tmp_path), architecture=Custom), optimizer)
    with pytest.raises(ValueError, match=r"architecture .* must be one of .*DM.*; got 'Custom'"):
        l2o.load(tmp_path)
    with pytest.raises(ValueError, match="holds an optimizer of architecture 'Custom', not 'DM'"):
        l2o.load(tmp_path, architecture=DM)


def test_saving_again_replaces(tmp_path):
    first, second = (GRU(4, key=key) for key in jax.random.split(KEY))
    l2o.save(first, tmp_path)
    l2o.save(second, tmp_path)
    assert_same(l2o.load(tmp_path), second)


def test_hand_designed_optimizers_cannot_be_saved(tmp_path):
    with pytest.raises(ValueError, match="OptaxOptimizer cannot be saved"):
        l2o.save(l2o.optimizers.sgd.with_hyperparameters(), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_config_that_json_does_not_know(tmp_path):
    class Odd(Custom):
        def config(self):
            return {"size": np.int32(3)}

    with pytest.raises(ValueError, match="config of Odd does not go into JSON"):
        l2o.save(Odd(key=KEY), tmp_path / "new")


def test_there_is_nothing_to_load(tmp_path):
    with pytest.raises(ValueError, match=r"holds no saved optimizer: .*config.json does not exist"):
        l2o.load(tmp_path / "nowhere")


def test_weights_are_missing(damaged):
    (damaged / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"model.safetensors does not exist"):
        l2o.load(damaged)


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_weights_are_cut_off(damaged, keep):
    file = damaged / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ValueError, match="corrupt or no safetensors file"):
        l2o.load(damaged)


def test_weights_are_something_else(damaged):
    (damaged / "model.safetensors").write_bytes(b"\x80\x04\x95" + bytes(200))
    with pytest.raises(ValueError, match="corrupt or no safetensors file"):
        l2o.load(damaged)


def test_unknown_architecture_names_the_nearest(damaged):
    edit_config(damaged, name="RNNProb")
    with pytest.raises(ValueError, match="Did you mean 'RNNProp'"):
        l2o.load(damaged)


def test_protocols_are_no_architectures(damaged):
    edit_config(damaged, name="LearnedOptimizer")
    with pytest.raises(ValueError, match="must be one of"):
        l2o.load(damaged)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "config.json is no JSON file"),
        ('{"format": 1e999}', "has a number beyond"),
        ("[]", "lacks a valid 'format'"),
        ('{"format": 1, "architecture": "DM"}', "lacks a valid 'arguments'"),
        ('{"format": 1, "architecture": ["DM"], "arguments": {}}', "lacks a valid 'architecture'"),
        ('{"format": 2, "optimizer": {"name": "DM"}}', "lacks a valid 'optimizer.keywords'"),
        ('{"format": 2, "optimizer": 3}', "lacks a valid 'optimizer.name'"),
        ('{"format": 9, "architecture": "DM", "arguments": {}}', "reads formats 1 and 2"),
    ],
)
def test_damaged_config(damaged, content, message):
    (damaged / "config.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        l2o.load(damaged)


@pytest.mark.parametrize("arguments", [{"size": 3}, {"hidden_size": "many"}, {"key": 1}])
def test_arguments_that_do_not_fit(damaged, arguments):
    edit_config(damaged, keywords=arguments)
    with pytest.raises(ValueError, match="do not fit RNNProp"):
        l2o.load(damaged)


def test_config_of_another_size(damaged):
    edit_config(damaged, keywords={"hidden_size": 5})
    with pytest.raises(ValueError, match=r"must be floating-point .* of shape .* got F32 of shape"):
        l2o.load(damaged)


def test_missing_tensor(damaged):
    edit_tensors(damaged, lambda tensors: tensors.pop(sorted(tensors)[0]))
    with pytest.raises(ValueError, match="lacks the tensor"):
        l2o.load(damaged)


def test_superfluous_tensor(damaged):
    edit_tensors(damaged, lambda tensors: tensors.update(extra=np.zeros(2)))
    with pytest.raises(ValueError, match="has a tensor 'extra' that its config has no place for"):
        l2o.load(damaged)


@pytest.mark.parametrize("dtype", [np.int32, bool, np.complex64, ml_dtypes.float8_e4m3fn])
def test_wrong_dtype(damaged, dtype):
    def change(tensors):
        name = sorted(tensors)[0]
        tensors[name] = tensors[name].astype(dtype)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        edit_tensors(damaged, change)
    with pytest.raises(
        ValueError, match=r"must be floating-point \(F16, BF16, F32, F64\) of shape"
    ):
        l2o.load(damaged)


def test_dtype_that_does_not_exist(damaged):
    file = damaged / "model.safetensors"
    file.write_bytes(file.read_bytes().replace(b'"F32"', b'"F31"'))
    with pytest.raises(ValueError, match=r"corrupt or no safetensors file: .*F31"):
        l2o.load(damaged)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: type(optimizer).__name__)
def test_single_precision_stays_where_jax_may_use_double(optimizer, tmp_path):
    l2o.save(optimizer, tmp_path)
    with jax.enable_x64(True):
        assert_same(l2o.load(tmp_path), optimizer)


@pytest.fixture
def doubles(tmp_path):
    """Weights in double precision that single precision cannot hold, as they were saved."""
    with jax.enable_x64(True):
        optimizer = DM(3, key=KEY)
        l2o.save(optimizer, tmp_path)
    assert all(leaf.dtype == np.float64 for leaf in jax.tree.leaves(optimizer))
    return tmp_path, optimizer


def test_double_precision_stays_where_jax_has_it(doubles):
    path, optimizer = doubles
    with jax.enable_x64(True):
        assert_same(l2o.load(path), optimizer)


def test_double_precision_is_rounded_with_a_warning_where_jax_has_none(doubles):
    path, optimizer = doubles
    with pytest.warns(
        UserWarning, match=r"is float64, rounded here to float32: set JAX_ENABLE_X64"
    ):
        loaded = l2o.load(path)
    for one, other in zip(jax.tree.leaves(loaded), jax.tree.leaves(optimizer), strict=True):
        np.testing.assert_array_equal(one, np.asarray(other).astype(np.float32))
        assert one.dtype == np.float32


def rewrite(path, change):
    """Other tensors under a checksum that is right."""
    edit_tensors(path, change)
    config = json.loads((path / "config.json").read_text())
    del config["sha256 of all else and the tensors"]
    (path / "config.json").write_text(json.dumps(config))


def test_what_double_precision_does_not_need_is_loaded_in_silence(damaged):
    rewrite(
        damaged, lambda tensors: tensors.update({n: t.astype(float) for n, t in tensors.items()})
    )
    for leaf in jax.tree.leaves(l2o.load(damaged)):
        assert leaf.dtype == np.float32


def test_numbers_that_single_precision_cannot_hold(damaged):
    def enlarge(tensors):
        name = sorted(tensors)[0]
        tensors[name] = np.full(tensors[name].shape, -1e300)

    rewrite(damaged, enlarge)
    with pytest.raises(ValueError, match=r"numbers that float32 cannot hold: set JAX_ENABLE_X64=1"):
        l2o.load(damaged)
    with jax.enable_x64(True):
        assert min(float(jnp.min(leaf)) for leaf in jax.tree.leaves(l2o.load(damaged))) == -1e300


def test_integers_that_do_not_fit(tmp_path):
    l2o.save(Custom(key=KEY), tmp_path)
    table = np.array([1, 2**40, 3])
    rewrite(tmp_path, lambda tensors: tensors.update({".table": table}))
    with pytest.raises(ValueError, match="numbers that int32 cannot hold"):
        l2o.load(tmp_path, architecture=Custom)
    with jax.enable_x64(True):
        np.testing.assert_array_equal(l2o.load(tmp_path, architecture=Custom).table, table)


def test_half_precision_of_the_users_making_stays(tmp_path):
    optimizer = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), GRU(3, key=KEY))
    l2o.save(optimizer, tmp_path)
    assert_same(l2o.load(tmp_path), optimizer)


def test_columns_before_rows_are_saved_in_order(tmp_path):
    matrix = jnp.asarray(np.arange(6.0, dtype=np.float32).reshape(2, 3, order="F"))
    tensors = to_numpy({"matrix": matrix})
    assert tensors["matrix"].flags.c_contiguous


def test_an_array_that_the_format_does_not_have(tmp_path):
    class Keyed(Custom):
        def __init__(self, *, key):
            super().__init__(key=key)
            self.table = key

        def config(self):
            return {}

    with pytest.raises(ValueError, match=r"'.table' cannot be saved: it is key<fry>"):
        l2o.save(Keyed(key=KEY), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_one_bit_that_flipped(damaged):
    file = damaged / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"config.json and the tensors in .* are not as they were written: one"
    ):
        l2o.load(damaged)


def test_two_files_that_do_not_belong_together(damaged, tmp_path_factory):
    """As a kill between writing the one and the other leaves them."""
    other = tmp_path_factory.mktemp("other")
    l2o.save(RNNProp(hidden_size=4, decay=0.5, key=jax.random.key(4)), other)
    (damaged / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())
    with pytest.raises(ValueError, match="one of them is damaged, changed or from another save"):
        l2o.load(damaged)


def test_swapped_tensors_are_noticed(damaged):
    def swap(tensors):
        one, other = (name for name in sorted(tensors) if tensors[name].shape == (16, 8))
        tensors[one], tensors[other] = tensors[other], tensors[one]

    edit_tensors(damaged, swap)
    with pytest.raises(ValueError, match="are not as they were written"):
        l2o.load(damaged)


def test_files_of_earlier_versions_have_no_checksum(damaged, saved):
    rewrite(damaged, lambda tensors: None)
    assert_same(l2o.load(damaged), l2o.load(saved))


def test_the_format_of_the_version_before_is_read(damaged, saved):
    config = json.loads((damaged / "config.json").read_text())
    before = {
        "format": 1,
        "architecture": config["optimizer"]["name"],
        "arguments": config["optimizer"]["keywords"],
        "library version": "0.1.0",
    }
    (damaged / "config.json").write_text(json.dumps(before))
    assert_same(l2o.load(damaged), l2o.load(saved))


def test_arguments_that_were_meddled_with(damaged, saved):
    """They decide how the weights are used, and many go with the same tensors."""
    config = json.loads((damaged / "config.json").read_text())
    keywords = config["optimizer"]["keywords"]
    assert keywords["decay"] != 0.25
    for changed in (
        keywords | {"decay": 0.25},
        keywords | {"max_step": 1.0},
        {name: value for name, value in keywords.items() if name != "max_step"},
    ):
        content = config | {"optimizer": config["optimizer"] | {"keywords": changed}}
        (damaged / "config.json").write_text(json.dumps(content))
        with pytest.raises(ValueError, match="are not as they were written"):
            l2o.load(damaged)
    for change in (
        {"library version": "0"},
        {"more": 1},
    ):
        (damaged / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(ValueError, match="are not as they were written"):
            l2o.load(damaged)
    # How it is written down is of no account.
    (damaged / "config.json").write_text(json.dumps(dict(reversed(config.items()))))
    assert_same(l2o.load(damaged), l2o.load(saved))


def test_files_of_earlier_versions_have_a_checksum_of_the_tensors_alone(damaged, saved):
    config = json.loads((damaged / "config.json").read_text())
    del config["sha256 of all else and the tensors"]
    tensors = safetensors.numpy.load_file(damaged / "model.safetensors")
    config["sha256 of the tensors"] = checksum(tensors)
    (damaged / "config.json").write_text(json.dumps(config))
    assert_same(l2o.load(damaged), l2o.load(saved))
    edit_tensors(damaged, lambda tensors: tensors.update({n: -t for n, t in tensors.items()}))
    with pytest.raises(ValueError, match="does not hold the tensors that"):
        l2o.load(damaged)


def test_arguments_that_json_writes_otherwise(tmp_path):
    class Listed(Custom):
        def __init__(self, sizes=(2, 3), *, key):
            super().__init__(key=key)

        def config(self):
            return {"sizes": (2, 3)}

    l2o.save(Listed(key=KEY), tmp_path)
    assert isinstance(l2o.load(tmp_path, architecture=Listed), Listed)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_something_that_is_no_file(damaged, name, kind):
    (damaged / name).unlink()
    (os.mkfifo if kind == "pipe" else os.mkdir)(damaged / name)
    with pytest.raises(ValueError, match=f"{name} is no regular file"):
        l2o.load(damaged)


def test_deeply_nested_json(damaged):
    (damaged / "config.json").write_text('{"arguments": ' + "[" * 100_000)
    with pytest.raises(ValueError, match="is nested too deeply"):
        l2o.load(damaged)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
