"""From the engine's floating-point digital numbers back to the raster's own data type."""

from __future__ import annotations

from typing import Any, Optional, Union

import numpy as np
from numpy.typing import NDArray


def to_dtype(values: NDArray[np.floating[Any]], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return finite ``values`` in ``dtype``, integers rounded half away from zero, saturating at the type's ends."""
    if dtype.kind == "f":
        limits = np.finfo(dtype)
        return np.clip(values, limits.min, limits.max).astype(dtype)
    wide = values.astype(np.float64)
    whole = np.trunc(wide)
    # Adding a half before truncating would round 0.49999999999999994 up.
    whole += np.copysign(np.abs(wide - whole) >= 0.5, wide)  # noqa: PLR2004
    return _saturated(whole, dtype)


def keep_off_nodata(
    pixels: NDArray[Any], values: NDArray[np.floating[Any]], nodata: Optional[Union[int, float]]
) -> NDArray[Any]:
    """Return ``pixels`` with those that hit ``nodata`` moved one step, to the side on which the true value lies.

    Args:
        pixels: valid pixels in the raster's data type.
        values: the same before rounding.
    """
    if nodata is None or np.isnan(nodata):
        return pixels
    hit = pixels == pixels.dtype.type(nodata)
    if not hit.any():
        return pixels
    below, above = _neighbours(pixels.dtype.type(nodata))
    return np.where(hit, np.where(values < nodata, below, above), pixels).astype(pixels.dtype)


def _saturated(whole: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    limits = np.iinfo(dtype)
    pixels = np.clip(whole, float(limits.min), _largest_float(limits.max)).astype(dtype)
    # The ends of 64-bit types are no floats, so they are set apart.
    pixels[whole >= float(limits.max)] = limits.max
    return pixels


def _largest_float(largest: int) -> float:
    """Return the largest float that is not above the integer ``largest``."""
    number = float(largest)
    return number if int(number) <= largest else float(np.nextafter(number, 0.0))


def _neighbours(nodata: Any) -> tuple[Any, Any]:
    """Return the values one step below and above; at an end of the type both are the one inside."""
    if nodata.dtype.kind == "f":
        below, above = (np.nextafter(nodata, nodata.dtype.type(end)) for end in (-np.inf, np.inf))
        return (above, above) if np.isinf(below) else (below, below) if np.isinf(above) else (below, above)
    limits = np.iinfo(nodata.dtype)
    below, above = max(int(nodata) - 1, limits.min), min(int(nodata) + 1, limits.max)
    if int(nodata) == limits.min:
        below = above
    if int(nodata) == limits.max:
        above = below
    return below, above
