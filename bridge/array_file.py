"""Writes and reads ``.npy`` files in pieces.

Not as memory maps: writing to one on a full disk ends the whole process, QGIS and all, with a bus error, where a file
gives an OSError; and on Windows a folder with a mapped file in it cannot be removed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

Shape = tuple[int, int, int]


class ArrayWriter:
    """A new array (band, row, column) in a file; rows that are never written are zeros."""

    def __init__(self, file: BinaryIO, dtype: np.dtype[Any], shape: Shape) -> None:
        self._file, self._dtype, self._shape = file, dtype, shape
        header = {"descr": npy_format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        npy_format.write_array_header_1_0(file, header)
        self._start = file.tell()
        file.truncate(self._start + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)

    def write(self, band: int, row: int, values: NDArray[Any]) -> None:
        """Write whole rows, (row, column), of the 0-based ``band`` from the 0-based ``row`` on."""
        _, rows, columns = self._shape
        self._file.seek(self._start + (band * rows + row) * columns * self._dtype.itemsize)
        self._file.write(np.ascontiguousarray(values, dtype=self._dtype).data)


class ArrayReader:
    """An array (band, row, column) in a file.

    Attributes:
        shape, dtype: as numpy's.
    """

    def __init__(self, file: BinaryIO) -> None:
        npy_format.read_magic(file)
        shape, is_fortran, dtype = npy_format.read_array_header_1_0(file)
        if len(shape) != 3 or is_fortran:  # noqa: PLR2004, band, row, column
            raise ValueError(f"an array of shape {shape}, where (band, row, column) is expected")
        self._file, self._start = file, file.tell()
        self.shape: Shape = shape
        self.dtype = dtype

    def read(self, band: int, row: int, rows: int) -> NDArray[Any]:
        """Return ``rows`` rows, (row, column), of the 0-based ``band`` from the 0-based ``row`` on."""
        _, all_rows, columns = self.shape
        self._file.seek(self._start + (band * all_rows + row) * columns * self.dtype.itemsize)
        content = self._file.read(rows * columns * self.dtype.itemsize)
        return np.frombuffer(content, dtype=self.dtype).reshape(rows, columns)


@contextmanager
def new_array(path: Path, dtype: np.dtype[Any], shape: Shape) -> Iterator[ArrayWriter]:
    """Yield a writer of the new file ``path``."""
    with path.open("wb") as file:
        yield ArrayWriter(file, dtype, shape)


@contextmanager
def open_array(path: Path) -> Iterator[ArrayReader]:
    """Yield a reader of ``path``. Raises ValueError if it is no array (band, row, column)."""
    with path.open("rb") as file:
        yield ArrayReader(file)
