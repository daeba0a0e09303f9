"""Zeros where nothing was measured, in files that do not declare it, such as Sentinel-2's beside the satellite's track.

Taken for measured, they would be the darkest land there is, and their edge the steepest border, with rims beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable

import numpy as np

from ..engine.array_file import new_array, open_array
from ..engine.job import INPUT_FILE, VALID_FILE, Job, Sensor
from ..engine.sensors import is_known
from ..engine.zero_areas import find_zero_areas, make_invalid
from .raster_source import BandInfo, SourceUnreadable
from .words import tr

FEWEST_BANDS = 3
# In the job folder, until it is known which pixels are valid.
_MARKS_FILE = "zeros.npy"


@dataclass(frozen=True)
class ZeroAreas:
    """What was found in an extent, and taken as nodata.

    Attributes:
        share: of its pixels, from 0 to 1.
    """

    share: float = 0.0

    @property
    def in_report(self) -> dict[str, Any]:
        """What the report says of them."""
        return {"zero_areas": {"share": self.share}} if self.share else {}

    def declared_in(self, bands: tuple[BandInfo, ...]) -> tuple[BandInfo, ...]:
        """Return ``bands`` as they were if the source declared what was found."""
        return tuple(replace(band, nodata=0) for band in bands) if self.share else bands


def are_zeros_nodata(bands: Iterable[BandInfo], *, is_sensor_known: bool) -> bool:
    """Whether areas in which all of ``bands`` are 0 are taken as nodata.

    Whatever the source, or the user in QGIS, says of any of them holds, and nothing is guessed. Otherwise one of these
    says that 0 is what was not measured:

    - Integers of more than 8 bits, signed or not: that is how sensors' products come, and in those of Sentinel-2,
      Landsat and Planet it is so.
    - Three bands or more, or a sensor that is known: in an image a whole area without any light is most often a collar
      beside it. Where it was black water after all, the source is seen through the hole; taken for measured, a collar
      would give its edge rims.

    What is left, one or two bands of 8 bits or floats, is most often a mask, an index or an elevation, where 0 is a
    number like any other.

    Args:
        is_sensor_known: whether they are surely Sentinel-2's or Landsat's.
    """
    bands = tuple(bands)
    if any(band.declares_invalid or band.excluded for band in bands):
        return False
    dtypes = [np.dtype(band.dtype) for band in bands]
    has_long_integers = all(dtype.kind in "iu" and dtype.itemsize > 1 for dtype in dtypes)
    return has_long_integers or is_sensor_known or len(bands) >= FEWEST_BANDS


def find_undeclared_nodata(
    bands: Iterable[BandInfo], job: Job, folder: Path, on_strip: Callable[[], None]
) -> ZeroAreas:
    """Look for areas of zeros in a job's ``input.npy``; where they are nodata, make them invalid in ``valid.npy``.

    Args:
        bands: those of the arrays.
        folder: of the job.
        on_strip: called again and again meanwhile; what it raises ends the search.

    Raises:
        SourceUnreadable: if there is nothing but zeros where they may be nodata.
        OSError: if ``folder`` cannot hold what is in the making.
    """
    is_sensor_known = job.sensor is not Sensor.CUSTOM and is_known(job.sensor, job.band_names, job.pixel_size_m)
    if not are_zeros_nodata(bands, is_sensor_known=is_sensor_known):
        return ZeroAreas()
    marks_file = folder / _MARKS_FILE
    with open_array(folder / INPUT_FILE) as numbers:
        _, rows, columns = numbers.shape
        with new_array(marks_file, np.dtype(np.uint8), (1, rows, columns)) as marks:
            area_px = find_zero_areas(numbers, marks, on_strip)
            if area_px == rows * columns:
                raise SourceUnreadable(
                    tr(
                        "The extent holds nothing but 0, as files do where nothing was measured, so nothing was made "
                        "of it; choose another extent, or, if 0 was measured there, enter another value as additional "
                        "no data value (Layer Properties, Transparency)."
                    )
                )
            if area_px:
                with open_array(folder / VALID_FILE, is_to_change=True) as valid:
                    make_invalid(marks, valid)
    marks_file.unlink()
    return ZeroAreas(area_px / (rows * columns))
