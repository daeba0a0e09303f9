"""How a band is normalised, and how noisy it is: measured on a sample, in memory that does not grow with the extent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .array_file import Numbers
from .model_file import HIGH_LEVEL, LOW_LEVEL
from .noise import ROUNDING_SD, SMALLEST_NOISE_SD, noise_sd

# The values at the first of these percentiles, and at 100 less it, go to LOW_LEVEL and HIGH_LEVEL.
LOW_PERCENTILES = (1.0, 0.3, 0.1, 0.03, 0.0)
LEAST_CONTRAST_TO_NOISE = 25.0
# How many rows, evenly spread, are looked at to measure an extent of any height; fewer where they are so long that they
# would hold more than so many pixels.
MEASURED_ROWS = 1024
MEASURED_PX = 1 << 22
# Noise is measured on 3 x 3 neighbourhoods.
BLOCK_ROWS = 4


@dataclass(frozen=True)
class BandLevels:
    """What one band's normalisation is made of: level = (digital number - offset) x gain.

    Attributes:
        noise_sd: in normalised units.
    """

    offset: float
    gain: float
    noise_sd: float
    has_valid_pixels: bool = True


def measure_band(numbers: Numbers, valid: Numbers, band: int) -> BandLevels:
    """Measure the 0-based ``band``; one without a valid pixel stays as it is.

    Args:
        numbers, valid: (band, row, column), digital numbers and True = valid.
    """
    blocks = list(_sample(numbers, valid, band))
    if not blocks:
        blocks = list(_first_valid_blocks(numbers, valid, band))
    if not blocks:
        return BandLevels(0.0, 1.0, SMALLEST_NOISE_SD, has_valid_pixels=False)
    # A block that holds no whole neighbourhood says nothing about the noise, and must not count as clean.
    measured = [sd for sd in (noise_sd(values, good) for values, good in blocks) if sd is not None]
    noise = float(np.median(measured)) if measured else 0.0
    if np.issubdtype(numbers.dtype, np.integer):
        noise = max(noise, ROUNDING_SD)
    low, high = _contrast_range(np.concatenate([values[good] for values, good in blocks]), noise)
    # A constant band gets the contrast that would stand out from its noise: to the networks it looks like any other.
    # One that holds little beside noise keeps its own, and with it the strong damping that noise asks for.
    contrast = high - low or LEAST_CONTRAST_TO_NOISE * noise
    gain = (HIGH_LEVEL - LOW_LEVEL) / contrast if contrast else 1.0
    return BandLevels(low - LOW_LEVEL / gain, gain, max(noise * gain, SMALLEST_NOISE_SD))


Block = tuple[NDArray[np.float64], NDArray[np.bool_]]


def _sample(numbers: Numbers, valid: Numbers, band: int) -> Iterator[Block]:
    """Yield values and validity of evenly spread blocks of neighbouring rows, but for those without a valid pixel."""
    _, rows, columns = numbers.shape
    blocks = max(1, min(MEASURED_ROWS, MEASURED_PX // columns) // BLOCK_ROWS)
    starts = np.unique(np.linspace(0, max(0, rows - BLOCK_ROWS), blocks).astype(int))
    yield from _blocks(numbers, valid, band, starts.tolist(), BLOCK_ROWS)


def _first_valid_blocks(numbers: Numbers, valid: Numbers, band: int) -> Iterator[Block]:
    """Yield the first blocks with valid pixels, as many as may be looked at, for where the sample has none."""
    _, rows, columns = numbers.shape
    height = max(BLOCK_ROWS, MEASURED_PX // 8 // columns)
    left_px = MEASURED_PX
    for values, good in _blocks(numbers, valid, band, range(0, rows, height), height):
        yield values, good
        left_px -= values.size
        if left_px <= 0:
            return


def _blocks(numbers: Numbers, valid: Numbers, band: int, starts: Iterable[int], height: int) -> Iterator[Block]:
    for start in starts:
        good = np.asarray(valid[band, start : start + height])
        if good.any():
            yield np.asarray(numbers[band, start : start + height], dtype=np.float64), good


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
