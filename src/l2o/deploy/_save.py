"""Saving a learned optimizer and getting it back, bit for bit."""

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, TypeVar, overload, runtime_checkable

import equinox as eqx
import jax
import numpy as np

from l2o.composition import LEARNED_OPTIMIZER, Composed, find_member
from l2o.deploy.files import CONFIG, WEIGHTS
from l2o.deploy.tensors import check_is_file, checksum, read, to_array, to_numpy, write
from l2o.optimizers import LearnedOptimizer, check_optimizer
from l2o.support.atomic import write_atomically
from l2o.support.checks import in_a_line
from l2o.support.strict_json import read_json

_FORMAT = 2
# Where each format has the name and the keywords.
_FIELDS = {
    1: {"architecture": str, "arguments": dict},
    2: {"optimizer.name": str, "optimizer.keywords": dict},
}
_CHECKSUM = "sha256 of all else and the tensors"
# What files have that were written before the constructor's arguments were under it.
_CHECKSUM_OF_TENSORS = "sha256 of the tensors"

Architecture = TypeVar("Architecture", bound=LearnedOptimizer)


@runtime_checkable
class _Configurable(Protocol):
    """An optimizer that says how to rebuild its skeleton."""

    def config(self) -> dict[str, Any]:
        """The constructor's keywords, all but `key`, as JSON knows them."""
        ...


def save(optimizer: LearnedOptimizer, path: str | Path) -> None:
    """Writes a learned optimizer to a folder.

    The folder holds `model.safetensors`, one tensor for every array leaf, named by its path in
    the pytree, in its own precision; and `config.json`, the architecture's name and the keywords of
    its constructor, as a recipe has them, and a checksum of all this and the tensors, which tells
    whether they are as they were written. Nothing is pickled. Each file is replaced as a whole.

    **Arguments:** `optimizer`, with a method `config()` that returns the keywords with which
    `type(optimizer)(**keywords, key=key)` gives an optimizer of the same structure (without the key
    where there is no such argument); `path`, a folder, made if need be.

    **Raises:** `ValueError` if the optimizer has no such method, as hand-designed ones do not, its
    keywords do not go into JSON, or an array is of a kind that the format does not have.

    ```pycon
    >>> import tempfile
    >>> from pathlib import Path
    >>> optimizer = l2o.optimizers.RNNProp(hidden_size=4, key=jax.random.key(0))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     l2o.save(optimizer, Path(folder) / "mine")
    ...     sorted(file.name for file in (Path(folder) / "mine").iterdir())
    ...
    ['config.json', 'model.safetensors']
    ```
    """
    tensors = to_numpy(_named_leaves(eqx.filter(optimizer, eqx.is_array)))
    config = {
        "format": _FORMAT,
        "optimizer": _composed_of(optimizer),
        "library version": version("l2o"),
    }
    config[_CHECKSUM] = _checksum(config, tensors)
    path = Path(path)
    write(path / WEIGHTS, tensors)
    write_atomically(path / CONFIG, json.dumps(config, indent=2).encode())


def check_can_be_saved(optimizer: LearnedOptimizer) -> None:
    """Makes sure that an optimizer can be saved, and made again of what is saved.

    **Arguments:** `optimizer`, or one with descriptions in place of arrays.

    **Raises:** `ValueError` as `save` does, and if its keywords make another structure.
    """
    maker, keywords = _maker_of(optimizer), _composed_of(optimizer)["keywords"]
    again = _named_leaves(_skeleton(maker, keywords, Path(f"{maker.__name__}.config()")))
    shapes = {name: leaf.shape for name, leaf in _named_leaves(optimizer).items()}
    if shapes != {name: leaf.shape for name, leaf in again.items()}:
        raise ValueError(
            f"{maker.__name__} cannot be saved: with what `config()` returns, it is made with "
            "other arrays."
        )


def _maker_of(optimizer: LearnedOptimizer) -> Callable[..., LearnedOptimizer]:
    """What makes an optimizer of its `config()`: its class, but for one made of two."""
    return getattr(optimizer, "maker", type(optimizer))


def _composed_of(optimizer: LearnedOptimizer) -> dict[str, Any]:
    """The name and the keywords by which it is made again, as JSON gives them back."""
    check_optimizer(optimizer)
    name = _maker_of(optimizer).__name__
    if not isinstance(optimizer, _Configurable):
        raise ValueError(
            f"{name} cannot be saved: it has no method `config()` that returns the keywords of "
            "its constructor."
        )
    try:
        # Tuples become lists.
        keywords = json.loads(json.dumps(optimizer.config(), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"The config of {name} does not go into JSON: {error}.") from error
    if not isinstance(keywords, dict):
        raise ValueError(f"The config of {name} must be keywords, got {in_a_line(keywords)}.")
    return Composed(name, keywords).as_dict()


@overload
def load(path: str | Path) -> LearnedOptimizer: ...
@overload
def load(path: str | Path, *, architecture: type[Architecture]) -> Architecture: ...
def load(
    path: str | Path, *, architecture: type[LearnedOptimizer] | None = None
) -> LearnedOptimizer:
    """Reads a learned optimizer that `save` wrote.

    Leaves have the precision of the file, whatever `JAX_ENABLE_X64` says: weights in single
    precision stay in single precision where JAX may use more. A process without it cannot hold
    numbers of 64 bits; there they are rounded to 32, with a warning where that changes any.

    **Arguments:** `path`, the folder; `architecture`, the class, for one that is not among
    `l2o.optimizers` and `l2o.multiobjective`.

    **Returns:** the optimizer, with the same leaves bit for bit.

    **Raises:** `ValueError`, in one sentence, if a file is missing or corrupt, the architecture
    unknown, the config does not fit it, or the tensors are not those of that config: names, shapes
    and kinds are checked before anything is read, and afterwards the checksum, if there is one.

    ```pycon
    >>> import tempfile
    >>> from pathlib import Path
    >>> optimizer = l2o.optimizers.RNNProp(hidden_size=4, key=jax.random.key(0))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     l2o.save(optimizer, Path(folder) / "mine")
    ...     l2o.load(Path(folder) / "mine").title
    ...
    'RNNProp'
    ```
    """
    if not (architecture is None or inspect.isclass(architecture)):
        raise ValueError(
            f"architecture must be a class of optimizers, got {in_a_line(architecture)}."
        )
    path = Path(path)
    config = _read_config(path / CONFIG)
    composed = _composed(config)
    if architecture is None:
        named = f"The architecture in {path / CONFIG}, unless you give it as architecture=,"
        maker = find_member(LEARNED_OPTIMIZER, composed.name, named).load()
    elif architecture.__name__ != composed.name:
        raise ValueError(
            f"{path} holds an optimizer of architecture {composed.name!r}, not "
            f"{architecture.__name__!r}."
        )
    else:
        maker = architecture
    skeleton = _skeleton(maker, composed.keywords, path / CONFIG)
    tensors = read(path / WEIGHTS, _named_leaves(skeleton))
    _check_checksum(path, config, tensors)

    def fill(leaf_path: tuple[Any, ...], leaf: Any) -> Any:
        if not isinstance(leaf, jax.ShapeDtypeStruct):
            return leaf
        name = jax.tree_util.keystr(leaf_path)
        return to_array(name, tensors[name], path / WEIGHTS)

    return jax.tree_util.tree_map_with_path(fill, skeleton)


def _check_checksum(path: Path, config: dict[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
    """Makes sure that config and tensors are those that were written, if a checksum is there."""
    if _CHECKSUM in config:
        content = {name: value for name, value in config.items() if name != _CHECKSUM}
        if config[_CHECKSUM] != _checksum(content, tensors):
            raise ValueError(
                f"{path / CONFIG} and the tensors in {path / WEIGHTS} are not as they were "
                "written: one of them is damaged, changed or from another save."
            )
    elif config.get(_CHECKSUM_OF_TENSORS, checksum(tensors)) != checksum(tensors):
        raise ValueError(
            f"{path / WEIGHTS} does not hold the tensors that {path / CONFIG} was written for: "
            "one of them is damaged or from another save."
        )


def _checksum(content: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> str:
    """Of the config, whatever the order and the layout in the file, and of the tensors."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256((text + checksum(tensors)).encode()).hexdigest()


def _named_leaves(tree: Any) -> dict[str, Any]:
    """The leaves that are arrays, or stand for some, by their paths."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        jax.tree_util.keystr(path): leaf
        for path, leaf in leaves
        if eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)
    }


def _read_config(path: Path) -> dict[str, Any]:
    """The content of `config.json`, checked as far as it does not depend on the architecture."""
    check_is_file(path, f"{path.parent} holds no saved optimizer: {path} does not exist.")
    try:
        config = read_json(path.read_bytes(), path)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error}.") from error
    if not isinstance(config, dict) or not isinstance(config.get("format"), int):
        raise ValueError(f"{path} does not describe an optimizer: it lacks a valid 'format'.")
    if config["format"] not in _FIELDS:
        raise ValueError(
            f"{path} has format {config['format']}; this version of l2o reads formats "
            f"{' and '.join(map(str, _FIELDS))}."
        )
    for field, kind in _FIELDS[config["format"]].items():
        if not isinstance(_at(config, field), kind):
            raise ValueError(f"{path} does not describe an optimizer: it lacks a valid {field!r}.")
    return config


def _composed(config: Mapping[str, Any]) -> Composed:
    """The name and the keywords in a config, whatever its format."""
    name, keywords = _FIELDS[config["format"]]
    return Composed(_at(config, name), _at(config, keywords))


def _at(config: Mapping[str, Any], field: str) -> Any:
    """The entry at a path such as `optimizer.name`; nothing where there is none."""
    entry: Any = config
    for name in field.split("."):
        entry = entry.get(name) if isinstance(entry, dict) else None
    return entry


def _skeleton(
    maker: Callable[..., LearnedOptimizer], arguments: Mapping[str, Any], path: Path
) -> LearnedOptimizer:
    """The optimizer with a description of each array in its place."""
    try:
        # One of a person's own may begin without chance.
        takes_key = "key" in inspect.signature(maker).parameters
        key = {"key": jax.random.key(0)} if takes_key else {}
        return eqx.filter_eval_shape(maker, **arguments, **key)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise ValueError(f"The arguments in {path} do not fit {maker.__name__}: {error}") from error
