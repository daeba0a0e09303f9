"""The picture of the extent as far as it is done, for the map: no finer than a screen, and written seldom.

The worker draws it, and QGIS gives it the layer's colours. At first the whole of a small extent is the anchor's; then
each tile takes the place of what was there as it leaves a stage.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .anchor import anchor
from .forward_model import ForwardModel
from .job import PREVIEW_FILE
from .memory import is_out_of_memory
from .plain_file import open_plain
from .progress import OnStep
from .scene import Scene
from .tiling import TileWindow

LARGEST_SIDE_PX = 1024
INTERVAL_S = 0.25
# High-res pixels times bands that the anchor takes about half a second for; a larger extent is first shown enlarged and
# made to agree with the input, which costs a tenth of that.
MOST_FOR_ANCHOR_PX = 1 << 20
PARTIAL_PREVIEW_FILE = "preview.partial.npy"


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

    def begin(self, scene: Scene, on_step: OnStep) -> None:
        """Show a first picture of the whole extent if that takes but a moment; ``on_step`` may raise to stop."""
        self._scene = scene
        rows_px, columns_px = scene.size_px
        self._size_px = preview_size_px(rows_px * scene.scale, columns_px * scene.scale)
        self._image = np.full((len(self._bands), *self._size_px), np.nan, dtype=np.float32)
        # A coarser picture than the layer itself helps nobody.
        fitting = [factor for factor in (scene.scale, 2) if max(scene.size_px) * factor <= LARGEST_SIDE_PX]
        if fitting:
            try:
                self._paste(self._first(fitting[0], on_step), 0, 0, range(len(self._bands)))
            except Exception as error:
                # The job itself has smaller tiles.
                if not is_out_of_memory(error):
                    raise
        self.flush()

    def show(self, window: TileWindow, bands: slice, estimate: Tensor) -> None:
        """Show what ``bands`` of a tile are by now, (band, H, W): its core."""
        shown = [position for position, band in enumerate(self._bands) if bands.start <= band < bands.stop]
        if not shown:
            return
        scale = self._scene.scale
        rows, columns = window.core_slices
        core = estimate[
            [self._bands[position] - bands.start for position in shown],
            rows.start * scale : rows.stop * scale,
            columns.start * scale : columns.stop * scale,
        ]
        rows_px, columns_px = self._scene.size_px
        top, bottom = (
            round(edge * self._size_px[0] / rows_px) for edge in (window.rows.core_start, window.rows.core_stop)
        )
        left, right = (
            round(edge * self._size_px[1] / columns_px)
            for edge in (window.columns.core_start, window.columns.core_stop)
        )
        if bottom > top and right > left:
            self._paste(functional.adaptive_avg_pool2d(core, (bottom - top, right - left)), top, left, shown)
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

    def _first(self, factor: int, on_step: OnStep) -> Tensor:
        """Return the extent made ``factor`` times finer in a quick way, (band, row, column), in the preview's size."""
        scene, bands = self._scene, self._bands
        # The extent is small enough for those that are shown, not for any number of bands.
        read = [scene.read(slice(None), slice(None), slice(band, band + 1))[0] for band in bands]
        model = ForwardModel([scene.psfs[band] for band in bands], scene.size_px, factor, scene.device)
        low_res, damping = torch.cat(read), scene.damping[bands]
        if low_res.numel() * factor**2 <= MOST_FOR_ANCHOR_PX:
            estimate = anchor(low_res, model, damping, on_step)
        else:
            estimate = model.enlarge(low_res, damping)
        return (
            functional.adaptive_avg_pool2d(estimate, self._size_px)
            if factor >= scene.scale
            else _enlarged(estimate, self._size_px)
        )

    def _paste(self, levels: Tensor, top: int, left: int, shown: Sequence[int]) -> None:
        """Put normalised ``levels`` (band, row, column) into these of the picture's bands."""
        height, width = levels.shape[1:]
        rows, columns = slice(top, top + height), slice(left, left + width)
        bands = [self._bands[position] for position in shown]
        numbers = self._scene.digital(levels, bands)
        self._image[list(shown), rows, columns] = np.where(self._valid(bands, rows, columns), numbers, np.nan)
        self._is_changed = True

    def _valid(self, bands: list[int], rows: slice, columns: slice) -> NDArray[np.bool_]:
        """Return which pixels of a part of the picture lie on valid ones of the input: (band, row, column)."""
        places = [
            ((np.arange(part.start, part.stop) + 0.5) * length_px / preview_px).astype(int)
            for part, length_px, preview_px in zip((rows, columns), self._scene.size_px, self._size_px, strict=True)
        ]
        # The mask may lie in a file, which gives windows only.
        window = tuple(slice(int(each[0]), int(each[-1]) + 1) for each in places)
        inner = np.ix_(*(each - each[0] for each in places))
        return np.stack([self._scene.valid[slice(band, band + 1), window[0], window[1]][0][inner] for band in bands])


def _enlarged(levels: Tensor, size_px: tuple[int, int]) -> Tensor:
    return functional.interpolate(levels[None], size_px, mode="bilinear", align_corners=False)[0]
