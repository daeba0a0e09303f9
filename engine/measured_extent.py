"""An extent in digital numbers and what was measured on it: levels, noise, and how its bands are blurred.

One normalisation and one noise figure for the whole extent: tiles that were normalised each by itself would show as
seams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from .array_file import Numbers
from .inpaint import fill_invalid
from .levels import measure_band
from .noise import damping_for
from .psf import GaussianPsf

EVERY_BAND = slice(None)
Bands = Union[Sequence[int], slice]


@dataclass(frozen=True)
class Normalisation:
    """Per band: level = (digital number - offset) x gain."""

    offsets: tuple[float, ...]
    gains: tuple[float, ...]


@dataclass(frozen=True)
class MeasuredExtent:
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
    normalisation: Normalisation
    noise_sd: tuple[float, ...]

    @property
    def bands(self) -> int:
        """Number of bands."""
        return len(self.digital_numbers)

    @property
    def size_px(self) -> tuple[int, int]:
        """(rows, columns) of the extent in low-res pixels."""
        return self.digital_numbers.shape[1], self.digital_numbers.shape[2]

    @property
    def dampings(self) -> tuple[float, ...]:
        """What each band's noise asks of the pseudo-inverse."""
        return tuple(damping_for(sd) for sd in self.noise_sd)

    @property
    def noise_in_digital_numbers(self) -> NDArray[np.float64]:
        """(band,): the noise's standard deviation as the sensor would give it."""
        noise: NDArray[np.float64] = np.array(self.noise_sd) / np.array(self.normalisation.gains)
        return noise

    def pixels(
        self, rows: slice, columns: slice, bands: slice = EVERY_BAND
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return normalised pixels (band, h, w), with the invalid ones filled, and which are valid."""
        valid = np.array(self.valid[bands, rows, columns])
        values = np.array(self.digital_numbers[bands, rows, columns], dtype=np.float64)
        return fill_invalid(self.levels(np.where(valid, values, self._offsets[bands]), bands), valid), valid

    def levels(self, digital_numbers: NDArray[np.float64], bands: slice = EVERY_BAND) -> NDArray[np.float32]:
        """Normalise digital numbers (band, row, column) of ``bands``."""
        return ((digital_numbers - self._offsets[bands]) * self._gains[bands]).astype(np.float32)

    def numbers(self, levels: NDArray[Any], bands: Bands = EVERY_BAND) -> NDArray[np.float64]:
        """Turn normalised levels (band, row, column) of ``bands`` back into digital numbers, not rounded."""
        numbers = self.number_differences(levels, bands)
        numbers += self._offsets[bands]
        return numbers

    def number_differences(self, levels: NDArray[Any], bands: Bands = EVERY_BAND) -> NDArray[np.float64]:
        """Turn differences of normalised levels (band, row, column) of ``bands`` into digital numbers, not rounded."""
        numbers: NDArray[np.float64] = levels.astype(np.float64)
        numbers /= self._gains[bands]
        return numbers

    @property
    def _offsets(self) -> NDArray[np.float64]:
        return np.array(self.normalisation.offsets)[:, None, None]

    @property
    def _gains(self) -> NDArray[np.float64]:
        return np.array(self.normalisation.gains)[:, None, None]


def measure_extent(
    digital_numbers: Numbers, valid: Numbers, mtf_at_nyquist: Sequence[float], scale: int
) -> MeasuredExtent:
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
    noise_sd = tuple(band.noise_sd for band in levels)
    return MeasuredExtent(digital_numbers, valid, psfs, scale, normalisation, noise_sd)
