"""The extent as the stages see it: normalised, measured once as a whole, read tile by tile.

One normalisation and one noise figure for the whole extent: tiles that were normalised each by itself would
show as seams.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Optional

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .forward_model import ForwardModel
from .inpaint import fill_invalid
from .model_file import HIGH_LEVEL, LOW_LEVEL
from .noise import ROUNDING_SD, SMALLEST_NOISE_SD, damping_for, noise_sd
from .psf import GaussianPsf
from .tiling import TileWindow

# The values at the first of these percentiles, and at 100 less it, go to LOW_LEVEL and HIGH_LEVEL.
LOW_PERCENTILES = (1.0, 0.3, 0.1, 0.03, 0.0)
LEAST_CONTRAST_TO_NOISE = 25.0
# How many rows, evenly spread, are looked at to measure an extent of any size.
MEASURED_ROWS = 1024
BLOCK_ROWS = 4


@dataclass(frozen=True)
class Normalisation:
    """Per band: level = (digital number - offset) x gain."""

    offsets: tuple[float, ...]
    gains: tuple[float, ...]


@dataclass(frozen=True)
class Tile:
    """What goes from stage to stage.

    Attributes:
        low_res: (band, h, w), normalised, invalid pixels filled from their neighbours.
        valid: (band, h, w), True = valid.
        forward_model: for images of this size.
        noise_sd: (band, 1, 1), in normalised units.
        damping: (band, 1, 1), what that noise asks of the pseudo-inverse.
        estimate: (band, H, W), the high-res image so far; None before the first stage.
    """

    low_res: Tensor
    valid: Tensor
    forward_model: ForwardModel
    noise_sd: Tensor
    damping: Tensor
    estimate: Optional[Tensor] = None


@dataclass(frozen=True)
class Scene:
    """The whole extent, on disk, and what was measured on it.

    Attributes:
        digital_numbers: (band, row, column), any numeric type, memory-mapped.
        valid: (band, row, column), True = valid, memory-mapped.
        noise_sd: one a band, in normalised units.
    """

    digital_numbers: NDArray[np.generic]
    valid: NDArray[np.bool_]
    psfs: tuple[GaussianPsf, ...]
    scale: int
    device: torch.device
    normalisation: Normalisation
    noise_sd: tuple[float, ...]
    _forward_models: dict[tuple[int, int], ForwardModel] = field(default_factory=dict, repr=False)

    @classmethod
    def measure(
        cls,
        digital_numbers: NDArray[np.generic],
        valid: NDArray[np.bool_],
        mtf_at_nyquist: Sequence[float],
        scale: int,
        device: torch.device,
    ) -> Scene:
        """Measure levels and noise of every band.

        Raises:
            ValueError: if no band has a valid pixel. One without any among others stays as it is: nothing of it is
                looked at, and all of it comes out as nodata.
        """
        offsets, gains, noise = [], [], []
        if not any(band_valid.any() for band_valid in valid):
            raise ValueError("The extent holds no valid pixel; choose another extent.")
        for band, band_valid in zip(digital_numbers, valid, strict=True):
            offset, gain, sd = _measure_band(band, band_valid)
            offsets.append(offset)
            gains.append(gain)
            noise.append(sd)
        psfs = tuple(GaussianPsf(mtf) for mtf in mtf_at_nyquist)
        normalisation = Normalisation(tuple(offsets), tuple(gains))
        return cls(digital_numbers, valid, psfs, scale, device, normalisation, tuple(noise))

    def blurred(self, factor: float) -> Scene:
        """Return the same scene with PSFs ``factor`` times as wide."""
        psfs = tuple(psf.widened(factor) for psf in self.psfs)
        return replace(self, psfs=psfs, _forward_models={})

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

    def tile(self, window: TileWindow) -> Tile:
        """Read one tile."""
        low_res, valid = self.read(*window.slices)
        noise = torch.tensor(self.noise_sd, device=self.device)[:, None, None]
        model = self.forward_model(low_res.shape[-2], low_res.shape[-1])
        return Tile(low_res, valid, model, noise, self.damping)

    def read(self, rows: slice, columns: slice) -> tuple[Tensor, Tensor]:
        """Return normalised pixels (band, h, w), with the invalid ones filled, and which are valid."""
        valid = np.array(self.valid[:, rows, columns])
        values = np.array(self.digital_numbers[:, rows, columns], dtype=np.float64)
        known = torch.from_numpy(valid)
        levels = torch.from_numpy(self.levels(np.where(valid, values, self._offsets)))
        return fill_invalid(levels, known).to(self.device), known.to(self.device)

    def levels(self, digital_numbers: NDArray[np.float64]) -> NDArray[np.float32]:
        """Normalise digital numbers (band, row, column)."""
        return ((digital_numbers - self._offsets) * self._gains).astype(np.float32)

    def digital(self, levels: Tensor, bands: Sequence[int] | slice = slice(None)) -> NDArray[np.float64]:
        """Turn normalised levels (band, row, column) of all bands, or of ``bands``, back to digital numbers."""
        numbers = levels.cpu().numpy().astype(np.float64)
        digital: NDArray[np.float64] = numbers / self._gains[bands] + self._offsets[bands]
        return digital

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

    def forward_model(self, rows_px: int, columns_px: int) -> ForwardModel:
        """Return the forward model for low-res images of this size; few sizes occur, so they are kept."""
        size = (rows_px, columns_px)
        if size not in self._forward_models:
            self._forward_models[size] = ForwardModel(self.psfs, size, self.scale, self.device)
        return self._forward_models[size]


def _measure_band(band: NDArray[np.generic], valid: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Return offset, gain and noise (normalised) of one band (row, column)."""
    blocks = list(_sample(band, valid))
    if not any(good.any() for _, good in blocks):
        blocks = [(np.asarray(band, dtype=np.float64), np.asarray(valid))]
    numbers = np.concatenate([values[good] for values, good in blocks])
    if numbers.size == 0:
        return 0.0, 1.0, SMALLEST_NOISE_SD
    # A block that holds no whole neighbourhood says nothing about the noise, and must not count as clean.
    measured = [sd for sd in (noise_sd(values, good) for values, good in blocks) if sd is not None]
    noise = float(np.median(measured)) if measured else 0.0
    if np.issubdtype(band.dtype, np.integer):
        noise = max(noise, ROUNDING_SD)
    low, high = _contrast_range(numbers, noise)
    gain = (HIGH_LEVEL - LOW_LEVEL) / (high - low) if high > low else 1.0
    return low - LOW_LEVEL / gain, gain, max(noise * gain, SMALLEST_NOISE_SD)


def _sample(
    band: NDArray[np.generic], valid: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """Yield values and validity of blocks of neighbouring rows: noise is measured on 3 x 3 neighbourhoods."""
    starts = np.unique(np.linspace(0, max(0, band.shape[0] - BLOCK_ROWS), MEASURED_ROWS // BLOCK_ROWS).astype(int))
    for start in starts:
        rows = slice(start, start + BLOCK_ROWS)
        yield np.asarray(band[rows], dtype=np.float64), np.asarray(valid[rows])


def _contrast_range(numbers: NDArray[np.float64], noise: float) -> tuple[float, float]:
    """Return the range of digital numbers that is stretched to the levels.

    Where nearly all of the extent is plain, such as an island in the sea, the usual percentiles hold nothing but noise;
    stretching those would drown the island in damping, so rarer values are let in until there is contrast.
    """
    low = high = float(numbers[0])
    for percentile in LOW_PERCENTILES:
        low, high = (float(value) for value in np.percentile(numbers, (percentile, 100.0 - percentile)))
        if high > low and high - low >= LEAST_CONTRAST_TO_NOISE * noise:
            break
    return low, high
