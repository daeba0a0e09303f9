"""How noisy a band is, and how far a pseudo-inverse may trust it."""

from __future__ import annotations

import math
from typing import Any, Optional

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

# Measured on training farmland (PSF of MTF .25, x4 and x2, noise of sd .001 to .02 before normalisation): about
# .003 suits a noise of .006 of the normalised range, and the optimum grows with its square, as Wiener's filter has it.
REFERENCE_NOISE_SD = 0.006
REFERENCE_DAMPING = 0.003
DAMPING_EXPONENT = 2.0
SMALLEST_DAMPING = 1e-5

# Immerkaer's mask is the difference of two Laplacians: it is blind to edges and slopes, and its response to
# white noise of sd 1 has the sd 6.
IMMERKAER_GAIN = 6.0
# Of a half-normal variable the lower quartile is 0.3186 sd; taking it instead of the median leaves the textured part
# of the image out.
HALF_NORMAL_QUARTILE = 0.3186
SMALLEST_NOISE_SD = 1e-4
# An area at the end of the range in which so many pixels a side have one value holds no noise to be measured, whatever
# the sensor's is: a collar, or what is saturated. Rounding alone makes smaller ones of still water. Areas of one value
# in between are what a drawing has, and there is no noise in that.
CONSTANT_SIDE_PX = 7
# Rounding to whole numbers errs evenly between -1/2 and 1/2.
ROUNDING_SD = 1.0 / math.sqrt(12.0)


def damping_for(noise_sd: float) -> float:
    """Return the damping of the pseudo-inverse for noise of ``noise_sd``, both in a range of about 0 to 1."""
    damping: float = REFERENCE_DAMPING * (noise_sd / REFERENCE_NOISE_SD) ** DAMPING_EXPONENT
    return max(damping, SMALLEST_DAMPING)


def noise_sd(band: NDArray[np.floating[Any]], valid: NDArray[np.bool_]) -> Optional[float]:
    """Return the standard deviation of the noise in ``band``, in its own units; None where nothing can be measured.

    From the absolute responses to Immerkaer's mask (1996) over the smoothest part of the image, so that texture is not
    taken for noise. Areas of the lowest or highest value are left out, unless there is nothing else.

    Args:
        band: (row, column).
        valid: (row, column), True = valid; only neighbourhoods that are wholly valid count.
    """
    if min(band.shape) < 3:  # noqa: PLR2004, the mask is 3 x 3
        return None
    rows = band[:-2] - 2.0 * band[1:-1] + band[2:]
    response = np.abs(rows[:, :-2] - 2.0 * rows[:, 1:-1] + rows[:, 2:])
    whole = valid[:-2] & valid[1:-1] & valid[2:]
    whole = whole[:, :-2] & whole[:, 1:-1] & whole[:, 2:]
    if not whole.any():
        return None
    centre, measured = band[1:-1, 1:-1], band[valid]
    is_at_end = (centre == measured.min()) | (centre == measured.max())
    varied = whole & ~(is_at_end & _is_constant(response == 0.0, band))
    response = np.sort(response[varied if varied.any() else whole])
    return float(response[response.size // 4]) / (HALF_NORMAL_QUARTILE * IMMERKAER_GAIN)


def _is_constant(is_flat: NDArray[np.bool_], band: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Return which neighbourhoods of 3 x 3 pixels, (row - 2, column - 2), lie within a square of one value.

    Args:
        is_flat: likewise, where the response is 0: all that may be constant.
        band: (row, column).
    """
    side_px = CONSTANT_SIDE_PX
    if np.count_nonzero(is_flat) < side_px or min(band.shape) < side_px:
        return np.zeros_like(is_flat)
    # A square is of one value if every pixel is like its neighbours.
    is_row_alike = _all_of(band[:, 1:] == band[:, :-1], side_px - 1, axis=1)
    is_column_alike = _all_of(band[1:] == band[:-1], side_px - 1, axis=0)
    is_square = _all_of(is_row_alike, side_px, axis=0) & is_column_alike[:, : 1 - side_px]
    # From a square's first pixel to the neighbourhoods in it.
    reach = side_px - 2
    is_elsewhere = ~np.pad(is_square, reach - 1)
    return ~_all_of(_all_of(is_elsewhere, reach, axis=0), reach, axis=1)


def _all_of(is_true: NDArray[np.bool_], length: int, axis: int) -> NDArray[np.bool_]:
    """Return where so many neighbours along ``axis`` are True, by their first one; shorter by all but one of them."""
    return np.asarray(sliding_window_view(is_true, length, axis=axis).all(axis=-1))
