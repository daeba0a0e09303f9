"""Differences between versions of QGIS and its GDAL, each with the version that lets it go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from osgeo import gdal
from qgis.core import Qgis, QgsCoordinateReferenceSystem, QgsSymbolLayer

FIRST_WITH_WIDENED_TILES = 34007
# Odd; a tile's pixels move by a ninth at most, and the middle of a pixel stays inside of it.
FINE_PIXELS = 9


def gdal_wkt(crs: QgsCoordinateReferenceSystem) -> str:
    """Return the CRS as the WKT that GDAL keeps most of; "" if it is invalid.

    The enumeration moved to Qgis.CrsWktVariant in 3.36; this name goes once that is the oldest version.
    """
    return crs.toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT_PREFERRED_GDAL) if crs.isValid() else ""


@contextmanager
def gdal_option(name: str, value: str) -> Iterator[None]:
    """Set one of GDAL's configuration options for a while, in this thread only where that is possible.

    GDAL 3.6 is known to have it for threads; the other way goes once that is the oldest one with QGIS.
    """
    if hasattr(gdal, "SetThreadLocalConfigOption"):
        set_option, before = gdal.SetThreadLocalConfigOption, None
    else:
        set_option, before = gdal.SetConfigOption, gdal.GetConfigOption(name)
    set_option(name, value)
    try:
        yield
    finally:
        set_option(name, before)


def close_dataset(dataset: gdal.Dataset) -> None:
    """Close a dataset, so that its files are free also where somebody still refers to it.

    GDAL before 3.8 closes it when the last reference goes; from then on this is ``dataset.Close()``.
    """
    if hasattr(dataset, "Close"):
        dataset.Close()


def stroke_width_property() -> QgsSymbolLayer.Property:
    """Return the property of a symbol layer that is the width of its line.

    It is called StrokeWidth since 3.38; the other name goes once that is the oldest version.
    """
    try:
        return QgsSymbolLayer.Property.StrokeWidth
    except AttributeError:
        return QgsSymbolLayer.Property.PropertyStrokeWidth


def fine_pixels_of_tiles() -> int:
    """Return how many pixels a side QGIS is to draw for one of a layer of tiles; the middle one of them is right.

    Since 3.40.7 it draws tiles up to a pixel wider than they are, so that no gap is seen on the map: their pixels
    lie up to one from their place. The 1 goes once that is the oldest version.
    """
    return FINE_PIXELS if Qgis.QGIS_VERSION_INT >= FIRST_WITH_WIDENED_TILES else 1
