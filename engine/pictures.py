"""What comes of the tiles: the result, and what may be wished for beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .array_file import Numbers, clear
from .scene import Scene
from .tiling import TileWindow

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


def uncertain_share(scene: Scene, bound: Numbers, least: float) -> float:
    """Return the share of the valid area where the bound is more than ``least`` of the bands' usual range, on average.

    Args:
        bound: (band, H, W), digital numbers.
    """
    uncertain = known = 0
    gains = np.array(scene.normalisation.gains)
    for row in range(scene.size_px[0]):
        rows = slice(row * scene.scale, (row + 1) * scene.scale)
        valid = np.asarray(scene.valid[:, row : row + 1, :]).repeat(scene.scale, axis=1).repeat(scene.scale, axis=2)
        total = np.zeros(valid.shape[1:])
        for band in range(scene.bands):
            total += np.asarray(bound[band : band + 1, rows, :])[0] * gains[band] * valid[band]
        bands = valid.sum(axis=0)
        known += int((bands > 0).sum())
        uncertain += int((total > least * bands).sum())
    return uncertain / known if known else 0.0
