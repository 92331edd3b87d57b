"""From NumPy to Arrow and back by their buffers.

Arrow's own ways between the two import pandas wherever it is installed, which takes longer than
predicting a short file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def as_array(values: NDArray[Any]) -> pa.Array:
    """Return numbers as an Arrow array; NaN is a missing value."""
    values = np.ascontiguousarray(values)
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(0, dtype=bool)
    valid = pa.py_buffer(np.packbits(~missing, bitorder="little")) if missing.any() else None
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [valid, pa.py_buffer(values)])


def as_mask(values: NDArray[np.bool_]) -> pa.BooleanArray:
    """Return truth values as an Arrow array."""
    bits = pa.py_buffer(np.packbits(values, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, bits])


def as_texts(letters: bytes | Any, bounds: NDArray[np.int64]) -> pa.LargeStringArray:
    """Return texts that stand one after the other, text i from ``bounds[i]`` to ``bounds[i + 1]``, without a copy."""
    buffers = [None, pa.py_buffer(bounds), letters if isinstance(letters, pa.Buffer) else pa.py_buffer(letters)]
    return pa.Array.from_buffers(pa.large_string(), len(bounds) - 1, buffers)


def from_texts(values: Sequence[str]) -> pa.LargeStringArray:
    """Return texts as an Arrow array."""
    parts = [value.encode() for value in values]
    bounds = np.zeros(len(parts) + 1, dtype=np.int64)
    np.cumsum([len(part) for part in parts], out=bounds[1:])
    return as_texts(b"".join(parts), bounds)


def bounds_of(texts: pa.LargeStringArray) -> NDArray[np.int64]:
    """Return where each text begins in its buffer, and where the last one ends."""
    if not len(texts):
        return np.zeros(1, dtype=np.int64)
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int64)
    return offsets[texts.offset : texts.offset + len(texts) + 1]


def letters_of(texts: pa.LargeStringArray) -> memoryview:
    """Return the buffer in which the texts stand."""
    data = texts.buffers()[2]
    return memoryview(b"" if data is None else data)
