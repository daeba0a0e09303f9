"""Which sensor took a raster, and how much each of its bands is blurred.

The modulation transfer (MTF) at the Nyquist frequency of a band's own ground sample distance says how wide
the band's point spread function is. Only the standard library is needed, so the dock can name the sensor too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Optional

from .job import Sensor

# Figures of the sharpening literature for Sentinel-2 MSI (used by Lanaras et al. 2018 and Armannsson et al.
# 2021, after ESA's data quality reports); bands that they leave out take the nearest band's.
SENTINEL_2_MTF = {
    "B01": 0.32,
    "B02": 0.26,
    "B03": 0.28,
    "B04": 0.24,
    "B05": 0.38,
    "B06": 0.34,
    "B07": 0.34,
    "B08": 0.26,
    "B8A": 0.33,
    "B09": 0.26,
    "B10": 0.22,
    "B11": 0.22,
    "B12": 0.23,
}
# Landsat's multispectral bands resample to a grid near their instantaneous field of view.
LANDSAT_MTF = 0.30
# Without a word about the sensor: the middle of what optical sensors have.
UNKNOWN_SENSOR_MTF = 0.25

SENTINEL_2_PIXEL_SIZES_M = (10.0, 20.0, 60.0)
LANDSAT_PIXEL_SIZES_M = (28.5, 30.0)
PIXEL_SIZE_TOLERANCE = 0.02

_SENTINEL_2_BAND = re.compile(r"(?<![A-Za-z0-9])B(0?[1-9]|1[0-2]|0?8A)(?![A-Za-z0-9])", re.IGNORECASE)


def recognise(band_names: Sequence[str], pixel_size_m: Optional[tuple[float, float]]) -> Optional[Sensor]:
    """Return the sensor that band names and pixel size point at, or None if they point at none."""
    size_m = None if pixel_size_m is None else sum(pixel_size_m) / 2.0
    if _is_near(size_m, LANDSAT_PIXEL_SIZES_M):
        return Sensor.LANDSAT
    named = bool(band_names) and all(sentinel_2_band(name) for name in band_names)
    if named and (size_m is None or _is_near(size_m, SENTINEL_2_PIXEL_SIZES_M)):
        return Sensor.SENTINEL_2
    if _is_near(size_m, SENTINEL_2_PIXEL_SIZES_M[:2]):
        return Sensor.SENTINEL_2
    return None


def is_known(sensor: Sensor, band_names: Sequence[str], pixel_size_m: Optional[tuple[float, float]]) -> bool:
    """Whether there is no doubt about the sensor: the user names it, or all band names and the pixel size do.

    A pixel size alone is a hint: rasters of other origin are brought onto grids of 10 and 30 m too.
    """
    if sensor is not Sensor.AUTO:
        return True
    is_named = bool(band_names) and all(sentinel_2_band(name) for name in band_names)
    return is_named and recognise(band_names, pixel_size_m) is Sensor.SENTINEL_2


def sentinel_2_band(name: str) -> Optional[str]:
    """Return the band that ``name`` speaks of in the form B02 or B8A, or None."""
    found = _SENTINEL_2_BAND.search(name)
    if not found:
        return None
    number = found.group(1).upper()
    return "B8A" if number.endswith("8A") else f"B{int(number):02d}"


def mtf_at_nyquist(
    sensor: Sensor,
    band_names: Sequence[str],
    pixel_size_m: Optional[tuple[float, float]],
    custom_mtf: Optional[float],
) -> tuple[float, ...]:
    """Return each band's MTF at Nyquist, in (0, 1)."""
    if sensor is Sensor.CUSTOM and custom_mtf is not None:
        return (custom_mtf,) * len(band_names)
    if sensor is Sensor.AUTO:
        sensor = recognise(band_names, pixel_size_m) or Sensor.AUTO
    if sensor is Sensor.LANDSAT:
        return (LANDSAT_MTF,) * len(band_names)
    if sensor is Sensor.SENTINEL_2:
        return tuple(SENTINEL_2_MTF.get(sentinel_2_band(name) or "", UNKNOWN_SENSOR_MTF) for name in band_names)
    return (UNKNOWN_SENSOR_MTF,) * len(band_names)


def _is_near(size_m: Optional[float], sizes_m: Sequence[float]) -> bool:
    return size_m is not None and any(abs(size_m / wanted - 1.0) < PIXEL_SIZE_TOLERANCE for wanted in sizes_m)
