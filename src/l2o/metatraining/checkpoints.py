"""Checkpoints of a meta-training run, so that a killed one goes on exactly where it was."""

import json
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from l2o.support.atomic import replaced_atomically

_RECORD = "record.json"
# What reading a damaged file ends in: `zipfile` knows files by their checksums, but not whether
# they are said to be encrypted, or compressed.
_DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    RuntimeError,
    zlib.error,
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class Checkpoint:
    """Where a run stands."""

    meta_step: int
    state: PyTree
    scores: list[float]
    """Of all validations so far."""
    num_rows: int
    """How many rows of metrics the run had written."""


class Checkpoints:
    """The checkpoints in one folder, a file each, of which the newest few are kept.

    A file is replaced as a whole, so that an error while writing, such as a full disk, leaves the
    ones before as they are. Each part of it has a checksum.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self._folder = folder
        self._keep = keep

    def exist(self) -> bool:
        """Whether there are any."""
        return bool(self._meta_steps())

    def save(self, checkpoint: Checkpoint) -> None:
        """Writes a checkpoint, and removes those that are too old.

        **Raises:** `OSError` if it cannot be written.
        """
        leaves = _leaves(checkpoint.state)
        record = {
            "layout": _layout(leaves),
            "scores": checkpoint.scores,
            "num_rows": checkpoint.num_rows,
        }
        path = self._path(checkpoint.meta_step)
        try:
            with replaced_atomically(path) as file, zipfile.ZipFile(file, "w") as archive:
                archive.writestr(_RECORD, json.dumps(record))
                for number, leaf in enumerate(leaves):
                    archive.writestr(str(number), np.asarray(_numbers(leaf)).tobytes())
        except OSError as error:
            raise OSError(
                f"The checkpoint {path} cannot be written ({error.strerror or error}); the run can "
                "be resumed from the one before, if there is one."
            ) from error
        for meta_step in self._meta_steps()[: -self._keep]:
            self._path(meta_step).unlink()

    def restore(self, like: PyTree) -> Checkpoint | None:
        """Reads the newest checkpoint that is not damaged, and removes damaged newer ones.

        **Arguments:** `like`, a state of the same structure on the same devices.

        **Returns:** the checkpoint, or `None` where there is none.

        **Raises:** `ValueError` if it holds something else, or if all are damaged.
        """
        damaged: list[Path] = []
        for meta_step in reversed(self._meta_steps()):
            path = self._path(meta_step)
            try:
                layout, checkpoint = _read(path, meta_step, like)
            except _DAMAGED:
                damaged.append(path)
                continue
            if layout != _layout(_leaves(like)):
                raise ValueError(_misfit(path, layout, _layout(_leaves(like))))
            if damaged:
                warnings.warn(
                    f"Damaged: {', '.join(map(str, damaged))}. The run goes on from the checkpoint "
                    f"before, of meta-step {meta_step}.",
                    stacklevel=2,
                )
            for path in damaged:
                path.unlink()
            return checkpoint
        if damaged:
            raise ValueError(
                f"All checkpoints of the run are damaged: {', '.join(map(str, damaged))}."
            )
        return None

    def _path(self, meta_step: int) -> Path:
        return self._folder / f"{meta_step}.zip"

    def _meta_steps(self) -> list[int]:
        """Those of all checkpoints, the oldest first."""
        names = [path.stem for path in self._folder.glob("*.zip")]
        return sorted(int(name) for name in names if name.isdecimal())


def _read(path: Path, meta_step: int, like: PyTree) -> tuple[Any, Checkpoint | None]:
    """The layout of a checkpoint, and what it holds if that is the layout of `like`."""
    arrays, rest = eqx.partition(like, eqx.is_array)
    leaves, treedef = jax.tree.flatten(arrays)
    with zipfile.ZipFile(path) as archive:
        record = json.loads(archive.read(_RECORD))
        layout = record["layout"]
        if layout != _layout(leaves):
            return layout, None
        restored = [_placed(archive.read(str(i)), leaf) for i, leaf in enumerate(leaves)]
    state = eqx.combine(jax.tree.unflatten(treedef, restored), rest)
    return layout, Checkpoint(meta_step, state, record["scores"], record["num_rows"])


def _leaves(state: PyTree) -> list[jax.Array]:
    return jax.tree.leaves(eqx.filter(state, eqx.is_array))


def _layout(leaves: list[jax.Array]) -> list[list[Any]]:
    return [[list(leaf.shape), str(leaf.dtype)] for leaf in leaves]


def _misfit(path: Path, layout: list[list[Any]], expected: list[list[Any]]) -> str:
    """What is wrong with a checkpoint that is not of the expected layout."""
    written, wanted = json.dumps(layout), json.dumps(expected)
    if written.replace("float64", "float32") == wanted.replace("float64", "float32"):
        precisions = ("double", "single") if "float64" in written else ("single", "double")
        return (
            f"The checkpoint {path} is of a run in {precisions[0]} precision, and this process is "
            f"in {precisions[1]} precision: to go on, set the environment variable "
            f"JAX_ENABLE_X64={int(precisions[0] == 'double')}."
        )
    return (
        f"The checkpoint {path} does not fit this run's settings: was the run started with other "
        "settings, another version or another number of devices?"
    )


def _numbers(leaf: jax.Array) -> jax.Array:
    """The array, or the numbers that random keys are made of."""
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return jax.random.key_data(leaf) if is_key else leaf


def _placed(content: bytes, like: jax.Array) -> jax.Array:
    """An array of these bytes, on the devices of `like`."""
    numbers = jax.eval_shape(_numbers, like)
    array = np.frombuffer(content, numbers.dtype).reshape(numbers.shape)
    if jnp.issubdtype(like.dtype, jax.dtypes.prng_key):
        keys = jax.random.wrap_key_data(jnp.asarray(array), impl=jax.random.key_impl(like))
        return jax.device_put(keys, like.sharding)
    return jax.device_put(array, like.sharding)
