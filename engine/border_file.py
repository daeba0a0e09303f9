"""The traced borders in the job folder: three plain numpy files, written by the worker and read in QGIS.

==========================  ============  ================================================================
file                        shape         values
==========================  ============  ================================================================
``border_points.npy``       (n, 2)        x and y of the vertices, in pixels of the result from its first
                                          corner: pixel corners are at whole numbers
``border_offsets.npy``      (lines + 1,)  where each line's vertices begin; the last one is n
``border_strengths.npy``    (lines,)      0 to 1: how likely the line is a field border that a person
                                          would draw (engine/borders/likelihood.py)
==========================  ============  ================================================================
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from .array_file import read_header
from .plain_file import open_plain

POINTS_FILE = "border_points.npy"
OFFSETS_FILE = "border_offsets.npy"
STRENGTHS_FILE = "border_strengths.npy"

# A line has two ends.
FEWEST_VERTICES = 2


@dataclass(frozen=True)
class BorderLines:
    """Lines; see the table above.

    Attributes:
        points: (n, 2), float.
        offsets: (lines + 1,), int.
        strengths: (lines,), float.
    """

    points: NDArray[np.float64]
    offsets: NDArray[np.int64]
    strengths: NDArray[np.float64]

    @classmethod
    def none(cls) -> BorderLines:
        """Return no lines."""
        return cls(np.zeros((0, 2)), np.zeros(1, dtype=np.int64), np.zeros(0))

    def __len__(self) -> int:
        """Return how many lines there are."""
        return len(self.strengths)

    def line(self, number: int) -> NDArray[np.float64]:
        """Return the vertices of one line, (n, 2)."""
        return self.points[self.offsets[number] : self.offsets[number + 1]]


def write_borders(folder: Path, lines: BorderLines) -> None:
    """Write the files into ``folder``."""
    for name, values in (
        (POINTS_FILE, lines.points),
        (OFFSETS_FILE, lines.offsets),
        (STRENGTHS_FILE, lines.strengths),
    ):
        with BufferedWriter(open_plain(folder / name, "wb")) as file:
            npy_format.write_array_header_1_0(file, npy_format.header_data_from_array_1_0(values))
            file.write(values.tobytes())


def read_borders(folder: Path, width_px: int, height_px: int) -> BorderLines:
    """Read the files from ``folder``.

    Args:
        width_px, height_px: of the result.

    Raises:
        ValueError: if they do not hold lines that lie on a result of that size.
        OSError: if one cannot be read.
    """
    points = _read(folder / POINTS_FILE, np.dtype(np.float64), 2)
    offsets = _read(folder / OFFSETS_FILE, np.dtype(np.int64), 1)
    strengths = _read(folder / STRENGTHS_FILE, np.dtype(np.float64), 1)
    if points.shape[1] != 2 or len(offsets) != len(strengths) + 1:  # noqa: PLR2004, x and y
        raise ValueError(f"borders of the shapes {points.shape}, {offsets.shape} and {strengths.shape}")
    # Differences of numbers as large as an int64 holds would come round to positive ones.
    if not ((offsets >= 0) & (offsets <= len(points))).all():
        raise ValueError(f"borders whose offsets lie beyond their {len(points)} points")
    if offsets[0] != 0 or offsets[-1] != len(points) or (np.diff(offsets) < FEWEST_VERTICES).any():
        raise ValueError("borders whose offsets do not fit their points")
    # What is not a number is not within bounds either.
    if not ((points >= 0.0) & (points <= np.array([width_px, height_px], dtype=np.float64))).all():
        raise ValueError(f"borders that do not lie on a result of {width_px} x {height_px} pixels")
    if not ((strengths >= 0.0) & (strengths <= 1.0)).all():
        raise ValueError("borders with a strength beyond 0 to 1")
    return BorderLines(points, offsets, strengths)


def _read(path: Path, dtype: np.dtype[Any], axes: int) -> NDArray[Any]:
    """Return the array, which must have that type and so many axes."""
    with open_plain(path, "rb") as file:
        shape, found = read_header(file)
        if found != dtype or len(shape) != axes:
            raise ValueError(f"{path.name} holds {found} values of shape {shape}")
        expected_bytes = math.prod(shape) * dtype.itemsize
        content = file.read(expected_bytes + 1)
    if len(content) != expected_bytes:
        raise ValueError(f"{path.name} does not hold its {shape} values and nothing else")
    return np.frombuffer(content, dtype).reshape(shape)
