"""Writes where the result is uncertain as polygons: raster styles know no hatch, and those of areas do.

An area counts where its bands may be off, on average, by more than the report's ``uncertain_from``. It is looked at in
means over pixels of the input, for the doubt is not finer, and specks are left out, so that a large extent stays a
file that QGIS draws at once; the report's ``uncertain_share`` counts pixels of the result, so the two differ a little.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from osgeo import gdal, ogr

from ..engine.array_file import ArrayFile
from ..engine.grid import Grid
from .block_cache import small_block_cache
from .compat import close_dataset
from .gdal_errors import GdalError
from .gdal_progress import gdal_progress
from .geopackage import LayerDescription, OnFraction, StagedGeopackage, create_layer
from .raster_sink import ResultUnwritable
from .result_arrays import ResultArrays, Strip
from .words import tr

LAYER_NAME = "uncertain_areas"
# Areas, and holes in them, of fewer pixels of the input are left out: a hatch cannot show them.
SMALLEST_AREA_PX = 6
_MASK_NAME = "mask.tif"
# How much of the work is done once it is known where, and once that is cleaned.
_MASKED, _CLEANED = 0.5, 0.7


class StagedUncertainAreas(StagedGeopackage):
    """Uncertain areas."""

    def write(
        self,
        description: LayerDescription,
        bounds: ArrayFile,
        valid: ArrayFile,
        uncertain_from: Sequence[float],
        on_fraction: OnFraction,
    ) -> None:
        """Write the GeoPackage into a private folder beside its place.

        Args:
            description: with the grid of the input's window.
            bounds: (band, row, column), digital numbers, what the result's error stays below.
            valid: (band, row / scale, column / scale), True = valid, of the input.
            uncertain_from: (band,), the bound from which a band counts as uncertain.
            on_fraction: told how much is done, from 0 to 1; what it raises ends the writing.

        Raises:
            ResultUnwritable: if GDAL fails.
            OSError: if the folder cannot be written to.
        """
        arrays = ResultArrays(bounds, valid)

        def fill(dataset: gdal.Dataset, tell: OnFraction) -> None:
            path = Path(dataset.GetDescription()).with_name(_MASK_NAME)
            with small_block_cache():
                mask = _create_mask(path, description.grid)
                try:
                    _draw(mask, arrays, np.asarray(uncertain_from), lambda done: tell(_MASKED * done))
                    _outline(mask, dataset, description, tell)
                finally:
                    close_dataset(mask)
                    # An error keeps this frame alive.
                    del mask, dataset

        try:
            self._make(fill, on_fraction)
        except GdalError as error:
            raise ResultUnwritable(
                tr(
                    "The uncertain areas cannot be written to {folder} ({error}); see that there is room on the disk, "
                    "or choose another folder."
                ).format(folder=self.folder, error=error)
            ) from error


def _create_mask(path: Path, grid: Grid) -> gdal.Dataset:
    mask = gdal.GetDriverByName("GTiff").Create(str(path), grid.width_px, grid.height_px, 1, gdal.GDT_Byte)
    mask.SetGeoTransform(grid.geotransform)
    return mask


def _draw(
    mask: gdal.Dataset, arrays: ResultArrays, uncertain_from: NDArray[np.float64], on_fraction: OnFraction
) -> None:
    for strip in arrays.strips:
        mask.GetRasterBand(1).WriteArray(_uncertain(arrays, strip, uncertain_from).astype(np.uint8), 0, strip.top)
        on_fraction((strip.top + strip.rows) / arrays.height_px)


def _uncertain(arrays: ResultArrays, strip: Strip, uncertain_from: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where a strip is uncertain, (row, column) in pixels of the input."""
    total, known = np.zeros(()), np.zeros((), dtype=np.int64)
    for band in range(arrays.bands):
        valid = arrays.low_res_valid(band, strip)
        total = total + np.where(valid, arrays.read_means(band, strip) / uncertain_from[band], 0.0)
        known = known + valid
    return np.asarray(total > known)


def _outline(mask: gdal.Dataset, dataset: gdal.Dataset, description: LayerDescription, on_fraction: OnFraction) -> None:
    """Turn the mask into polygons."""
    band = mask.GetRasterBand(1)
    layer = create_layer(dataset, LAYER_NAME, ogr.wkbPolygon, description)
    # As for a line.
    try:
        with gdal_progress(lambda done: on_fraction(_MASKED + (_CLEANED - _MASKED) * done)) as callback:
            gdal.SieveFilter(band, None, band, SMALLEST_AREA_PX, 4, callback=callback)
        dataset.StartTransaction()
        with gdal_progress(lambda done: on_fraction(_CLEANED + (1.0 - _CLEANED) * done)) as callback:
            # As its own mask the band keeps what is certain out.
            gdal.Polygonize(band, band, layer, -1, callback=callback)
        dataset.CommitTransaction()
    finally:
        del layer, band, mask
