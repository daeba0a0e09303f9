"""The extent as the stages see it: normalised, measured once as a whole, read tile by tile into tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Optional

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .array_file import Numbers
from .forward_model import ForwardModel
from .measured_extent import EVERY_BAND, Bands, MeasuredExtent, Normalisation, measure_extent
from .tiling import TileWindow

__all__ = ["EVERY_BAND", "Normalisation", "Scene", "Tile"]


@dataclass(frozen=True)
class Tile:
    """What goes from stage to stage: one tile, or several of one size as a stack, (tile, band, row, column).

    Attributes:
        low_res: (..., band, h, w), normalised, invalid pixels filled from their neighbours.
        valid: (..., band, h, w), True = valid.
        forward_model: for images of this size.
        noise_sd: (band, 1, 1), in normalised units.
        damping: (band, 1, 1), what that noise asks of the pseudo-inverse.
        estimate: (..., band, H, W), the high-res image so far; None before the first stage.
    """

    low_res: Tensor
    valid: Tensor
    forward_model: ForwardModel
    noise_sd: Tensor
    damping: Tensor
    estimate: Optional[Tensor] = None

    def unstacked(self) -> Iterator[Tile]:
        """Yield the tiles of a stack; one that is no stack, as it is."""
        if self.low_res.ndim == 3:  # noqa: PLR2004, a single tile's axes
            yield self
            return
        for number, (low_res, valid) in enumerate(zip(self.low_res, self.valid)):
            estimate = None if self.estimate is None else self.estimate[number]
            yield replace(self, low_res=low_res, valid=valid, estimate=estimate)


def stacked(tiles: Sequence[Tile]) -> Tile:
    """Return tiles of one scene, bands and size, without an estimate yet, as a stack; a single one as it is."""
    if len(tiles) == 1:
        return tiles[0]
    low_res, valid = (torch.stack(images) for images in zip(*((tile.low_res, tile.valid) for tile in tiles)))
    return replace(tiles[0], low_res=low_res, valid=valid)


@dataclass(frozen=True)
class Scene(MeasuredExtent):
    """The whole extent, on disk, and where the stages compute."""

    device: torch.device

    @classmethod
    def measure(
        cls,
        digital_numbers: Numbers,
        valid: Numbers,
        mtf_at_nyquist: Sequence[float],
        scale: int,
        device: torch.device,
    ) -> Scene:
        """Measure levels and noise of every band, as :func:`.measured_extent.measure_extent`, which see."""
        return cls(**vars(measure_extent(digital_numbers, valid, mtf_at_nyquist, scale)), device=device)

    def blurred(self, factor: float) -> Scene:
        """Return the same scene with PSFs ``factor`` times as wide."""
        psfs = tuple(psf.widened(factor) for psf in self.psfs)
        return replace(self, psfs=psfs)

    @property
    def damping(self) -> Tensor:
        """(band, 1, 1): what each band's noise asks of the pseudo-inverse."""
        return torch.tensor(self.dampings, device=self.device)[:, None, None]

    def tile(self, window: TileWindow, bands: slice = EVERY_BAND) -> Tile:
        """Read some bands of one tile."""
        low_res, valid = self.read(*window.slices, bands)
        noise = torch.tensor(self.noise_sd[bands], device=self.device)[:, None, None]
        model = ForwardModel(self.psfs[bands], (low_res.shape[-2], low_res.shape[-1]), self.scale, self.device)
        return Tile(low_res, valid, model, noise, self.damping[bands])

    def read(self, rows: slice, columns: slice, bands: slice = EVERY_BAND) -> tuple[Tensor, Tensor]:
        """Return normalised pixels (band, h, w), with the invalid ones filled, and which are valid."""
        levels, valid = (torch.from_numpy(array) for array in self.pixels(rows, columns, bands))
        return levels.to(self.device), valid.to(self.device)

    def digital(self, levels: Tensor, bands: Bands = EVERY_BAND) -> NDArray[np.float64]:
        """Turn normalised levels (band, row, column) of ``bands`` back into digital numbers, not rounded."""
        return self.numbers(levels.cpu().numpy(), bands)

    def digital_difference(self, levels: Tensor, bands: Bands = EVERY_BAND) -> NDArray[np.float64]:
        """Turn differences of normalised levels (band, row, column) of ``bands`` into digital numbers, not rounded."""
        return self.number_differences(levels.cpu().numpy(), bands)
