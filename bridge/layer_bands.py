"""Which bands of a layer are enhanced, and what the user said of them in QGIS."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from osgeo import gdal
from qgis.core import QgsRasterLayer, QgsRasterRange

from .plan import CannotEnhance
from .raster_source import BandInfo, ExcludedRange
from .words import tr


def chosen_bands(name: str, present: tuple[BandInfo, ...], wished: tuple[int, ...]) -> tuple[BandInfo, ...]:
    """Return the bands to enhance, in the order wished for; all with measured values if none is.

    Args:
        name: the layer's.

    Raises:
        CannotEnhance: if one is not there, is wished for twice, or holds what cannot be enhanced.
    """
    count = len(present)
    for number in wished:
        if not 1 <= number <= count:
            raise CannotEnhance(
                tr("“{name}” has no band {number}; choose from its bands 1 to {count}.").format(
                    name=name, number=number, count=count
                )
            )
    if len(set(wished)) != len(wished):
        raise CannotEnhance(tr("A band is chosen more than once; choose each band once."))
    if wished:
        bands = tuple(present[number - 1] for number in wished)
    else:
        bands = tuple(band for band in present if not band.is_alpha)
    if not bands:
        raise CannotEnhance(tr("“{name}” has no band with measured values; choose another layer.").format(name=name))
    for band in bands:
        if band.is_paletted:
            raise paletted(name)
        if not _has_usable_type(band):
            raise CannotEnhance(
                tr(
                    "Band {number} of “{name}” holds values of a kind that cannot be enhanced (complex, "
                    "or signed bytes in this GDAL version); convert it to integers or floats first "
                    "(Raster, Conversion, Translate)."
                ).format(number=band.number, name=name)
            )
    return bands


def as_qgis_shows_it(band: BandInfo, layer: QgsRasterLayer) -> BandInfo:
    """Return the band with what the layer's properties say of nodata, where the user changed what the file says."""
    provider = layer.dataProvider()
    is_switched_off = provider.sourceHasNoDataValue(band.number) and not provider.useSourceNoDataValue(band.number)
    return replace(
        band,
        nodata=None if is_switched_off else band.nodata,
        excluded=tuple(_in_digital_numbers(wished, band) for wished in provider.userNoDataValues(band.number)),
    )


def _in_digital_numbers(values: QgsRasterRange, band: BandInfo) -> ExcludedRange:
    """Return a range of values, as QGIS shows them, as one of digital numbers."""
    # Some files say 0 where they mean none.
    scale = band.scale if band.scale and math.isfinite(band.scale) else 1.0
    offset = band.offset if band.offset and math.isfinite(band.offset) else 0.0
    both = QgsRasterRange.BoundsType.IncludeMinAndMax
    has_first = values.bounds() in (both, QgsRasterRange.BoundsType.IncludeMin)
    has_last = values.bounds() in (both, QgsRasterRange.BoundsType.IncludeMax)
    # Rounding must not lose the end itself; QGIS is as generous.
    slack = 4 * np.finfo(np.float64).eps
    # An end that is no number is open.
    first = -math.inf if math.isnan(values.min()) else values.min()
    last = math.inf if math.isnan(values.max()) else values.max()
    first, last = (
        (end - offset + sign * slack * max(1.0, abs(end), abs(offset))) / scale if math.isfinite(end) else end / scale
        for end, sign in ((first, -int(has_first)), (last, int(has_last)))
    )
    if scale < 0:
        return ExcludedRange(last, first, has_last, has_first)
    return ExcludedRange(first, last, has_first, has_last)


def _has_usable_type(band: BandInfo) -> bool:
    if band.dtype == "int8":
        # GDT_Int8 came with GDAL 3.7.
        return hasattr(gdal, "GDT_Int8")
    return bool(band.dtype) and np.dtype(band.dtype).kind in "iuf"


def paletted(name: str) -> CannotEnhance:
    """Return what to say of a layer whose numbers stand for something else."""
    return CannotEnhance(
        tr(
            "“{name}” is paletted: its numbers stand for classes or colours and cannot be "
            "sharpened; choose a layer with measured values."
        ).format(name=name)
    )
