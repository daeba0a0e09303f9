"""The engine's result with its valid mask, read in strips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.array_file import ArrayFile

# The result's tiles, in its own pixels.
TILE_PX = 256


@dataclass(frozen=True)
class Strip:
    """Some rows, in pixels of the input: the first one and how many."""

    top: int
    rows: int


class ResultArrays:
    """Both arrays as one.

    Args:
        pixels: (band, row, column), digital numbers, not rounded.
        valid: (band, row / scale, column / scale), True = valid, of the input.

    Attributes:
        bands: how many there are.
        height_px: of the input.
        strips: from the first row to the last. In the result each is a whole row of tiles: a tile that is written
            twice is compressed twice and leaves a hole in the file.
    """

    def __init__(self, pixels: ArrayFile, valid: ArrayFile) -> None:
        self._pixels, self._valid = pixels, valid
        self.bands, self.height_px, _ = valid.shape
        self._scale = pixels.shape[1] // self.height_px
        step = TILE_PX // self._scale
        self.strips = tuple(Strip(top, min(step, self.height_px - top)) for top in range(0, self.height_px, step))

    def low_res_valid(self, band: int, strip: Strip) -> NDArray[np.bool_]:
        """Return (row, column) of the 0-based ``band``, True = valid, in pixels of the input."""
        return self._valid[band, strip.top : strip.top + strip.rows]

    def read(self, band: int, strip: Strip) -> tuple[NDArray[np.floating[Any]], NDArray[np.bool_]]:
        """Return values and valid mask of the 0-based ``band``, both (row, column) in pixels of the result."""
        valid = self.low_res_valid(band, strip).repeat(self._scale, axis=0).repeat(self._scale, axis=1)
        first = self.first_row(strip)
        return self._pixels[band, first : first + strip.rows * self._scale], valid

    def read_means(self, band: int, strip: Strip) -> NDArray[np.floating[Any]]:
        """Return the 0-based ``band``'s means over the pixels of the input, (row, column)."""
        first, scale = self.first_row(strip), self._scale
        values = self._pixels[band, first : first + strip.rows * scale]
        means: NDArray[np.floating[Any]] = values.reshape(strip.rows, scale, -1, scale).mean(axis=(1, 3))
        return means

    def first_row(self, strip: Strip) -> int:
        """Return the strip's first row in pixels of the result."""
        return strip.top * self._scale
