"""Fill invalid pixels, so that nodata values never reach a filter or a network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Enough to carry values past every margin; what lies deeper inside a hole never touches a valid pixel.
LARGEST_DISTANCE_PX = 48


def fill_invalid(image: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return ``image`` with invalid pixels grown in from their valid neighbours, ring by ring.

    Args:
        image: (band, row, column), finite where valid.
        valid: (band, row, column), True = valid.
    """
    if valid.all():
        return image
    known = valid.copy()
    filled = np.where(valid, image, np.float32(0.0))
    for _ in range(LARGEST_DISTANCE_PX):
        if known.all():
            return filled
        count = _neighbourhood_sum(known.astype(np.float32))
        ring = ~known & (count > 0)
        filled[ring] = _neighbourhood_sum(filled)[ring] / count[ring]
        known |= ring
    for band, is_known in zip(filled, known):
        band[~is_known] = band[is_known].mean() if is_known.any() else 0.0
    return filled


def _neighbourhood_sum(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sum over each pixel and its eight neighbours, (band, row, column), as far as they exist."""
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    total: NDArray[np.float32] = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    return total
