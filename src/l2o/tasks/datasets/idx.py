"""The IDX file format, in which MNIST is distributed."""

import gzip
import zlib
from pathlib import Path

import numpy as np

from l2o.tasks.datasets.folders import DataError

# The third byte of the header names the type; numbers are stored big end first.
_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path) -> np.ndarray:
    """Reads an IDX file, compressed with gzip or not.

    The header is two zero bytes, a byte for the type, a byte for the number of dimensions and
    each dimension in four bytes; the numbers follow in row-major order and end the file
    (LeCun, Cortes and Burges, "The MNIST database of handwritten digits").

    **Returns:** the array, in the file's own type and the machine's byte order.

    **Raises:** `DataError` if the file cannot be read, the header is not IDX or the file is
    shorter or longer than its header says.
    """
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read as an IDX file: {error}.") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _DTYPES:
        raise DataError(
            f"{path} is no IDX file: expected a header of two zero bytes, a type and the number "
            f"of dimensions, got {content[:4]!r}."
        )
    dtype, num_dimensions = np.dtype(_DTYPES[content[2]]), content[3]
    start = 4 + 4 * num_dimensions
    if len(content) < start:
        raise DataError(f"{path} ends within its header of {start} bytes.")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", num_dimensions, 4))
    expected = start + dtype.itemsize * int(np.prod(shape, dtype=object))
    if len(content) != expected:
        raise DataError(
            f"{path} should have {expected} bytes for an array of shape {shape}, but has "
            f"{len(content)}."
        )
    numbers = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return numbers.astype(dtype.newbyteorder("="))
