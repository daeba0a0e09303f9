"""The extent as the stages see it: normalised, measured once as a whole, read tile by tile.

One normalisation and one noise figure for the whole extent: tiles that were normalised each by itself would
show as seams.
"""

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
from .inpaint import fill_invalid
from .levels import measure_band
from .noise import damping_for
from .psf import GaussianPsf
from .tiling import TileWindow

EVERY_BAND = slice(None)


@dataclass(frozen=True)
class Normalisation:
    """Per band: level = (digital number - offset) x gain."""

    offsets: tuple[float, ...]
    gains: tuple[float, ...]


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
class Scene:
    """The whole extent, on disk, and what was measured on it.

    Attributes:
        digital_numbers: (band, row, column), any numeric type.
        valid: (band, row, column), True = valid.
        noise_sd: one a band, in normalised units.
    """

    digital_numbers: Numbers
    valid: Numbers
    psfs: tuple[GaussianPsf, ...]
    scale: int
    device: torch.device
    normalisation: Normalisation
    noise_sd: tuple[float, ...]

    @classmethod
    def measure(
        cls,
        digital_numbers: Numbers,
        valid: Numbers,
        mtf_at_nyquist: Sequence[float],
        scale: int,
        device: torch.device,
    ) -> Scene:
        """Measure levels and noise of every band.

        Raises:
            ValueError: if no band has a valid pixel. One without any among others stays as it is: nothing of it is
                looked at, and all of it comes out as nodata.
        """
        levels = [measure_band(digital_numbers, valid, band) for band in range(len(digital_numbers))]
        if not any(band.has_valid_pixels for band in levels):
            raise ValueError("The extent holds no valid pixel; choose another extent.")
        psfs = tuple(GaussianPsf(mtf) for mtf in mtf_at_nyquist)
        normalisation = Normalisation(tuple(band.offset for band in levels), tuple(band.gain for band in levels))
        return cls(digital_numbers, valid, psfs, scale, device, normalisation, tuple(band.noise_sd for band in levels))

    def blurred(self, factor: float) -> Scene:
        """Return the same scene with PSFs ``factor`` times as wide."""
        psfs = tuple(psf.widened(factor) for psf in self.psfs)
        return replace(self, psfs=psfs)

    @property
    def bands(self) -> int:
        """Number of bands."""
        return len(self.digital_numbers)

    @property
    def damping(self) -> Tensor:
        """(band, 1, 1): what each band's noise asks of the pseudo-inverse."""
        return torch.tensor([damping_for(sd) for sd in self.noise_sd], device=self.device)[:, None, None]

    @property
    def size_px(self) -> tuple[int, int]:
        """(rows, columns) of the extent in low-res pixels."""
        return self.digital_numbers.shape[1], self.digital_numbers.shape[2]

    def tile(self, window: TileWindow, bands: slice = EVERY_BAND) -> Tile:
        """Read some bands of one tile."""
        low_res, valid = self.read(*window.slices, bands)
        noise = torch.tensor(self.noise_sd[bands], device=self.device)[:, None, None]
        model = ForwardModel(self.psfs[bands], (low_res.shape[-2], low_res.shape[-1]), self.scale, self.device)
        return Tile(low_res, valid, model, noise, self.damping[bands])

    def read(self, rows: slice, columns: slice, bands: slice = EVERY_BAND) -> tuple[Tensor, Tensor]:
        """Return normalised pixels (band, h, w), with the invalid ones filled, and which are valid."""
        valid = np.array(self.valid[bands, rows, columns])
        values = np.array(self.digital_numbers[bands, rows, columns], dtype=np.float64)
        known = torch.from_numpy(valid)
        levels = torch.from_numpy(self.levels(np.where(valid, values, self._offsets[bands]), bands))
        return fill_invalid(levels, known).to(self.device), known.to(self.device)

    def levels(self, digital_numbers: NDArray[np.float64], bands: slice = EVERY_BAND) -> NDArray[np.float32]:
        """Normalise digital numbers (band, row, column) of ``bands``."""
        return ((digital_numbers - self._offsets[bands]) * self._gains[bands]).astype(np.float32)

    def digital(self, levels: Tensor, bands: Sequence[int] | slice = EVERY_BAND) -> NDArray[np.float64]:
        """Turn normalised levels (band, row, column) of ``bands`` back into digital numbers, not rounded."""
        numbers: NDArray[np.float64] = levels.cpu().numpy().astype(np.float64)
        numbers /= self._gains[bands]
        numbers += self._offsets[bands]
        return numbers

    def digital_difference(self, levels: Tensor, bands: Sequence[int] | slice = EVERY_BAND) -> NDArray[np.float64]:
        """Turn differences of normalised levels (band, row, column) of ``bands`` into digital numbers, not rounded."""
        numbers: NDArray[np.float64] = levels.cpu().numpy().astype(np.float64)
        numbers /= self._gains[bands]
        return numbers

    @property
    def noise_in_digital_numbers(self) -> NDArray[np.float64]:
        """(band,): the noise's standard deviation as the sensor would give it."""
        noise: NDArray[np.float64] = np.array(self.noise_sd) / np.array(self.normalisation.gains)
        return noise

    @property
    def _offsets(self) -> NDArray[np.float64]:
        return np.array(self.normalisation.offsets)[:, None, None]

    @property
    def _gains(self) -> NDArray[np.float64]:
        return np.array(self.normalisation.gains)[:, None, None]
