"""Bicubic enlargement, as the worker does it with torch."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .banded_matrix import BandedMatrix
from .product import Image

# The slope of Keys's cubic convolution (1981) a pixel away from its middle; torch's.
SLOPE = -0.75
# Low-res pixels before and after the position that have a say.
_TAPS = (-1, 0, 1, 2)


def enlarge_bicubically(low_res: Image, scale: int) -> Image:
    """Return (band, h, w) as (band, h x scale, w x scale), by cubic convolution; beyond the edge its pixels go on."""
    rows, columns = (enlargement_matrix(length_px, scale) for length_px in low_res.shape[-2:])
    return np.stack([rows.along_rows(columns.along_columns(band)) for band in low_res])


@lru_cache(maxsize=12)
def enlargement_matrix(low_res_px: int, scale: int) -> BandedMatrix:
    """Return what enlarges one axis of so many pixels; a pixel is an area, so outer edges stay where they are."""
    positions = (np.arange(low_res_px * scale) + 0.5) / scale - 0.5
    first = np.floor(positions).astype(int)
    values = np.zeros((len(positions), low_res_px))
    for tap in _TAPS:
        columns = np.clip(first + tap, 0, low_res_px - 1)
        np.add.at(values, (np.arange(len(positions)), columns), _weight(np.abs(positions - first - tap)))
    return BandedMatrix(values)


def _weight(distance_px: NDArray[Any]) -> NDArray[Any]:
    d = distance_px
    near = ((SLOPE + 2.0) * d - (SLOPE + 3.0)) * d * d + 1.0
    far = ((SLOPE * d - 5.0 * SLOPE) * d + 8.0 * SLOPE) * d - 4.0 * SLOPE
    weight: NDArray[Any] = np.where(d <= 1.0, near, far)
    return weight
