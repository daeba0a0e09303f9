"""Pixel grids and windows: the arithmetic between coordinates and pixels, without GDAL and QGIS.

Coordinates are (x, y) in a CRS, pixels count from the grid's first corner: columns along x, rows along y. A grid
may be south-up and its pixels need not be square; a rotated or sheared one is representable, so that it can be
refused in words, but has no windows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

# An extent reaches into a pixel only if it covers at least this much of it, so that an extent which follows pixel
# borders up to rounding does not gain a row or a column.
SLIVER_PX = 0.01

Geotransform = tuple[float, float, float, float, float, float]
Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class Window:
    """A rectangle of whole pixels.

    Attributes:
        column_px, row_px: offset of its first pixel.
        width_px, height_px: lengths, at least 1.
    """

    column_px: int
    row_px: int
    width_px: int
    height_px: int

    def __post_init__(self) -> None:
        if self.width_px < 1 or self.height_px < 1:
            raise ValueError(f"a window of {self.width_px} x {self.height_px} pixels")

    def intersection(self, other: Window) -> Optional[Window]:
        """Return the pixels that both have, or None if there are none."""
        columns = _overlap(self.column_px, self.width_px, other.column_px, other.width_px)
        rows = _overlap(self.row_px, self.height_px, other.row_px, other.height_px)
        if columns is None or rows is None:
            return None
        return Window(columns[0], rows[0], columns[1], rows[1])

    def strips(self, height_px: int) -> Iterator[Window]:
        """Yield the window from its first row to its last in strips of at most ``height_px`` rows."""
        for offset in range(0, self.height_px, height_px):
            rows = min(height_px, self.height_px - offset)
            yield Window(self.column_px, self.row_px + offset, self.width_px, rows)


@dataclass(frozen=True)
class Grid:
    """Where a raster's pixels lie.

    Attributes:
        geotransform: GDAL's six numbers: x of the first corner, x per column, x per row, y of the first corner,
            y per column, y per row.
        width_px, height_px: the raster's size.
        crs_wkt: the CRS as WKT, "" if it is unknown.
    """

    geotransform: Geotransform
    width_px: int
    height_px: int
    crs_wkt: str

    @property
    def is_rotated(self) -> bool:
        """Whether rows and columns do not follow the axes of the CRS."""
        return self.geotransform[2] != 0.0 or self.geotransform[4] != 0.0

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Size (x, y) of a pixel in units of the CRS, both positive."""
        return abs(self.geotransform[1]), abs(self.geotransform[5])

    @property
    def window(self) -> Window:
        """The whole grid as a window."""
        return Window(0, 0, self.width_px, self.height_px)

    @property
    def bounds(self) -> Bounds:
        """(x_min, y_min, x_max, y_max) of the outer corners."""
        return self.bounds_of(self.window)

    def bounds_of(self, window: Window) -> Bounds:
        """Return (x_min, y_min, x_max, y_max) of the window's outer corners."""
        x0, x_step, _, y0, _, y_step = self.geotransform
        xs = x0 + window.column_px * x_step, x0 + (window.column_px + window.width_px) * x_step
        ys = y0 + window.row_px * y_step, y0 + (window.row_px + window.height_px) * y_step
        return min(xs), min(ys), max(xs), max(ys)

    def window_of(self, bounds: Bounds) -> Optional[Window]:
        """Return the smallest window that holds ``bounds``, clipped to the grid; None if they do not touch.

        Args:
            bounds: (x_min, y_min, x_max, y_max) in the grid's CRS.

        Raises:
            ValueError: if the grid is rotated or a bound is not a finite number.
        """
        if self.is_rotated:
            raise ValueError("a rotated grid has no windows")
        if not all(math.isfinite(bound) for bound in bounds):
            raise ValueError("the bounds are not finite")
        x_min, y_min, x_max, y_max = bounds
        x0, x_step, _, y0, _, y_step = self.geotransform
        columns = _snapped((x_min - x0) / x_step, (x_max - x0) / x_step, self.width_px)
        rows = _snapped((y_min - y0) / y_step, (y_max - y0) / y_step, self.height_px)
        if columns is None or rows is None:
            return None
        return Window(columns[0], rows[0], columns[1], rows[1])

    def part(self, window: Window) -> Grid:
        """Return the grid of the window's pixels alone."""
        x0, x_step, x_shear, y0, y_shear, y_step = self.geotransform
        x = x0 + window.column_px * x_step + window.row_px * x_shear
        y = y0 + window.column_px * y_shear + window.row_px * y_step
        return Grid((x, x_step, x_shear, y, y_shear, y_step), window.width_px, window.height_px, self.crs_wkt)

    def refined(self, scale: int) -> Grid:
        """Return the grid with the same outer corners and ``scale`` x ``scale`` pixels in place of each."""
        x0, x_step, x_shear, y0, y_shear, y_step = self.geotransform
        geotransform = (x0, x_step / scale, x_shear / scale, y0, y_shear / scale, y_step / scale)
        return Grid(geotransform, self.width_px * scale, self.height_px * scale, self.crs_wkt)


def _snapped(one_end_px: float, other_end_px: float, length_px: int) -> Optional[tuple[int, int]]:
    """Return offset and length of the pixels from one end to the other within 0 .. length_px, or None."""
    low, high = min(one_end_px, other_end_px), max(one_end_px, other_end_px)
    # Clipping comes first: what lies far outside may be too large a number to round.
    low, high = max(low, 0.0), min(high, float(length_px))
    if low >= length_px or high <= 0.0 or low > high:
        return None
    start, stop = math.floor(low + SLIVER_PX), math.ceil(high - SLIVER_PX)
    # Whatever touches the grid has at least one pixel, also an extent that is only a sliver.
    start = min(start, length_px - 1)
    stop = max(stop, start + 1)
    return start, stop - start


def _overlap(offset: int, length: int, other_offset: int, other_length: int) -> Optional[tuple[int, int]]:
    start = max(offset, other_offset)
    stop = min(offset + length, other_offset + other_length)
    return (start, stop - start) if start < stop else None
