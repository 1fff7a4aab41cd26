import gzip
import struct

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as npst

from l2o.tasks.datasets import DataError, read_idx

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx(array):
    """The format, written from its description."""
    header = bytes([0, 0, CODES[array.dtype.str[1:]], array.ndim])
    return (
        header
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.astype(array.dtype.newbyteorder(">")).tobytes()
    )


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("code", list(CODES))
def test_reads_what_was_written(tmp_path, code, compress):
    array = np.arange(24).reshape(2, 3, 4).astype(code)
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(idx(array)) if compress else idx(array))
    read = read_idx(path)
    assert read.dtype == array.dtype
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, array)


@given(npst.arrays(st.sampled_from(["u1", "i2", "f8"]), npst.array_shapes(max_dims=4, max_side=4)))
@settings(max_examples=40, deadline=None)
def test_any_array_survives(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(idx(array))
    np.testing.assert_array_equal(read_idx(path), array)


GOOD = idx(np.arange(6, dtype=np.uint8).reshape(2, 3))
# Without the time of day in it, since pytest-xdist wants tests to have the same names everywhere.
ZIPPED = gzip.compress(GOOD, mtime=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no IDX file"),
        (b"\0\0\x08", "no IDX file"),
        (b"\0\1" + GOOD[2:], "no IDX file"),
        (b"\0\0\x07" + GOOD[3:], "no IDX file"),
        (GOOD[:7], "ends within its header"),
        (GOOD[:-1], r"should have 18 bytes for an array of shape \(2, 3\), but has 17"),
        (GOOD + b"\0", "but has 19"),
        (ZIPPED[:-9], "cannot be read"),
        (ZIPPED[:10] + b"\xff" * 20, "cannot be read"),
    ],
)
def test_damaged_files(tmp_path, content, message):
    path = tmp_path / "damaged"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_idx(path)


def test_sizes_that_overflow_are_caught(tmp_path):
    path = tmp_path / "huge"
    path.write_bytes(b"\0\0\x08\4" + b"\xff" * 16)
    with pytest.raises(DataError, match="should have"):
        read_idx(path)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path / "nothing")
