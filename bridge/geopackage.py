"""Writes a GeoPackage of one layer that appears under its name only when it is whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from osgeo import gdal, ogr, osr

from ..engine.grid import Grid
from .compat import close_dataset
from .gdal_errors import GdalError, gdal_failures_raised
from .staging import StagedFile, Staging, check_free

_PARTIAL_NAME = "layer.gpkg"

OnFraction = Callable[[float], None]
Fill = Callable[[gdal.Dataset, OnFraction], None]


@dataclass(frozen=True)
class LayerDescription:
    """What the file says about its layer.

    Attributes:
        grid: whose CRS the layer has.
        title, abstract: for people.
    """

    grid: Grid
    title: str
    abstract: str


class StagedGeopackage(StagedFile):
    """A GeoPackage; its name must be free: what somebody has edited is not to be lost."""

    def _make(self, fill: Fill, on_fraction: OnFraction) -> None:
        """Make the file in a private folder beside its place.

        Args:
            fill: makes the layer in the dataset that it is given; told on, what ``on_fraction`` raises ends it.
            on_fraction: told how much is done, from 0 to 1; what it raises ends the writing.

        Raises:
            GdalError: if GDAL fails.
            OSError: if the folder cannot be written to.
        """
        _path, staging = self._begin()
        with gdal_failures_raised() as raise_failure:

            def tell(fraction: float) -> None:
                raise_failure()
                on_fraction(fraction)

            _write(staging.path / _PARTIAL_NAME, fill, tell)
            raise_failure()

    def _move_to(self, path: Path, staging: Staging) -> None:
        check_free(path)
        staging.move(staging.path / _PARTIAL_NAME, path)


def _write(path: Path, fill: Fill, on_fraction: OnFraction) -> None:
    dataset = gdal.GetDriverByName("GPKG").Create(str(path), 0, 0, 0, gdal.GDT_Unknown)
    try:
        fill(dataset, on_fraction)
    finally:
        close_dataset(dataset)
    # GDAL before 3.8 closes it only now.
    del dataset
    on_fraction(1.0)


def create_layer(dataset: gdal.Dataset, name: str, geometry: int, description: LayerDescription) -> ogr.Layer:
    """Return a new layer of ``geometry`` (ogr.wkbLineString, …); it must not outlive its dataset.

    Raises:
        GdalError: if GDAL makes none.
    """
    options = [f"IDENTIFIER={description.title}", f"DESCRIPTION={description.abstract}"]
    # A CRS that the older WKT has no words for is kept in the newer one, but not without complaint.
    gdal.PushErrorHandler("CPLQuietErrorHandler")
    try:
        layer = dataset.CreateLayer(name, reference_of(description.grid), geometry, options)
    finally:
        gdal.PopErrorHandler()
    if layer is None:
        raise GdalError(gdal.GetLastErrorMsg() or "the layer cannot be made")
    return layer


def reference_of(grid: Grid) -> Optional[osr.SpatialReference]:
    """Return the grid's CRS as OGR has it, None if there is none."""
    if not grid.crs_wkt:
        return None
    reference = osr.SpatialReference()
    reference.ImportFromWkt(grid.crs_wkt)
    # Coordinates are (x, y), whatever order the authority has.
    reference.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    return reference
