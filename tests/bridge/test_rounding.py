"""From the engine's floats to the raster's data type."""

from __future__ import annotations

import numpy as np
import pytest

from headland.bridge.rounding import keep_off_nodata, to_dtype


def rounded(values: list[float], dtype: str) -> list[float]:
    return to_dtype(np.array(values), np.dtype(dtype)).tolist()


def test_integers_are_rounded_half_away_from_zero_and_not_truncated() -> None:
    assert rounded([0.5, 1.5, 2.5, 0.49999999999999994, 2.999], "int16") == [1, 2, 3, 0, 3]
    assert rounded([-0.5, -1.5, -2.5, -0.4, -2.999], "int16") == [-1, -2, -3, 0, -3]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_integers_saturate_at_both_ends_of_their_type(dtype: str) -> None:
    limits = np.iinfo(dtype)
    assert rounded([-1e30, 1e30, float(limits.max) + 0.6], dtype) == [limits.min, limits.max, limits.max]


def test_floats_stay_as_they_are_and_never_become_infinite() -> None:
    largest = np.finfo(np.float32).max
    assert rounded([0.1, 1e300, -1e300], "float32") == [np.float32(0.1), largest, -largest]


@pytest.mark.parametrize(
    ("dtype", "nodata", "value", "expected"),
    [
        ("uint16", 0, 0.3, 1),
        ("uint8", 255, 255.4, 254),
        ("int16", -100, -100.2, -101),
        ("int16", -100, -99.8, -99),
        ("uint16", 7, 8.0, 8),
        ("float32", 0.0, 0.0, np.nextafter(np.float32(0), np.float32(1))),
        ("float32", -9999.0, -9999.0, np.nextafter(np.float32(-9999), np.float32(np.inf))),
    ],
)
def test_a_valid_pixel_never_becomes_nodata(dtype: str, nodata: float, value: float, expected: float) -> None:
    values = np.array([value])
    assert keep_off_nodata(to_dtype(values, np.dtype(dtype)), values, nodata).tolist() == [expected]


def test_without_a_nodata_number_nothing_is_moved() -> None:
    pixels = np.array([0, 1], dtype=np.uint8)
    assert keep_off_nodata(pixels, pixels.astype(float), None) is pixels
    assert keep_off_nodata(pixels, pixels.astype(float), float("nan")) is pixels
