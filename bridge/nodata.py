"""How a result says which of its pixels are invalid: GeoTIFF has one nodata value, or one mask, for all bands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from .raster_source import BandInfo, Number
from .result_arrays import ResultArrays
from .rounding import to_dtype


@dataclass(frozen=True)
class Marking:
    """How invalid pixels are marked.

    Attributes:
        nodata: the value that stands for them in every band, or None.
        has_mask: whether a mask inside the file says where they are.
    """

    nodata: Optional[Number]
    has_mask: bool


def choose_marking(bands: tuple[BandInfo, ...], dtype: np.dtype[Any], arrays: ResultArrays) -> Marking:
    """Return how the result is to mark its invalid pixels.

    The nodata value that all bands share stays. Otherwise a mask does, where bands are invalid in the same places.
    Where they are not, the nodata value is one that no valid pixel has: in a band without a nodata value of its own
    the others' may be a measurement.

    Args:
        dtype: the result's.
        arrays: all of the result.
    """
    first = bands[0].nodata
    if first is not None and all(_is_same(band.nodata, first) for band in bands):
        return Marking(first, has_mask=False)
    is_all_valid, is_the_same_everywhere = _compare(arrays)
    if is_all_valid or is_the_same_everywhere:
        return Marking(None, has_mask=not is_all_valid)
    return Marking(_least_used(list(_candidates(bands, dtype)), dtype, arrays), has_mask=False)


def _is_same(one: Optional[Number], other: Number) -> bool:
    return one is not None and (one == other or bool(np.isnan(one) and np.isnan(other)))


def _compare(arrays: ResultArrays) -> tuple[bool, bool]:
    """Return whether every pixel is valid, and whether all bands are valid in the same places."""
    is_all_valid = is_the_same_everywhere = True
    for strip in arrays.strips:
        first = arrays.low_res_valid(0, strip)
        for band in range(arrays.bands):
            valid = arrays.low_res_valid(band, strip)
            is_all_valid &= bool(valid.all())
            is_the_same_everywhere &= np.array_equal(valid, first)
    return is_all_valid, is_the_same_everywhere


def _candidates(bands: tuple[BandInfo, ...], dtype: np.dtype[Any]) -> Iterator[Number]:
    """Yield what may stand for invalid pixels, best first: what already does, then what measurements rarely are."""
    for band in bands:
        if band.nodata is not None:
            yield band.nodata
    if dtype.kind == "f":
        yield float("nan")
    else:
        limits = np.iinfo(dtype)
        yield int(limits.min)
        yield int(limits.max)


def _least_used(candidates: list[Number], dtype: np.dtype[Any], arrays: ResultArrays) -> Number:
    """Return the first candidate that no valid pixel has, or else the one that fewest have: those move one step."""
    hits = np.zeros(len(candidates), np.int64)
    for strip in arrays.strips:
        for band in range(arrays.bands):
            values, valid = arrays.read(band, strip)
            finished = to_dtype(values[valid & np.isfinite(values)], dtype)
            hits += [np.count_nonzero(finished == dtype.type(candidate)) for candidate in candidates]
    return candidates[int(np.argmin(hits))]
