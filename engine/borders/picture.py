"""The finished result as the tracing sees it: levels, window by window, with the picture's edges carried on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..array_file import Numbers
from ..scene import Scene

# How many low-res rows are looked at in one piece to tell which bands have pixels at all.
_ROWS_A_LOOK = 256


@dataclass(frozen=True)
class Window:
    """A rectangle of high-res pixels: its first row and column, and how many of each."""

    row: int
    column: int
    rows: int
    columns: int


class Picture:
    """The result of a scene.

    Args:
        output: (band, row x scale, column x scale), digital numbers.

    Attributes:
        bands: those that have valid pixels.
        size_px: (rows, columns).
    """

    def __init__(self, scene: Scene, output: Numbers) -> None:
        self._scene, self._output = scene, output
        self.scale = scene.scale
        self.size_px = (output.shape[1], output.shape[2])
        self.bands = tuple(band for band in range(scene.bands) if self._has_pixels(band))

    def windows(self, side_px: int) -> Iterator[Window]:
        """Yield the picture in windows of at most so many pixels a side, row by row."""
        rows, columns = self.size_px
        for row in range(0, rows, side_px):
            for column in range(0, columns, side_px):
                yield Window(row, column, min(side_px, rows - row), min(side_px, columns - column))

    def read(self, band: int, window: Window, margin_px: int) -> NDArray[np.float32]:
        """Return levels (row, column) of ``window``, widened by a margin; 0 where the input is invalid.

        Beyond the picture's edges its outermost pixels are repeated.
        """
        rows, columns, outside = self._widened(window, margin_px)
        one = slice(band, band + 1)
        levels = self._scene.levels(self._output[one, rows, columns].astype(np.float64), one)[0]
        levels = np.where(self._valid(band, rows, columns), levels, np.float32(0.0))
        return np.pad(levels, outside, mode="edge")

    def is_known(self, window: Window, margin_px: int, reach_px: int) -> NDArray[np.bool_]:
        """Return for ``window``, widened by a margin, whether all bands are valid as far as ``reach_px`` around."""
        reach = -(-reach_px // self.scale)
        rows, columns, outside = self._widened(window, margin_px + reach * self.scale)
        valid = np.ones((rows.stop - rows.start, columns.stop - columns.start), dtype=bool)
        for band in self.bands:
            valid &= self._valid(band, rows, columns)
        valid = np.pad(valid, outside, mode="edge")
        return _all_around(valid, reach * self.scale)

    def _valid(self, band: int, rows: slice, columns: slice) -> NDArray[np.bool_]:
        """Return which high-res pixels lie in a valid one of the input."""
        scale = self.scale
        low_rows, low_columns = (slice(part.start // scale, -(-part.stop // scale)) for part in (rows, columns))
        valid = np.asarray(self._scene.valid[band, low_rows, low_columns]).repeat(scale, 0).repeat(scale, 1)
        first_row, first_column = rows.start - low_rows.start * scale, columns.start - low_columns.start * scale
        return valid[
            first_row : first_row + rows.stop - rows.start, first_column : first_column + columns.stop - columns.start
        ]

    def _widened(self, window: Window, margin_px: int) -> tuple[slice, slice, tuple[tuple[int, int], tuple[int, int]]]:
        """Return the rows and columns of a widened window that are there, and how many are not at each end."""
        axes, outside = [], []
        for start, length, size in zip(
            (window.row, window.column), (window.rows, window.columns), self.size_px, strict=True
        ):
            wished_start, wished_stop = start - margin_px, start + length + margin_px
            axes.append(slice(max(wished_start, 0), min(wished_stop, size)))
            outside.append((max(-wished_start, 0), max(wished_stop - size, 0)))
        return axes[0], axes[1], (outside[0], outside[1])

    def _has_pixels(self, band: int) -> bool:
        valid = self._scene.valid
        return any(
            bool(np.any(valid[band, row : row + _ROWS_A_LOOK])) for row in range(0, valid.shape[1], _ROWS_A_LOOK)
        )


def _all_around(valid: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Return whether all of the square of ``reach`` around each pixel is valid; smaller by that at each side."""
    for axis in (0, 1):
        counts = np.cumsum(valid, axis=axis, dtype=np.int64)
        zero = np.zeros_like(counts[:1] if axis == 0 else counts[:, :1])
        counts = np.concatenate([zero, counts], axis=axis)
        side = 2 * reach + 1
        sums = counts[side:] - counts[:-side] if axis == 0 else counts[:, side:] - counts[:, :-side]
        valid = sums == side
    return valid
