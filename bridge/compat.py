"""Differences between QGIS versions, each with the version that lets it go."""

from __future__ import annotations

from qgis.core import QgsCoordinateReferenceSystem


def gdal_wkt(crs: QgsCoordinateReferenceSystem) -> str:
    """Return the CRS as the WKT that GDAL keeps most of; "" if it is invalid.

    The enumeration moved to Qgis.CrsWktVariant in 3.36; this name goes once that is the oldest version.
    """
    return crs.toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT_PREFERRED_GDAL) if crs.isValid() else ""
