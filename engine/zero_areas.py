"""Areas in which every band is 0: many files hold 0 where nothing was measured, and do not say so.

A pixel that was measured can be 0 in every band too, by chance or in a shadow; all of a square can not, for noise sees
to that. So an area is what holds such a square, with every pixel that is connected to it, also across a corner: its
edge may slant, and what were left of it there would stand out as a rim. What hangs together only by way of a maze is
not followed to its end. Standard library and numpy only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable, Optional

import numpy as np
from numpy.typing import NDArray

from .array_file import Numbers

# In pixels of 10 m it is 80 m without any light in any band, which no shadow is; what is less may be chance. A larger
# one would miss the narrow wedge that a slanted edge cuts off an extent.
SMALLEST_SIDE_PX = 8
# A satellite's track with its clouds takes up to ten; a maze, as scattered zeros are one, takes one for each bend.
MOST_SWEEPS = 20
# What a pixel is marked as.
ZERO, AREA = 1, 2
# Pixels of one band that are held at a time.
STRIP_PX = 1 << 22


def find_zero_areas(numbers: Numbers, marks: Numbers, on_strip: Callable[[], None]) -> int:
    """Mark the areas in which every band is 0, in memory that does not grow with the extent.

    Args:
        numbers: (band, row, column), any numeric type.
        marks: (1, row, column), uint8, all 0; becomes ZERO where every band is 0, and AREA where that belongs to an
            area.
        on_strip: called again and again meanwhile; what it raises goes through.

    Returns:
        How many pixels the areas have.
    """
    if _mark_zeros(numbers, marks, on_strip) < SMALLEST_SIDE_PX**2:
        return 0
    newly_px = _sweep(marks, on_strip, is_downwards=True, squares=_Squares(marks.shape[2]))
    area_px = newly_px
    is_downwards = False
    # What an area has above comes with the way up; bays that open again the other way take one more sweep each.
    for _sweep_number in range(1, MOST_SWEEPS):
        if not newly_px:
            break
        newly_px = _sweep(marks, on_strip, is_downwards=is_downwards)
        area_px += newly_px
        is_downwards = not is_downwards
    return area_px


def make_invalid(marks: Numbers, valid: Numbers) -> None:
    """Write False into ``valid`` (band, row, column) in the areas of ``marks`` (1, row, column)."""
    for rows in _strips_of(marks):
        area = marks[0, rows] == AREA
        if area.any():
            for band in range(len(valid)):
                valid[band, rows] = np.asarray(valid[band, rows]) & ~area


def _strips_of(array: Numbers) -> Iterator[slice]:
    """Yield the rows of ``array`` (band, row, column), some at a time, from the first to the last."""
    _, rows, columns = array.shape
    step = max(1, STRIP_PX // max(1, columns))
    for top in range(0, rows, step):
        yield slice(top, min(top + step, rows))


def _mark_zeros(numbers: Numbers, marks: Numbers, on_strip: Callable[[], None]) -> int:
    """Mark where every band is 0, and return how many pixels that are."""
    zeros_px = 0
    for rows in _strips_of(numbers):
        is_zero = numbers[0, rows] == 0
        for band in range(1, len(numbers)):
            # Hardly any extent has zeros at all: then one band is all that is read again.
            if not is_zero.any():
                break
            is_zero &= numbers[band, rows] == 0
        if is_zero.any():
            marks[0, rows] = is_zero * np.uint8(ZERO)
            zeros_px += int(np.count_nonzero(is_zero))
        on_strip()
    return zeros_px


class _Squares:
    """Finds squares of marked pixels in rows that are shown to it from the first to the last.

    Args:
        columns: how long a row is.
    """

    def __init__(self, columns: int) -> None:
        # How many marked pixels lie above one another, down to the row that was shown last.
        self._heights = np.zeros(columns, np.int64)

    def ending_in(self, row: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return which pixels of the next row belong to the lowest row of a square, (column,)."""
        self._heights += 1
        self._heights[row == 0] = 0
        is_tall = self._heights >= SMALLEST_SIDE_PX
        starts, stops = _runs(is_tall)
        is_wide = stops - starts >= SMALLEST_SIDE_PX
        is_tall[is_tall] = np.repeat(is_wide, stops - starts)
        return is_tall


def _sweep(
    marks: Numbers, on_strip: Callable[[], None], *, is_downwards: bool, squares: Optional[_Squares] = None
) -> int:
    """Grow the areas from row to row, all the way down or up, and return how many pixels are new in them.

    Args:
        squares: what new areas begin with, on the way down; None if there are to be none.
    """
    strips = list(_strips_of(marks))
    newly_px = 0
    reached = np.zeros(marks.shape[2], bool)
    for rows in strips if is_downwards else reversed(strips):
        strip = marks[0, rows]
        before_px = np.count_nonzero(strip == AREA)
        for row in strip if is_downwards else strip[::-1]:
            seeds = _with_neighbours(reached)
            if squares is not None:
                seeds |= squares.ending_in(row)
            _grow(row, seeds)
            reached = row == AREA
        grown_px = int(np.count_nonzero(strip == AREA) - before_px)
        if grown_px:
            marks[0, rows] = strip
            newly_px += grown_px
        on_strip()
    return newly_px


def _grow(row: NDArray[np.uint8], seeds: NDArray[np.bool_]) -> None:
    """Make areas, within ``row`` (column,), of the runs of marked pixels that a seed or an area has a part in."""
    is_marked = row != 0
    is_begun = (seeds & is_marked) | (row == AREA)
    if not is_begun.any():
        return
    starts, stops = _runs(is_marked)
    begun_before = np.concatenate(([0], np.cumsum(is_begun)))
    is_area = begun_before[stops] > begun_before[starts]
    row[is_marked] = np.repeat(np.where(is_area, AREA, ZERO), stops - starts)


def _runs(row: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the runs of True start, and where they stop, which is one pixel after their last."""
    edges = np.flatnonzero(np.diff(row.astype(np.int8), prepend=0, append=0))
    return edges[::2], edges[1::2]


def _with_neighbours(row: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return ``row`` (column,) and what is next to it."""
    wider = row.copy()
    wider[1:] |= row[:-1]
    wider[:-1] |= row[1:]
    return wider
