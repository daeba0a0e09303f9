"""Where the colour changes: how strong each pixel's border is, and the points that borders run through.

The strength is the colour gradient: Gaussian derivatives a band, joined as Di Zenzo (1986) does; the larger eigenvalue
of their structure tensor, and its eigenvector for the direction across. A hedge or a track between two fields has a
border on either side, as people draw fields. (The tensor with second derivatives added, which has one maximum at a line
as at a step, found fewer of the borders that people drew on training farmland.)

Only additions, multiplications, divisions and square roots of single numbers are made, in an order that no window
changes: the same pixel comes out the same, bit for bit, in whatever window it is seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .picture import Picture, Window

# Of the Gaussian, in low-res pixels: about what the sensor could resolve.
FILTER_SD_PX = 0.4
# The Gaussian is cut off there, in standard deviations.
CUT_OFF_SD = 3.5
# Beside a border that was made too sharp runs a halo, whose edge looks like a border too. What has less than such a
# share of the strength that is found so many low-res pixels across from it is none.
HALO_SHARE = 0.3
HALO_REACH_PX = 1.5
# What a sharp step of height 1 comes out as.
STEP_RESPONSE = 1.0 / math.sqrt(2.0 * math.pi)

Values = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Gradient:
    """The borders' strength in a window, widened by ``margin_px`` on each side.

    Attributes:
        strengths: (row, column); a sharp step has the distance of its colours, of which 1 is the picture's range.
        across: (2, row, column), unit vectors (row, column) across the border, of either sign.
        is_known: (row, column), whether no invalid pixel had a say.
    """

    strengths: Values
    across: Values
    is_known: Mask
    margin_px: int


@dataclass(frozen=True)
class EdgePoints:
    """Points that borders run through, at most one a pixel, in the order of rows and columns.

    Attributes:
        pixels: (n, 2), row and column of the pixel that each is found in.
        places: (n, 2), row and column, with pixel centres at whole numbers.
        across: (n, 2), unit vectors across the border, of either sign.
        strengths: (n,), as in :class:`Gradient`.
    """

    pixels: NDArray[np.int64]
    places: NDArray[np.float64]
    across: NDArray[np.float64]
    strengths: NDArray[np.float64]


@dataclass(frozen=True)
class Filters:
    """A Gaussian and its derivative, (2 x reach + 1,)."""

    smooth: Values
    slope: Values

    @classmethod
    def of(cls, scale: int) -> Filters:
        """Return those for a result that is ``scale`` times as fine as its input."""
        sd = FILTER_SD_PX * scale
        reach = math.ceil(CUT_OFF_SD * sd)
        x = np.arange(-reach, reach + 1, dtype=np.float64)
        half = np.exp(-0.5 * (x[: reach + 1] / sd) ** 2)
        # Symmetric to the last bit.
        smooth = np.concatenate([half, half[-2::-1]])
        smooth /= smooth.sum()
        slope = x * smooth
        slope *= sd / (slope * x).sum()
        return cls(smooth.astype(np.float32), slope.astype(np.float32))

    @property
    def reach_px(self) -> int:
        """How far away a pixel has a say."""
        return len(self.smooth) // 2


def measure_gradient(picture: Picture, window: Window, filters: Filters) -> Gradient:
    """Return how strong borders are in ``window``, and as far around it as :func:`find_points` looks."""
    margin_px = round(HALO_REACH_PX * picture.scale) + 1
    rr, cc, rc = np.zeros((3, window.rows + 2 * margin_px, window.columns + 2 * margin_px), dtype=np.float32)
    for band in picture.bands:
        levels = picture.read(band, window, margin_px + filters.reach_px)
        down = _filtered(_filtered(levels, filters.slope, 0), filters.smooth, 1)
        right = _filtered(_filtered(levels, filters.smooth, 0), filters.slope, 1)
        rr += down * down
        cc += right * right
        rc += down * right
    half_difference = (rr - cc) * np.float32(0.5)
    root = np.sqrt(half_difference * half_difference + rc * rc)
    largest = (rr + cc) * np.float32(0.5) + root
    factor = np.float32(1.0 / (STEP_RESPONSE**2 * len(picture.bands)))
    # So do the neighbours of what is known have a strength that is one.
    is_known = picture.is_known(window, margin_px, filters.reach_px + 1)
    return Gradient(np.sqrt(largest * factor), _eigenvectors(half_difference, rc, root), is_known, margin_px)


def find_points(gradient: Gradient, window: Window, lowest: float) -> EdgePoints:
    """Return the points of ``window`` at which the strength is greatest across the border, and above ``lowest``.

    Places are as fine as a parabola through three pixels tells, along the axis that is nearer to the direction across
    (Devernay, 1995).
    """
    strengths, margin = gradient.strengths, gradient.margin_px

    def part(down: int, right: int) -> tuple[slice, slice]:
        row, column = margin + down, margin + right
        return slice(row, row + window.rows), slice(column, column + window.columns)

    here = strengths[part(0, 0)]
    across_rows, across_columns = (ways[part(0, 0)] for ways in gradient.across)
    is_rather_rows = np.abs(across_rows) > np.abs(across_columns)
    before = np.where(is_rather_rows, strengths[part(-1, 0)], strengths[part(0, -1)])
    after = np.where(is_rather_rows, strengths[part(1, 0)], strengths[part(0, 1)])
    is_point = (here > before) & (here >= after) & (here > np.float32(lowest)) & gradient.is_known[part(0, 0)]
    rows, columns = np.nonzero(is_point)
    across = np.stack([ways[rows, columns] for ways in (across_rows, across_columns)], axis=1).astype(np.float64)
    is_halo = _strongest_across(gradient, rows, columns, across) * HALO_SHARE > here[rows, columns]
    rows, columns, across = rows[~is_halo], columns[~is_halo], across[~is_halo]
    low, middle, high = (values[rows, columns].astype(np.float64) for values in (before, here, after))
    shifts = 0.5 * (low - high) / (low + high - 2.0 * middle)
    pixels = np.stack([rows + window.row, columns + window.column], axis=1).astype(np.int64)
    places = pixels.astype(np.float64)
    axes = np.where(is_rather_rows[rows, columns], 0, 1)
    places[np.arange(len(places)), axes] += shifts
    return EdgePoints(pixels, places, across, middle)


def _strongest_across(
    gradient: Gradient, rows: NDArray[np.int64], columns: NDArray[np.int64], across: NDArray[np.float64]
) -> Values:
    """Return the greatest strength within the halo's reach across from pixels of the window, (n,)."""
    margin = gradient.margin_px
    known = np.where(gradient.is_known, gradient.strengths, np.float32(0.0))
    strongest = np.zeros(len(rows), dtype=np.float32)
    for distance in (sign * step for step in range(1, margin) for sign in (-1, 1)):
        beside = np.rint(distance * across).astype(np.int64) + margin
        strongest = np.maximum(strongest, known[rows + beside[:, 0], columns + beside[:, 1]])
    return strongest


def _eigenvectors(half_difference: Values, rc: Values, root: Values) -> Values:
    """Return the unit eigenvectors (2, row, column) of the larger eigenvalue."""
    is_rather_rows = half_difference >= 0.0
    length_ways = root + np.abs(half_difference)
    rows = np.where(is_rather_rows, length_ways, rc)
    columns = np.where(is_rather_rows, rc, length_ways)
    lengths = np.sqrt(rows * rows + columns * columns)
    # Where no direction is better than another, any will do.
    is_nothing = lengths == 0.0
    lengths = np.where(is_nothing, np.float32(1.0), lengths)
    return np.stack([np.where(is_nothing, np.float32(1.0), rows / lengths), columns / lengths])


def _filtered(values: Values, kernel: Values, axis: int) -> Values:
    """Return ``values`` filtered along ``axis``, shorter by the kernel's reach at both ends."""
    reach = len(kernel) // 2
    length = values.shape[axis] - 2 * reach
    is_odd = bool(kernel[0] == -kernel[-1]) and kernel[0] != 0.0

    def part(start: int) -> Values:
        index = (
            (slice(start, start + length), slice(None)) if axis == 0 else (slice(None), slice(start, start + length))
        )
        return values[index]

    total = np.zeros_like(part(0)) if is_odd else part(reach) * kernel[reach]
    for distance in range(1, reach + 1):
        before, after = part(reach - distance), part(reach + distance)
        pair = after - before if is_odd else after + before
        total += pair * kernel[reach + distance]
    return total
