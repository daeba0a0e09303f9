"""How noisy a band is, and how far a pseudo-inverse may trust it."""

from __future__ import annotations

import math
from typing import Any, Optional

import numpy as np
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
# Rounding to whole numbers errs evenly between -1/2 and 1/2.
ROUNDING_SD = 1.0 / math.sqrt(12.0)


def damping_for(noise_sd: float) -> float:
    """Return the damping of the pseudo-inverse for noise of ``noise_sd``, both in a range of about 0 to 1."""
    damping: float = REFERENCE_DAMPING * (noise_sd / REFERENCE_NOISE_SD) ** DAMPING_EXPONENT
    return max(damping, SMALLEST_DAMPING)


def noise_sd(band: NDArray[np.floating[Any]], valid: NDArray[np.bool_]) -> Optional[float]:
    """Return the standard deviation of the noise in ``band``, in its own units; None where nothing can be measured.

    From the absolute responses to Immerkaer's mask (1996) over the smoothest part of the image, so that texture is not
    taken for noise.

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
    response = np.sort(response[whole])
    if response.size == 0:
        return None
    return float(response[response.size // 4]) / (HALF_NORMAL_QUARTILE * IMMERKAER_GAIN)
