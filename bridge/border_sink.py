"""Writes traced borders as a GeoPackage that appears under its name only when it is whole."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

import numpy as np
from numpy.typing import NDArray
from osgeo import gdal, ogr, osr

from ..engine.border_file import BorderLines
from ..engine.grid import Grid
from .compat import close_dataset
from .gdal_errors import GdalError, gdal_failures_raised
from .raster_sink import ResultUnwritable
from .staging import StagedFile, Staging, check_free
from .words import tr

LAYER_NAME = "field_borders"
STRENGTH_FIELD = "strength"
# In metres where the size of a pixel on the ground is known, else in units of the CRS.
LENGTH_M_FIELD, LENGTH_FIELD = "length_m", "length"

_PARTIAL_NAME = "borders.gpkg"
_LINES_A_TRANSACTION = 20_000
_WKB_LINE = 2


@dataclass(frozen=True)
class BorderDescription:
    """What the file says about its lines.

    Attributes:
        grid: that of the result.
        pixel_size_m: ground size (x, y) of one of its pixels in metres, or None where it is unknown.
        title, abstract: for people.
    """

    grid: Grid
    pixel_size_m: Optional[tuple[float, float]]
    title: str
    abstract: str


class StagedBorders(StagedFile):
    """Borders; their name must be free: lines that somebody has edited are not to be lost."""

    def write(self, description: BorderDescription, lines: BorderLines, on_fraction: Callable[[float], None]) -> None:
        """Write the GeoPackage into a private folder beside its place.

        Args:
            on_fraction: told how much is done, from 0 to 1; what it raises ends the writing.

        Raises:
            ResultUnwritable: if GDAL fails.
            OSError: if the folder cannot be written to.
        """
        path, staging = self._begin()
        try:
            with gdal_failures_raised() as raise_failure:

                def tell(fraction: float) -> None:
                    raise_failure()
                    on_fraction(fraction)

                _write(staging.path / _PARTIAL_NAME, description, lines, tell)
                raise_failure()
        except GdalError as error:
            raise ResultUnwritable(
                tr(
                    "The borders cannot be written to {folder} ({error}); see that there is room on the disk, or "
                    "choose another folder."
                ).format(folder=path.parent, error=error)
            ) from error

    def _move_to(self, path: Path, staging: Staging) -> None:
        check_free(path)
        staging.move(staging.path / _PARTIAL_NAME, path)


def _write(
    path: Path, description: BorderDescription, lines: BorderLines, on_fraction: Callable[[float], None]
) -> None:
    dataset = gdal.GetDriverByName("GPKG").Create(str(path), 0, 0, 0, gdal.GDT_Unknown)
    try:
        _fill(dataset, description, lines, on_fraction)
    finally:
        close_dataset(dataset)
    # GDAL before 3.8 closes it only now.
    del dataset
    on_fraction(1.0)


def _fill(
    dataset: gdal.Dataset, description: BorderDescription, lines: BorderLines, on_fraction: Callable[[float], None]
) -> None:
    """Write the lines."""
    length_field = LENGTH_FIELD if description.pixel_size_m is None else LENGTH_M_FIELD
    unit = description.grid.pixel_size if description.pixel_size_m is None else description.pixel_size_m
    layer = _create_layer(dataset, description)
    # An error keeps this frame alive, and what refers to a layer must not outlive its dataset.
    try:
        for name in (STRENGTH_FIELD, length_field):
            layer.CreateField(ogr.FieldDefn(name, ogr.OFTReal))
        for first in range(0, len(lines), _LINES_A_TRANSACTION):
            on_fraction(first / len(lines))
            dataset.StartTransaction()
            for number in range(first, min(first + _LINES_A_TRANSACTION, len(lines))):
                points = lines.line(number)
                values = {STRENGTH_FIELD: float(lines.strengths[number]), length_field: _length(points, unit)}
                _add(layer, _located(points, description.grid), values)
            dataset.CommitTransaction()
    finally:
        del layer


def _create_layer(dataset: gdal.Dataset, description: BorderDescription) -> ogr.Layer:
    options = [f"IDENTIFIER={description.title}", f"DESCRIPTION={description.abstract}"]
    # A CRS that the older WKT has no words for is kept in the newer one, but not without complaint.
    gdal.PushErrorHandler("CPLQuietErrorHandler")
    try:
        layer = dataset.CreateLayer(LAYER_NAME, _reference(description.grid), ogr.wkbLineString, options)
    finally:
        gdal.PopErrorHandler()
    if layer is None:
        raise GdalError(gdal.GetLastErrorMsg() or "the layer cannot be made")
    return layer


def _add(layer: ogr.Layer, coordinates: NDArray[np.float64], values: Mapping[str, float]) -> None:
    feature = ogr.Feature(layer.GetLayerDefn())
    try:
        feature.SetGeometry(ogr.CreateGeometryFromWkb(_wkb(coordinates)))
        for name, value in values.items():
            feature.SetField(name, value)
        layer.CreateFeature(feature)
    finally:
        # As above.
        del feature, layer


def _reference(grid: Grid) -> Optional[osr.SpatialReference]:
    if not grid.crs_wkt:
        return None
    reference = osr.SpatialReference()
    reference.ImportFromWkt(grid.crs_wkt)
    # Coordinates are (x, y), whatever order the authority has.
    reference.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    return reference


def _located(points: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """Return pixel coordinates (n, 2) as coordinates of the CRS."""
    x0, x_step, _, y0, _, y_step = grid.geotransform
    return np.array([x0, y0]) + points * np.array([x_step, y_step])


def _length(points: NDArray[np.float64], unit: tuple[float, float]) -> float:
    steps = np.diff(points, axis=0) * np.array(unit)
    return float(np.sqrt((steps**2).sum(axis=1)).sum())


def _wkb(coordinates: NDArray[np.float64]) -> bytes:
    return struct.pack("<BII", 1, _WKB_LINE, len(coordinates)) + coordinates.astype("<f8").tobytes()
