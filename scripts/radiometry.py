"""Indices and ratios of bands, how much noise moves them, and how far two pictures of one place differ in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float64]


@dataclass(frozen=True)
class Index:
    """A ratio a / b of two bands, or their normalised difference (a - b) / (a + b).

    Attributes:
        bands: a and b, from 0.
    """

    name: str
    bands: tuple[int, int]
    is_normalised: bool = False

    def of(self, numbers: Image) -> Image:
        """Return the index (row, column) of digital numbers (band, row, column); not finite where it has no value."""
        a, b = (numbers[band] for band in self.bands)
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Image = (a - b) / (a + b) if self.is_normalised else a / b
        return found

    def noise(self, numbers: Image, noise_sd: NDArray[np.float64]) -> Image:
        """Return the standard deviation (row, column) that the bands' noise gives the index, to first order.

        Args:
            numbers: (band, row, column), digital numbers.
            noise_sd: (band,), of independent noise in digital numbers.
        """
        (a, b), (sd_a, sd_b) = (numbers[list(self.bands)], noise_sd[list(self.bands)])
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.is_normalised:
                spread: Image = 2.0 * np.hypot(b * sd_a, a * sd_b) / (a + b) ** 2
            else:
                spread = np.hypot(sd_a, a / b * sd_b) / b
        return spread


@dataclass(frozen=True)
class Difference:
    """How far an index of one picture is from the source's, over its pixels.

    Attributes:
        bias_over_noise: mean of difference over noise.
        rms_over_noise: root mean square of it.
        share_within_2: share of the pixels that differ by less than twice the noise.
        rms: root mean square of the difference itself, in units of the index.
    """

    bias_over_noise: float
    rms_over_noise: float
    share_within_2: float
    rms: float


def difference(index: Index, picture: Image, source: Image, noise_sd: NDArray[np.float64]) -> Difference:
    """Compare two pictures (band, row, column) of the same pixels, in digital numbers.

    Args:
        noise_sd: (band,), of the source, in digital numbers.

    Raises:
        ValueError: if the index has a value nowhere.
    """
    found = index.of(picture) - index.of(source)
    over_noise = found / index.noise(source, noise_sd)
    known = np.isfinite(over_noise)
    if not known.any():
        raise ValueError(f"{index.name} has no value anywhere.")
    found, over_noise = found[known], over_noise[known]
    return Difference(
        float(over_noise.mean()),
        float(np.sqrt(np.square(over_noise).mean())),
        float((np.abs(over_noise) < 2.0).mean()),  # noqa: PLR2004, as its name says
        float(np.sqrt(np.square(found).mean())),
    )


def block_means(image: Image, side_px: int) -> Image:
    """Return the means over squares of (..., row, column); what does not fill a square is left out."""
    rows, columns = (length // side_px for length in image.shape[-2:])
    whole = image[..., : rows * side_px, : columns * side_px]
    means: Image = whole.reshape(*image.shape[:-2], rows, side_px, columns, side_px).mean(axis=(-3, -1))
    return means


def rms(values: Image) -> float:
    """Return the root mean square of what is finite."""
    return float(np.sqrt(np.square(values[np.isfinite(values)]).mean()))
