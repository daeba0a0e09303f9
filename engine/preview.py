"""The picture of the extent as far as it is done, for the map: no finer than a screen, and written seldom.

Whoever does the job draws it, and QGIS gives it the layer's colours. At first the whole of a small extent is a sketch
of what will come of it; then each tile takes the place of what was there as it leaves a stage.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .job import PREVIEW_FILE
from .measured_extent import MeasuredExtent
from .memory import is_out_of_memory
from .plain_file import open_plain
from .tiling import TileWindow

LARGEST_SIDE_PX = 1024
INTERVAL_S = 0.25
PARTIAL_PREVIEW_FILE = "preview.partial.npy"

Image = NDArray[np.float32]
# Makes 0-based bands of the whole extent so many times finer in a quick way, (band, row, column), in levels.
Sketch = Callable[[Sequence[int], int], Image]


def preview_size_px(rows_px: int, columns_px: int) -> tuple[int, int]:
    """Return the preview's rows and columns for a result of ``rows_px`` x ``columns_px``."""
    shrinking = min(1.0, LARGEST_SIDE_PX / max(rows_px, columns_px))
    return max(1, round(rows_px * shrinking)), max(1, round(columns_px * shrinking))


class Preview:
    """Draws ``preview.npy``: (band, row, column), digital numbers, not a number where nothing is known yet or valid.

    Args:
        folder: the job folder.
        bands: 0-based, those that are to be seen.
        on_written: told each time that the file is there anew.
        clock: in seconds, for the pauses between writing.
    """

    def __init__(
        self,
        folder: Path,
        bands: tuple[int, ...],
        on_written: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._bands = list(bands)
        self._on_written = on_written
        self._clock = clock
        self._written_at_s = -INTERVAL_S
        self._is_changed = False

    def begin(self, extent: MeasuredExtent, sketch: Sketch) -> None:
        """Show a first picture of the whole extent, made by ``sketch``, if that takes but a moment."""
        self._extent = extent
        rows_px, columns_px = extent.size_px
        self._size_px = preview_size_px(rows_px * extent.scale, columns_px * extent.scale)
        self._image = np.full((len(self._bands), *self._size_px), np.nan, dtype=np.float32)
        # A coarser picture than the layer itself helps nobody.
        fitting = [factor for factor in (extent.scale, 2) if max(extent.size_px) * factor <= LARGEST_SIDE_PX]
        if fitting:
            try:
                first = _resized(sketch(self._bands, fitting[0]), self._size_px)
                self._paste(first, 0, 0, range(len(self._bands)))
            except Exception as error:
                # The job itself has smaller tiles.
                if not is_out_of_memory(error):
                    raise
        self.flush()

    def show(self, window: TileWindow, bands: slice, estimate: Image) -> None:
        """Show what ``bands`` of a tile are by now, (band, H, W): its core."""
        shown = [position for position, band in enumerate(self._bands) if bands.start <= band < bands.stop]
        if not shown:
            return
        scale = self._extent.scale
        rows, columns = window.core_slices
        core = estimate[
            [self._bands[position] - bands.start for position in shown],
            rows.start * scale : rows.stop * scale,
            columns.start * scale : columns.stop * scale,
        ]
        rows_px, columns_px = self._extent.size_px
        top, bottom = (
            round(edge * self._size_px[0] / rows_px) for edge in (window.rows.core_start, window.rows.core_stop)
        )
        left, right = (
            round(edge * self._size_px[1] / columns_px)
            for edge in (window.columns.core_start, window.columns.core_stop)
        )
        if bottom > top and right > left:
            self._paste(_resized(core, (bottom - top, right - left)), top, left, shown)
        self.flush()

    def flush(self, *, is_last: bool = False) -> None:
        """Write the picture if it has changed, and if the last one has been there for a while or no other follows."""
        now = self._clock()
        if not self._is_changed or (now - self._written_at_s < INTERVAL_S and not is_last):
            return
        partial = self._folder / PARTIAL_PREVIEW_FILE
        try:
            with open_plain(partial, "wb") as file:
                np.save(file, self._image)
            partial.replace(self._folder / PREVIEW_FILE)
        except OSError:
            # On Windows QGIS may just be reading; a full disk is for the result to tell of.
            return
        self._written_at_s = now
        self._is_changed = False
        self._on_written()

    def _paste(self, levels: Image, top: int, left: int, shown: Sequence[int]) -> None:
        """Put normalised ``levels`` (band, row, column) into these of the picture's bands."""
        height, width = levels.shape[1:]
        rows, columns = slice(top, top + height), slice(left, left + width)
        bands = [self._bands[position] for position in shown]
        numbers = self._extent.numbers(levels, bands)
        self._image[list(shown), rows, columns] = np.where(self._valid(bands, rows, columns), numbers, np.nan)
        self._is_changed = True

    def _valid(self, bands: list[int], rows: slice, columns: slice) -> NDArray[np.bool_]:
        """Return which pixels of a part of the picture lie on valid ones of the input: (band, row, column)."""
        places = [
            ((np.arange(part.start, part.stop) + 0.5) * length_px / preview_px).astype(int)
            for part, length_px, preview_px in zip((rows, columns), self._extent.size_px, self._size_px)
        ]
        # The mask may lie in a file, which gives windows only.
        window = tuple(slice(int(each[0]), int(each[-1]) + 1) for each in places)
        inner = np.ix_(*(each - each[0] for each in places))
        return np.stack([self._extent.valid[slice(band, band + 1), window[0], window[1]][0][inner] for band in bands])


def _resized(levels: Image, size_px: tuple[int, int]) -> Image:
    """Return (band, row, column) in another size: averaged where it becomes coarser, interpolated where finer."""
    for axis, length_px in enumerate(size_px, start=1):
        if length_px < levels.shape[axis]:
            levels = _averaged(levels, length_px, axis)
        elif length_px > levels.shape[axis]:
            levels = _interpolated(levels, length_px, axis)
    return levels


def _averaged(levels: Image, length_px: int, axis: int) -> Image:
    whole_px = levels.shape[axis]
    starts = np.arange(length_px) * whole_px // length_px
    counts = np.diff([*starts, whole_px]).astype(np.float32)
    averaged: Image = (np.moveaxis(np.add.reduceat(levels, starts, axis=axis), axis, -1) / counts).astype(np.float32)
    return np.moveaxis(averaged, -1, axis)


def _interpolated(levels: Image, length_px: int, axis: int) -> Image:
    last = levels.shape[axis] - 1
    places = ((np.arange(length_px) + 0.5) * (last + 1) / length_px - 0.5).clip(0, last)
    before = places.astype(int)
    after = np.minimum(before + 1, last)
    pair = (np.moveaxis(levels.take(index, axis=axis), axis, -1) for index in (before, after))
    share = (places - before).astype(np.float32)
    one, other = pair
    return np.moveaxis(one + share * (other - one), -1, axis)
