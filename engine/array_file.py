"""Arrays in ``.npy`` files, read and written window by window.

Not as memory maps: the pages of a map count as memory of the process that touched them, so its memory would grow with
the extent; writing to one on a full disk ends the whole process, QGIS and all, with a bus error, where a file gives an
OSError; and on Windows a folder with a mapped file in it cannot be removed.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any, Union

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from .plain_file import open_plain

Shape = tuple[int, int, int]
# One band or some, and where given rows and columns, as an array takes them; no steps.
Index = Union[int, slice]
Window = Union[Index, tuple[Index, ...]]
_AXES = 3
# numpy's for truth values, integers and floats.
_KINDS = "biuf"


class ArrayFile:
    """An array (band, row, column) in an open file; ``array[bands, rows, columns]`` reads or writes that window alone.

    Attributes:
        shape, dtype: as numpy's.
    """

    def __init__(self, file: FileIO, start: int, dtype: np.dtype[Any], shape: Shape) -> None:
        self._file, self._start = file, start
        self.dtype, self.shape = dtype, shape

    def __enter__(self) -> ArrayFile:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    @property
    def end(self) -> int:
        """How many bytes long the file is, or should be."""
        return self._start + math.prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        """Return how many bands there are."""
        return self.shape[0]

    def __getitem__(self, window: Window) -> NDArray[Any]:
        """Return a copy of the window. Raises EOFError if the file ends before it does."""
        ranges, single_axes = self._ranges(window)
        values = np.empty([len(axis) for axis in ranges], self.dtype)
        for piece in self._pieces(values, ranges):
            done = 0
            # The system may read and write less at a time than it was asked to.
            while done < len(piece):
                count = self._file.readinto(piece[done:])
                if not count:
                    raise EOFError(f"the file ends before its {self.shape} values do")
                done += count
        return values.squeeze(single_axes)

    def __setitem__(self, window: Window, values: Any) -> None:
        """Write ``values``, an array or a number, into the window."""
        ranges, single_axes = self._ranges(window)
        if np.ndim(values):
            values = np.expand_dims(values, single_axes)
        content = np.ascontiguousarray(np.broadcast_to(values, [len(axis) for axis in ranges]), self.dtype)
        for piece in self._pieces(content, ranges):
            done = 0
            while done < len(piece):
                done += self._file.write(piece[done:])

    def clear(self) -> None:
        """Make all of it zeros."""
        self._file.truncate(self._start)
        # The rest reads as zeros. Where files may have holes it takes no room until it is written; on Windows it does.
        self._file.truncate(self.end)

    def _ranges(self, window: Window) -> tuple[list[range], tuple[int, ...]]:
        """Return what of each axis is meant, and the axes of which it is one place only."""
        given = window if isinstance(window, tuple) else (window,)
        indices = (*given, *(slice(None),) * (_AXES - len(given)))
        single_axes = tuple(axis for axis, index in enumerate(indices) if not isinstance(index, slice))
        ranges = [
            range(length)[index if isinstance(index, slice) else slice(index, index + 1)]
            for index, length in zip(indices, self.shape)
        ]
        if any(axis.step != 1 for axis in ranges):
            raise IndexError("a window has no steps")
        return ranges, single_axes

    def _pieces(self, values: NDArray[Any], ranges: list[range]) -> Iterator[memoryview]:
        """Yield the parts of ``values`` that lie together in the file, each with the file at its place."""
        if not values.size:
            return
        bands, rows, columns = ranges
        _, all_rows, all_columns = self.shape
        is_whole_rows = len(columns) == all_columns
        for band in bands:
            band_values = values[band - bands.start]
            parts = [band_values] if is_whole_rows else band_values
            for row, part in zip(rows, parts):
                place = (band * all_rows + row) * all_columns + columns.start
                self._file.seek(self._start + place * self.dtype.itemsize)
                yield memoryview(part.reshape(-1).view(np.uint8))


# An array (band, row, column) in memory or in a file.
Numbers = Union[NDArray[Any], ArrayFile]


def clear(array: Numbers) -> None:
    """Make all of ``array`` zeros."""
    if isinstance(array, ArrayFile):
        array.clear()
    else:
        array[:] = 0


def new_array(path: Path, dtype: np.dtype[Any], shape: Shape) -> ArrayFile:
    """Return the new file ``path``, open for reading and writing, all zeros."""
    header = {"descr": npy_format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    file = open_plain(path, "w+b")
    try:
        npy_format.write_array_header_1_0(file, header)
        array = ArrayFile(file, file.tell(), dtype, shape)
        array.clear()
    except BaseException:
        # Windows removes no folder with an open file in it.
        file.close()
        raise
    return array


def open_array(path: Path, *, is_to_change: bool = False) -> ArrayFile:
    """Return the file ``path``, open for reading, and for writing as well if it is to change.

    Raises:
        ValueError: if it is no array of numbers (band, row, column), or not all of it is there.
        OSError: if it cannot be read.
    """
    file = open_plain(path, "r+b" if is_to_change else "rb")
    try:
        return _opened(file)
    except BaseException:
        file.close()
        raise


def read_header(file: FileIO) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and the type of the numbers that follow, row by row, all of which are there.

    Raises:
        ValueError: if it is no array of numbers, not in that order, or not all of it is there.
        OSError: if it cannot be read.
    """
    try:
        npy_format.read_magic(file)
        shape, is_fortran, dtype = npy_format.read_array_header_1_0(file)
    except OSError:
        raise
    # The header is Python source, which numpy takes apart in several ways that each fail differently.
    except Exception as error:
        raise ValueError("a header that is none") from error
    if dtype.kind not in _KINDS:
        raise ValueError(f"an array of {dtype}, where numbers are expected")
    if is_fortran or not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError(f"an array of shape {shape}, where one with its rows one after another is expected")
    if os.fstat(file.fileno()).st_size < file.tell() + math.prod(shape) * dtype.itemsize:
        raise ValueError(f"the file ends before its {shape} values do")
    return shape, dtype


def _opened(file: FileIO) -> ArrayFile:
    shape, dtype = read_header(file)
    if len(shape) != _AXES:
        raise ValueError(f"an array of shape {shape}, where (band, row, column) is expected")
    bands, rows, columns = shape
    return ArrayFile(file, file.tell(), dtype, (bands, rows, columns))
