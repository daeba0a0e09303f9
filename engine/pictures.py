"""What comes of the tiles: the result, and what may be wished for beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .array_file import Numbers, clear
from .progress import OnStep, go_on
from .scene import Scene
from .tiling import TileWindow

# Low-res rows that are looked at in one piece.
STRIP_ROWS = 16

Digital = Callable[[Tensor, slice], NDArray[np.float64]]


@dataclass(frozen=True)
class Pictures:
    """What the stages make of some bands of a tile, (band, H, W) each, in levels; None where it is not wished for.

    Attributes:
        dip: Deep Image Prior's own picture, on which the result builds.
        bound: what |result - truth| stays below in nine pixels of ten (engine/confidence.py).
    """

    result: Tensor
    dip: Tensor | None = None
    bound: Tensor | None = None

    def stacked(self) -> Tensor:
        """Return all that there are, one after the other, as one image."""
        return torch.cat([picture for picture in (self.result, self.dip, self.bound) if picture is not None])


@dataclass(frozen=True)
class Outputs:
    """Where they are added up, (band, H, W) each, in digital numbers; None where one is not wished for."""

    result: Numbers
    dip: Numbers | None = None
    bound: Numbers | None = None

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(output is not None for output in (self.result, self.dip, self.bound))

    def clear(self) -> None:
        """Make all of them zero."""
        for output in (self.result, self.dip, self.bound):
            if output is not None:
                clear(output)

    def unstacked(self, image: Tensor) -> Pictures:
        """Return the pictures that :meth:`Pictures.stacked` made one image of."""
        pictures = iter(image.chunk(self.count))
        return Pictures(
            next(pictures),
            None if self.dip is None else next(pictures),
            None if self.bound is None else next(pictures),
        )

    def blend(self, scene: Scene, window: TileWindow, bands: slice, pictures: Pictures) -> None:
        """Add ``bands`` of a tile with its blending weights, one after the other: digital numbers take more room."""
        rows, columns = window.high_res_slices(scene.scale)
        weights = window.blending_weights(scene.scale)
        for picture, output, digital in self._pairs(scene, pictures):
            for band in range(*bands.indices(scene.bands)):
                one = slice(band, band + 1)
                weighted = digital(picture[band - bands.start][None], one) * weights
                output[one, rows, columns] += weighted.astype(output.dtype)

    def _pairs(self, scene: Scene, pictures: Pictures) -> Iterator[tuple[Tensor, Numbers, Digital]]:
        for picture, output, digital in (
            (pictures.result, self.result, scene.digital),
            (pictures.dip, self.dip, scene.digital),
            (pictures.bound, self.bound, scene.digital_difference),
        ):
            if picture is not None and output is not None:
                yield picture, output, digital


def uncertain_share(scene: Scene, bound: Numbers, least: float, on_step: OnStep = go_on) -> float:
    """Return the share of the valid area where the bound is more than ``least`` of the bands' usual range, on average.

    Args:
        bound: (band, H, W), digital numbers.
    """
    uncertain = known = 0
    gains, scale = np.array(scene.normalisation.gains), scene.scale
    for row in range(0, scene.size_px[0], STRIP_ROWS):
        on_step(row, scene.size_px[0])
        low_rows = slice(row, min(row + STRIP_ROWS, scene.size_px[0]))
        rows = slice(low_rows.start * scale, low_rows.stop * scale)
        bands = np.zeros((rows.stop - rows.start, scene.size_px[1] * scale), dtype=np.int32)
        total = np.zeros(bands.shape)
        for band in range(scene.bands):
            valid = np.asarray(scene.valid[band, low_rows, :]).repeat(scale, axis=0).repeat(scale, axis=1)
            total += np.asarray(bound[band : band + 1, rows, :])[0] * gains[band] * valid
            bands += valid
        known += int((bands > 0).sum())
        uncertain += int((total > least * bands).sum())
    return uncertain / known if known else 0.0
