"""Saving a learned optimizer and getting it back, bit for bit."""

import inspect
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, TypeVar, overload, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from l2o import multiobjective, optimizers
from l2o.deploy.atomic import write_atomically
from l2o.optimizers import LearnedOptimizer
from l2o.tasks.checks import check_choice

_FORMAT = 1
_WEIGHTS = "model.safetensors"
_CONFIG = "config.json"

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
    the pytree; and `config.json`, the architecture's name and the arguments of its constructor.
    Nothing is pickled. Each file is replaced as a whole, never left half-written.

    **Arguments:** `optimizer`, with a method `config()` that returns the keywords with which
    `type(optimizer)(**keywords, key=key)` gives an optimizer of the same structure; `path`, a
    folder, made if need be.

    **Raises:** `ValueError` if the optimizer has no such method, as hand-designed ones do not, or
    its keywords do not go into JSON.
    """
    name = type(optimizer).__name__
    if not isinstance(optimizer, _Configurable):
        raise ValueError(
            f"{name} cannot be saved: it has no method `config()` that returns the keywords of "
            "its constructor."
        )
    config = {
        "format": _FORMAT,
        "architecture": name,
        "arguments": optimizer.config(),
        "library version": version("l2o"),
    }
    try:
        text = json.dumps(config, indent=2, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"The config of {name} does not go into JSON: {error}.") from error
    arrays = eqx.filter(optimizer, eqx.is_array)
    tensors = {leaf: np.asarray(array) for leaf, array in _named_leaves(arrays).items()}
    path = Path(path)
    write_atomically(path / _WEIGHTS, safetensors.numpy.save(tensors))
    write_atomically(path / _CONFIG, text.encode())


@overload
def load(path: str | Path) -> LearnedOptimizer: ...
@overload
def load(path: str | Path, *, architecture: type[Architecture]) -> Architecture: ...
def load(
    path: str | Path, *, architecture: type[LearnedOptimizer] | None = None
) -> LearnedOptimizer:
    """Reads a learned optimizer that `save` wrote.

    **Arguments:** `path`, the folder; `architecture`, the class, for one that is not among
    `l2o.optimizers` and `l2o.multiobjective`.

    **Returns:** the optimizer, with the same leaves bit for bit.

    **Raises:** `ValueError`, in one sentence, if a file is missing or corrupt, the architecture
    unknown, the config does not fit it, or the tensors are not those of that config; shapes and
    dtypes are checked.
    """
    path = Path(path)
    config = _read_config(path / _CONFIG)
    if architecture is None:
        known = _architectures()
        check_choice(f"The architecture in {path / _CONFIG}", config["architecture"], known)
        architecture = known[config["architecture"]]
    elif architecture.__name__ != config["architecture"]:
        raise ValueError(
            f"{path} holds an optimizer of architecture {config['architecture']!r}, not "
            f"{architecture.__name__!r}."
        )
    skeleton = _skeleton(architecture, config["arguments"], path / _CONFIG)
    tensors = _read_weights(path / _WEIGHTS)
    _check_tensors(_named_leaves(skeleton), tensors, path / _WEIGHTS)

    def fill(leaf_path: tuple[Any, ...], leaf: Any) -> Any:
        is_array = isinstance(leaf, jax.ShapeDtypeStruct)
        return jnp.asarray(tensors[jax.tree_util.keystr(leaf_path)]) if is_array else leaf

    return jax.tree_util.tree_map_with_path(fill, skeleton)


def _named_leaves(tree: Any) -> dict[str, Any]:
    """The leaves that are arrays, or stand for some, by their paths."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        jax.tree_util.keystr(path): leaf
        for path, leaf in leaves
        if eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)
    }


def _architectures() -> dict[str, type[LearnedOptimizer]]:
    """The architectures of this library that can be saved, by name."""
    return {
        name: value
        for name, value in {**vars(optimizers), **vars(multiobjective)}.items()
        if inspect.isclass(value)
        and issubclass(value, LearnedOptimizer)
        and not inspect.isabstract(value)
        and hasattr(value, "config")
    }


def _read_config(path: Path) -> dict[str, Any]:
    """The content of `config.json`, checked as far as it does not depend on the architecture."""
    try:
        config = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ValueError(
            f"{path.parent} holds no saved optimizer: {path} does not exist."
        ) from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not a readable JSON file: {error}.") from error
    expected = {"format": int, "architecture": str, "arguments": dict}
    for field, kind in expected.items():
        if not isinstance(config, dict) or not isinstance(config.get(field), kind):
            raise ValueError(f"{path} does not describe an optimizer: it lacks a valid {field!r}.")
    if config["format"] != _FORMAT:
        raise ValueError(
            f"{path} has format {config['format']}; this version of l2o reads format {_FORMAT}."
        )
    return config


def _skeleton(
    architecture: type[LearnedOptimizer], arguments: Mapping[str, Any], path: Path
) -> LearnedOptimizer:
    """The optimizer with a description of each array in its place."""
    try:
        return eqx.filter_eval_shape(architecture, **arguments, key=jax.random.key(0))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The arguments in {path} do not fit {architecture.__name__}: {error}"
        ) from error


def _read_weights(path: Path) -> dict[str, np.ndarray]:
    """The tensors in a file."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise ValueError(f"The weights are missing: {path} does not exist.") from None
    except (OSError, safetensors.SafetensorError) as error:
        raise ValueError(f"{path} is corrupt or no safetensors file: {error}.") from error


def _check_tensors(
    expected: Mapping[str, Any], tensors: Mapping[str, np.ndarray], path: Path
) -> None:
    """Makes sure that the tensors are the expected ones."""
    for missing in sorted(expected.keys() - tensors.keys()):
        raise ValueError(f"{path} lacks the tensor {missing!r} that its config asks for.")
    for superfluous in sorted(tensors.keys() - expected.keys()):
        raise ValueError(f"{path} has a tensor {superfluous!r} that its config has no place for.")
    for name, leaf in expected.items():
        tensor = tensors[name]
        if (tensor.shape, tensor.dtype) != (leaf.shape, leaf.dtype):
            raise ValueError(
                f"The tensor {name!r} in {path} must be {leaf.dtype} of shape {leaf.shape}, got "
                f"{tensor.dtype} of shape {tensor.shape}."
            )
