"""Tensors in a safetensors file: written, checked before they are read, and their checksum."""

import hashlib
import stat
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from jaxtyping import Array

from l2o.support.atomic import write_atomically

# What the format calls the dtypes of meta-parameters and tables, and their kinds.
_KINDS = {
    "floating-point": ("F16", "BF16", "F32", "F64"),
    "integer": ("I8", "I16", "I32", "I64"),
    "unsigned integer": ("U8", "U16", "U32", "U64"),
    "boolean": ("BOOL",),
    "complex": ("C64",),
}
_KIND_OF = {dtype: kind for kind, dtypes in _KINDS.items() for dtype in dtypes}
_DTYPES = ("float16", "bfloat16", "float32", "float64", "complex64", "bool", *(
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
))  # fmt: skip


def to_numpy(arrays: Mapping[str, Array]) -> dict[str, np.ndarray]:
    """Arrays as they are written: on the host, row by row.

    **Raises:** `ValueError` for an array of a kind that the format does not have.
    """
    for name, array in arrays.items():
        if str(array.dtype) not in _DTYPES:
            raise ValueError(
                f"The array {name!r} cannot be saved: it is {array.dtype}, and weights are of one "
                f"of {', '.join(_DTYPES)}."
            )
    return {name: np.asarray(array, order="C") for name, array in arrays.items()}


def write(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes a safetensors file as a whole."""
    write_atomically(path, safetensors.numpy.save(dict(tensors)))


def checksum(tensors: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, dtypes, shapes and numbers, whatever the order in the file."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(repr((name, str(tensor.dtype), tensor.shape)).encode())
        digest.update(np.asarray(tensor, order="C").tobytes())
    return digest.hexdigest()


def read(path: Path, expected: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The tensors of a file, read once they are known to be the expected ones.

    **Arguments:** `path`; `expected`, by name, arrays or what stands for some: their shapes and
    kinds count, and not in how many bits the file has them.

    **Raises:** `ValueError`, in one sentence, if the file is missing or corrupt, or its tensors are
    others.
    """
    check_is_file(path, f"The weights are missing: {path} does not exist.")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            _check(file, expected, path)
            return {name: file.get_tensor(name) for name in expected}
    except (OSError, safetensors.SafetensorError) as error:
        raise ValueError(f"{path} is corrupt or no safetensors file: {error}.") from error


def to_array(name: str, tensor: np.ndarray, path: Path) -> Array:
    """A tensor as JAX holds it: in its own precision, or the widest that this process has.

    **Raises:** `ValueError` for numbers that are out of that one's range.
    """
    dtype = jax.dtypes.canonicalize_dtype(tensor.dtype)
    if dtype == tensor.dtype:
        return jnp.asarray(tensor)
    with np.errstate(over="ignore"):
        held = tensor.astype(dtype)
    is_float = np.issubdtype(dtype, np.floating)
    fits = np.isfinite(held) | ~np.isfinite(tensor) if is_float else held == tensor
    if not np.all(fits):
        raise ValueError(
            f"The tensor {name!r} in {path} has numbers that {dtype} cannot hold: set "
            f"JAX_ENABLE_X64=1 to have it in {tensor.dtype}."
        )
    if not np.array_equal(held, tensor, equal_nan=is_float):
        warnings.warn(
            # Without the tensor's name, so that Python shows it once a file.
            f"A tensor in {path} is {tensor.dtype}, rounded here to {dtype}: set "
            "JAX_ENABLE_X64=1 to have it as it is.",
            stacklevel=4,
        )
    return jnp.asarray(held)


def check_is_file(path: Path, if_missing: str) -> None:
    """Makes sure that there is something to read, which a pipe, for one, might never be.

    **Raises:** `ValueError`, with the sentence `if_missing` where there is nothing.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(if_missing) from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}.") from error
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path} is no regular file.")


def _check(file: Any, expected: Mapping[str, Any], path: Path) -> None:
    """Makes sure that the tensors in an open file are the expected ones."""
    names = set(file.keys())
    for missing in sorted(expected.keys() - names):
        raise ValueError(f"{path} lacks the tensor {missing!r} that its config asks for.")
    for superfluous in sorted(names - expected.keys()):
        raise ValueError(f"{path} has a tensor {superfluous!r} that its config has no place for.")
    for name, leaf in expected.items():
        tensor = file.get_slice(name)
        dtype, shape = tensor.get_dtype(), tuple(tensor.get_shape())
        if (_KIND_OF.get(dtype), shape) != (_kind(leaf.dtype), leaf.shape):
            raise ValueError(
                f"The tensor {name!r} in {path} must be {_kind(leaf.dtype)} ("
                f"{', '.join(_KINDS[_kind(leaf.dtype)])}) of shape {leaf.shape}, got {dtype} of "
                f"shape {shape}."
            )


def _kind(dtype: Any) -> str:
    kinds = {
        "floating-point": jnp.floating,
        "integer": jnp.signedinteger,
        "unsigned integer": jnp.unsignedinteger,
        "boolean": jnp.bool_,
    }
    return next((name for name, kind in kinds.items() if jnp.issubdtype(dtype, kind)), "complex")
