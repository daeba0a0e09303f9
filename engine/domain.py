"""Is this raster a picture of land such as the networks were trained on? Cheap statistics of a sample, and doubts.

The sample is a grid of squares all over the extent, so neither time nor memory grows with it. Each threshold lies
between what pictures of land show and what its kind of raster does (docs/confidence.md has the rates); a doubt is a
reason to look twice, not an error. Standard library and numpy only, so that the dock can name the doubts too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from .array_file import Numbers
from .noise import noise_sd

SQUARE_PX = 64
SQUARES_A_SIDE = 6
MOST_BANDS = 6
# Means over so many pixels a side are what a cloud is made of: a bright roof is not that large.
BLOCK_PX = 8
SPECTRUM_PX = 32
# Cycles a pixel. The first is what any picture has, the last what a sensor's blur leaves just below the limit.
COARSE, MIDDLE, FINE = (0.04, 0.1), (0.15, 0.26), (0.4, 0.5)
# A picture has at least so many values; less says nothing about its kind.
FEWEST_PX = 256

MOST_CLASSES = 40
LARGEST_EQUAL_SHARE = 0.4
LARGEST_TOP_SHARE = 0.05
# In every band. Beside water, land is brighter still in the near infrared, and not so much in blue.
BRIGHT_TIMES_MEDIAN = (1.8, 8.0)
LARGEST_BRIGHT_SHARE = 0.03
SMALLEST_CONTRAST_TO_NOISE = 6.0
LARGEST_NOISE_TO_LEVEL = 0.1
LARGEST_ROUGHNESS = 0.3
SMALLEST_MIDDLE_TO_COARSE = 0.04
SMALLEST_FINE_TO_COARSE = 0.0003


class Doubt(str, Enum):
    """Why the result may be less worth than the figures say; the values stand in the worker's report."""

    FLAT = "flat"
    """Little more than noise, or one value: open water, or an empty layer."""
    BRIGHT = "bright"
    """Large areas are far brighter than the rest in all bands: clouds, snow or salt."""
    SATURATED = "saturated"
    """Many pixels are at the largest value: what was there is lost."""
    SPECKLED = "speckled"
    """Grain as strong as the scene itself, as in radar images."""
    SMOOTH = "smooth"
    """Far smoother than land looks from above: an elevation model, a temperature, an interpolated surface."""
    CLASSIFIED = "classified"
    """Few values in patches: a map of classes or a mask, whose numbers are names."""
    ENLARGED = "enlarged"
    """Nothing in its finest detail: already enlarged, enhanced or resampled to smaller pixels."""


@dataclass(frozen=True)
class DomainFigures:
    """What the doubts are told from; medians over the bands, but for the bright share.

    Attributes:
        pixels: how many valid ones were looked at in a band.
        values: distinct ones.
        equal_share: of neighbours in a row, how many have the same value.
        top_share: of pixels, how many have the largest value.
        bright_share: of blocks, how many are so many times as bright as the median in every band.
        contrast_to_noise: between the first and the last percentile, in units of the noise.
        noise_to_level: the noise over the median's distance from zero.
        roughness: the noise over the standard deviation of all pixels.
        middle_to_coarse, fine_to_coarse: power in bands of frequencies over that in the coarsest; None where no
            square is large enough or there is nothing to see.
    """

    pixels: float
    values: float
    equal_share: float
    top_share: float
    bright_share: float
    contrast_to_noise: float
    noise_to_level: float
    roughness: float
    middle_to_coarse: Optional[float]
    fine_to_coarse: Optional[float]


def find_doubts(numbers: Numbers, valid: Numbers) -> tuple[Doubt, ...]:
    """Return why an extent may not be a picture of land; empty for one that looks like any other.

    Args:
        numbers, valid: (band, row, column), digital numbers and True = valid.
    """
    figures = measure_domain(numbers, valid)
    return () if figures is None else doubts_of(figures)


def doubts_of(figures: DomainFigures) -> tuple[Doubt, ...]:
    """Return the doubts that figures raise. What is flat or has classes is nothing else besides."""
    if figures.pixels < FEWEST_PX:
        return ()
    if figures.values <= MOST_CLASSES and (figures.values == 1 or figures.equal_share > LARGEST_EQUAL_SHARE):
        return (Doubt.FLAT,) if figures.values == 1 else (Doubt.CLASSIFIED,)
    is_noisy = figures.noise_to_level > LARGEST_NOISE_TO_LEVEL
    if figures.contrast_to_noise < SMALLEST_CONTRAST_TO_NOISE and not is_noisy:
        return (Doubt.FLAT,)
    raised = {
        Doubt.BRIGHT: figures.bright_share > LARGEST_BRIGHT_SHARE,
        Doubt.SATURATED: figures.top_share > LARGEST_TOP_SHARE,
        Doubt.SPECKLED: is_noisy and figures.roughness > LARGEST_ROUGHNESS,
        Doubt.SMOOTH: _is_below(figures.middle_to_coarse, SMALLEST_MIDDLE_TO_COARSE),
        Doubt.ENLARGED: figures.equal_share > LARGEST_EQUAL_SHARE
        or _is_below(figures.fine_to_coarse, SMALLEST_FINE_TO_COARSE),
    }
    return tuple(doubt for doubt, is_raised in raised.items() if is_raised)


def measure_domain(numbers: Numbers, valid: Numbers) -> Optional[DomainFigures]:
    """Return the figures of an extent, from a sample; None if the sample has no valid pixel.

    Args:
        numbers, valid: (band, row, column).
    """
    bands = np.unique(np.linspace(0, len(numbers) - 1, MOST_BANDS).round().astype(int)).tolist()
    measured = [band for band in (_Band.measure(list(_squares(numbers, valid, band))) for band in bands) if band]
    if not measured:
        return None
    brightness = [band.block_brightness for band in measured]
    # Bands with other invalid pixels have other blocks.
    same = [one for one in brightness if len(one) == len(brightness[0])]
    lowest, highest = BRIGHT_TIMES_MEDIAN
    bright = (np.min(same, axis=0) > lowest) & (np.max(same, axis=0) < highest)
    return DomainFigures(
        pixels=float(np.median([band.pixels for band in measured])),
        values=float(np.median([band.values for band in measured])),
        equal_share=float(np.median([band.equal_share for band in measured])),
        top_share=float(np.median([band.top_share for band in measured])),
        bright_share=float(bright.mean()) if bright.size else 0.0,
        contrast_to_noise=float(np.median([band.contrast_to_noise for band in measured])),
        noise_to_level=float(np.median([band.noise_to_level for band in measured])),
        roughness=float(np.median([band.roughness for band in measured])),
        middle_to_coarse=_median_of_known([band.middle_to_coarse for band in measured]),
        fine_to_coarse=_median_of_known([band.fine_to_coarse for band in measured]),
    )


@dataclass(frozen=True)
class _Square:
    values: NDArray[np.float64]
    valid: NDArray[np.bool_]


@dataclass(frozen=True)
class _Band:
    """The figures of one band; ``block_brightness`` is (block,), means over the band's median."""

    pixels: int
    values: int
    equal_share: float
    top_share: float
    block_brightness: NDArray[np.float64]
    contrast_to_noise: float
    noise_to_level: float
    roughness: float
    middle_to_coarse: Optional[float]
    fine_to_coarse: Optional[float]

    @classmethod
    def measure(cls, squares: list[_Square]) -> Optional[_Band]:
        if not squares:
            return None
        values = np.concatenate([square.values[square.valid] for square in squares])
        low, median, high = np.percentile(values, (1.0, 50.0, 99.0))
        noise = _noise(squares)
        spread = float(values.std())
        power = _power(squares)
        return cls(
            pixels=values.size,
            values=np.unique(values).size,
            equal_share=_equal_share(squares),
            top_share=float(np.mean(values == values.max())),
            block_brightness=_block_means(squares) / max(abs(float(median)), 1e-12),
            contrast_to_noise=float(high - low) / noise if noise else float("inf"),
            noise_to_level=noise / max(abs(float(median)), 1e-12),
            roughness=noise / spread if spread else 0.0,
            middle_to_coarse=_ratio(power, MIDDLE, COARSE),
            fine_to_coarse=_ratio(power, FINE, COARSE),
        )


def _squares(numbers: Numbers, valid: Numbers, band: int) -> Iterator[_Square]:
    """Yield those squares of a grid over the extent in which anything is valid."""
    _, rows, columns = numbers.shape
    for row in _starts(rows):
        for column in _starts(columns):
            window = (band, slice(row, row + SQUARE_PX), slice(column, column + SQUARE_PX))
            good = np.asarray(valid[window])
            if good.any():
                yield _Square(np.asarray(numbers[window], dtype=np.float64), good)


def _starts(length: int) -> list[int]:
    count = min(SQUARES_A_SIDE, max(1, length // SQUARE_PX))
    starts: list[int] = np.linspace(0, max(0, length - SQUARE_PX), count).astype(int).tolist()
    return starts


def _noise(squares: list[_Square]) -> float:
    """Return the median over the squares: one that is all water or all speckle is not to speak for the others."""
    measured = [noise_sd(square.values, square.valid) for square in squares]
    known = [sd for sd in measured if sd is not None]
    return float(np.median(known)) if known else 0.0


def _equal_share(squares: list[_Square]) -> float:
    equal = pairs = 0
    for square in squares:
        both = square.valid[:, 1:] & square.valid[:, :-1]
        equal += int((square.values[:, 1:] == square.values[:, :-1])[both].sum())
        pairs += int(both.sum())
    return equal / pairs if pairs else 0.0


def _block_means(squares: list[_Square]) -> NDArray[np.float64]:
    """Return the means of all whole and valid blocks, (block,)."""
    means = []
    for square in squares:
        rows, columns = (length // BLOCK_PX * BLOCK_PX for length in square.values.shape)
        shape = (rows // BLOCK_PX, BLOCK_PX, columns // BLOCK_PX, BLOCK_PX)
        whole = square.valid[:rows, :columns].reshape(shape).all(axis=(1, 3))
        means.append(square.values[:rows, :columns].reshape(shape).mean(axis=(1, 3))[whole])
    return np.concatenate(means)


def _power(squares: list[_Square]) -> Optional[NDArray[np.float64]]:
    """Return the mean power along rows and columns, by frequency from 0 to one half; None without a whole square."""
    taper = np.hanning(SPECTRUM_PX)
    powers = []
    for square in squares:
        if min(square.values.shape) < SPECTRUM_PX:
            continue
        for row in range(0, square.values.shape[0] - SPECTRUM_PX + 1, SPECTRUM_PX):
            for column in range(0, square.values.shape[1] - SPECTRUM_PX + 1, SPECTRUM_PX):
                window = (slice(row, row + SPECTRUM_PX), slice(column, column + SPECTRUM_PX))
                if square.valid[window].all():
                    powers.append(_power_of(square.values[window], taper))
    return np.mean(powers, axis=0) if powers else None


def _power_of(values: NDArray[np.float64], taper: NDArray[np.float64]) -> NDArray[np.float64]:
    total = np.zeros(SPECTRUM_PX // 2 + 1)
    for lines in (values, values.T):
        level = lines - lines.mean(axis=1, keepdims=True)
        total += np.square(np.abs(np.fft.rfft(level * taper, axis=1))).mean(axis=0)
    return total


def _ratio(
    power: Optional[NDArray[np.float64]], upper: tuple[float, float], lower: tuple[float, float]
) -> Optional[float]:
    if power is None:
        return None
    frequencies = np.arange(len(power)) / SPECTRUM_PX
    above, below = (
        float(power[(frequencies >= first) & (frequencies <= last)].mean()) for first, last in (upper, lower)
    )
    return above / below if below > 0 else None


def _median_of_known(values: list[Optional[float]]) -> Optional[float]:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _is_below(value: Optional[float], threshold: float) -> bool:
    return value is not None and value < threshold
