"""Writes traced borders as a GeoPackage."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

import numpy as np
from numpy.typing import NDArray
from osgeo import gdal, ogr

from ..engine.border_file import BorderLines
from ..engine.grid import Grid
from .gdal_errors import GdalError
from .geopackage import LayerDescription, OnFraction, StagedGeopackage, create_layer
from .raster_sink import ResultUnwritable
from .words import tr

LAYER_NAME = "field_borders"
STRENGTH_FIELD = "strength"
# In metres where the size of a pixel on the ground is known, else in units of the CRS.
LENGTH_M_FIELD, LENGTH_FIELD = "length_m", "length"

_LINES_A_TRANSACTION = 20_000
_WKB_LINE = 2


@dataclass(frozen=True)
class BorderDescription(LayerDescription):
    """What the file says about its lines.

    Attributes:
        grid: that of the result.
        pixel_size_m: ground size (x, y) of one of its pixels in metres, or None where it is unknown.
    """

    pixel_size_m: Optional[tuple[float, float]] = None


class StagedBorders(StagedGeopackage):
    """Borders."""

    def write(self, description: BorderDescription, lines: BorderLines, on_fraction: OnFraction) -> None:
        """Write the GeoPackage into a private folder beside its place.

        Args:
            on_fraction: told how much is done, from 0 to 1; what it raises ends the writing.

        Raises:
            ResultUnwritable: if GDAL fails.
            OSError: if the folder cannot be written to.
        """
        try:
            self._make(lambda dataset, tell: _fill(dataset, description, lines, tell), on_fraction)
        except GdalError as error:
            raise ResultUnwritable(
                tr(
                    "The borders cannot be written to {folder} ({error}); see that there is room on the disk, or "
                    "choose another folder."
                ).format(folder=self.folder, error=error)
            ) from error


def _fill(dataset: gdal.Dataset, description: BorderDescription, lines: BorderLines, on_fraction: OnFraction) -> None:
    """Write the lines."""
    length_field = LENGTH_FIELD if description.pixel_size_m is None else LENGTH_M_FIELD
    unit = description.grid.pixel_size if description.pixel_size_m is None else description.pixel_size_m
    layer = create_layer(dataset, LAYER_NAME, ogr.wkbLineString, description)
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


def _located(points: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """Return pixel coordinates (n, 2) as coordinates of the CRS."""
    x0, x_step, _, y0, _, y_step = grid.geotransform
    return np.array([x0, y0]) + points * np.array([x_step, y_step])


def _length(points: NDArray[np.float64], unit: tuple[float, float]) -> float:
    steps = np.diff(points, axis=0) * np.array(unit)
    return float(np.sqrt((steps**2).sum(axis=1)).sum())


def _wkb(coordinates: NDArray[np.float64]) -> bytes:
    return struct.pack("<BII", 1, _WKB_LINE, len(coordinates)) + coordinates.astype("<f8").tobytes()
