"""Writes the result as a GeoTIFF that appears under its name only when it is whole."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
from numpy.typing import NDArray
from osgeo import gdal, gdal_array

from ..engine.array_file import ArrayFile
from ..engine.grid import Grid
from .block_cache import small_block_cache
from .cloud_optimised import cloud_optimise
from .compat import close_dataset, gdal_option
from .gdal_errors import GdalError, gdal_failures_raised
from .gdal_progress import gdal_progress
from .nodata import Marking, choose_marking
from .raster_source import BandInfo, Metadata, Number, common_dtype
from .result_arrays import TILE_PX, ResultArrays
from .rounding import keep_off_nodata, to_dtype
from .staging import StagedFile, Staging, check_free
from .words import tr

# Columns that are rounded at a time: whole tiles.
PIECE_PX = 16 * TILE_PX
# Overviews take this share of the time that writing takes, for the progress bar.
_OVERVIEW_SHARE = 0.3
# And this share goes to writing it again in another order, where that is wished for.
_ORDER_SHARE = 0.4
_PARTIAL_NAME = "result.tif"
# Files that GDAL reads beside a raster and that would speak of the one that was replaced.
_SIDECARS = (".aux.xml", ".ovr", ".msk")


class ResultUnwritable(RuntimeError):
    """The result cannot be written; the text is one sentence for people."""


@dataclass(frozen=True)
class ResultDescription:
    """What the result file says about its pixels.

    Attributes:
        grid: that of the result, already refined.
        bands: as the source describes them, in the order of the arrays.
        metadata: of the whole raster, by domain.
        notes: items of our own: software, method.
        is_cloud_optimised: whether the file's parts are to lie in the order of a cloud-optimised GeoTIFF.
    """

    grid: Grid
    bands: tuple[BandInfo, ...]
    metadata: Metadata
    notes: Mapping[str, str]
    is_cloud_optimised: bool = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """The one data type of all bands: GeoTIFF knows no other way."""
        return common_dtype(self.bands)


class StagedGeotiff(StagedFile):
    """A GeoTIFF; a file of its name is replaced, with what spoke of it, if it may be."""

    def __init__(self, path: Optional[Path], *, may_replace: bool = True) -> None:
        super().__init__(path)
        self._may_replace = may_replace

    def write(
        self,
        description: ResultDescription,
        pixels: ArrayFile,
        valid: ArrayFile,
        on_fraction: Callable[[float], None],
    ) -> None:
        """Write the raster into a private folder beside its place.

        Args:
            pixels: (band, row, column), digital numbers, not rounded.
            valid: (band, row / scale, column / scale), True = valid, of the input. Pixels below an invalid one
                become nodata, or a mask inside the file says where they are; see :mod:`.nodata`.
            on_fraction: told how much is done, from 0 to 1; what it raises ends the writing.

        Raises:
            ResultUnwritable: if GDAL fails or the engine's numbers are none.
            OSError: if the folder cannot be written to.
        """
        path, staging = self._begin()
        partial = staging.path / _PARTIAL_NAME
        # A mask belongs into the TIFF; a CRS that has no place there goes beside it, also where that is switched off.
        inside = gdal_option("GDAL_TIFF_INTERNAL_MASK", "YES")
        beside = gdal_option("GDAL_PAM_ENABLED", "YES")
        try:
            with gdal_failures_raised() as raise_failure, small_block_cache(), inside, beside:

                def tell(fraction: float) -> None:
                    raise_failure()
                    on_fraction(fraction)

                _write(partial, description, pixels, valid, tell)
                raise_failure()
                _check(partial, description)
        except GdalError as error:
            raise ResultUnwritable(
                tr(
                    "The result cannot be written to {folder} ({error}); see that there is room on the disk, or choose "
                    "another folder."
                ).format(folder=path.parent, error=error)
            ) from error

    def _move_to(self, path: Path, staging: Staging) -> None:
        if not self._may_replace:
            check_free(path)
        partial = staging.path / _PARTIAL_NAME
        with staging.all_or_nothing():
            for ending in _SIDECARS:
                target = path.with_name(path.name + ending)
                staging.set_aside(target)
                # GDAL puts a CRS there that GeoTIFF has no keys for.
                sidecar = partial.with_name(partial.name + ending)
                if sidecar.exists():
                    staging.move(sidecar, target)
            if os.path.lexists(path):
                # Last of all, because it cannot be undone.
                partial.replace(path)
            else:
                staging.move(partial, path)


def _write(
    path: Path,
    description: ResultDescription,
    pixels: ArrayFile,
    valid: ArrayFile,
    on_fraction: Callable[[float], None],
) -> None:
    arrays = ResultArrays(pixels, valid)
    marking = choose_marking(description.bands, description.dtype, arrays)
    dataset = _create(path, description, marking)
    whole = 1 - _ORDER_SHARE if description.is_cloud_optimised else 1.0
    filled = whole * (1 - _OVERVIEW_SHARE)
    try:
        _fill(dataset, description.dtype, marking, arrays, lambda done: on_fraction(filled * done))
        dataset.FlushCache()
        _build_overviews(dataset, description.grid, lambda done: on_fraction(filled + (whole - filled) * done))
        dataset.FlushCache()
    finally:
        close_dataset(dataset)
    # GDAL before 3.8 closes it only now.
    del dataset
    if description.is_cloud_optimised:
        cloud_optimise(path, lambda done: on_fraction(whole + (1 - whole) * done))
    on_fraction(1.0)


def _fill(
    dataset: gdal.Dataset,
    dtype: np.dtype[Any],
    marking: Marking,
    arrays: ResultArrays,
    on_fraction: Callable[[float], None],
) -> None:
    """Write the pixels and, if there is to be one, the mask."""
    if marking.has_mask:
        dataset.CreateMaskBand(gdal.GMF_PER_DATASET)
    for strip in arrays.strips:
        first_row = arrays.first_row(strip)
        for index in range(arrays.bands):
            values, valid = arrays.read(index, strip)
            # Rounding takes several times the room of the values, so a long strip is finished in pieces.
            for column in range(0, values.shape[1], PIECE_PX):
                piece = (slice(None), slice(column, column + PIECE_PX))
                finished = _finish(values[piece], valid[piece], dtype, marking.nodata)
                dataset.GetRasterBand(index + 1).WriteArray(finished, column, first_row)
        if marking.has_mask:
            # It is that of every band.
            mask = valid.astype(np.uint8) * 255
            dataset.GetRasterBand(1).GetMaskBand().WriteArray(mask, 0, first_row)
        on_fraction((strip.top + strip.rows) / arrays.height_px)


def _build_overviews(dataset: gdal.Dataset, grid: Grid, on_fraction: Callable[[float], None]) -> None:
    factors = _overview_factors(grid)
    if not factors:
        return
    with gdal_progress(on_fraction) as callback:
        dataset.BuildOverviews("AVERAGE", factors, callback)


def _finish(
    values: NDArray[np.floating[Any]], valid: NDArray[np.bool_], dtype: np.dtype[Any], nodata: Optional[Number]
) -> NDArray[Any]:
    """Return one band's strip, (row, column), as it is stored."""
    if not np.isfinite(values[valid]).all():
        raise ResultUnwritable(
            tr("The engine returned pixels that are no numbers; try another method, and please report this.")
        )
    values = np.where(valid, values, 0)
    finished = keep_off_nodata(to_dtype(values, dtype), values, nodata)
    if nodata is None:
        nodata = np.nan if dtype.kind == "f" else 0
    finished[~valid] = dtype.type(nodata)
    return finished


def _create(path: Path, description: ResultDescription, marking: Marking) -> gdal.Dataset:
    grid, dtype = description.grid, description.dtype
    options = [
        "COMPRESS=DEFLATE",
        "TILED=YES",
        f"BLOCKXSIZE={TILE_PX}",
        f"BLOCKYSIZE={TILE_PX}",
        "INTERLEAVE=BAND",
        "BIGTIFF=IF_SAFER",
        f"PREDICTOR={3 if dtype.kind == 'f' else 2}",
        *_colour_options(description.bands),
    ]
    data_type = gdal_array.NumericTypeCodeToGDALTypeCode(dtype)
    driver = gdal.GetDriverByName("GTiff")
    dataset = driver.Create(str(path), grid.width_px, grid.height_px, len(description.bands), data_type, options)
    if grid.crs_wkt:
        dataset.SetProjection(grid.crs_wkt)
    dataset.SetGeoTransform(grid.geotransform)
    for domain, items in description.metadata:
        dataset.SetMetadata(dict(items), domain)
    for name, value in {"AREA_OR_POINT": "Area", **description.notes}.items():
        dataset.SetMetadataItem(name, value)
    for index, info in enumerate(description.bands, start=1):
        _describe_band(dataset.GetRasterBand(index), info)
    if marking.nodata is not None:
        dataset.GetRasterBand(1).SetNoDataValue(marking.nodata)
    return dataset


def _describe_band(band: gdal.Band, info: BandInfo) -> None:
    band.SetDescription(info.name)
    band.SetColorInterpretation(info.colour)
    if info.scale is not None:
        band.SetScale(info.scale)
    if info.offset is not None:
        band.SetOffset(info.offset)
    if info.unit:
        band.SetUnitType(info.unit)
    for domain, items in info.metadata:
        band.SetMetadata(dict(items), domain)


def _colour_options(bands: tuple[BandInfo, ...]) -> tuple[str, ...]:
    """Return what makes the file say the bands' colours by itself: later GDAL would put them into another file."""
    rgb = (gdal.GCI_RedBand, gdal.GCI_GreenBand, gdal.GCI_BlueBand)
    if tuple(band.colour for band in bands[:3]) == rgb:
        return ("PHOTOMETRIC=RGB", "ALPHA=YES" if len(bands) > 3 and bands[3].is_alpha else "ALPHA=NO")  # noqa: PLR2004
    return ("PHOTOMETRIC=MINISBLACK", "ALPHA=NO")


def _overview_factors(grid: Grid) -> list[int]:
    """Return 2, 4, 8 … until a whole overview fits into one tile."""
    factors = []
    factor = 2
    while max(grid.width_px, grid.height_px) * 2 > factor * TILE_PX:
        factors.append(factor)
        factor *= 2
    return factors


def _check(path: Path, description: ResultDescription) -> None:
    """Open the file again: what GDAL failed to say while it wrote shows now."""
    dataset = gdal.Open(os.fspath(path))
    if dataset is None:
        raise GdalError(gdal.GetLastErrorMsg() or "the file is not whole")
    grid = description.grid
    if (dataset.RasterXSize, dataset.RasterYSize, dataset.RasterCount) != (
        grid.width_px,
        grid.height_px,
        len(description.bands),
    ):
        raise GdalError("the file has another size than it was given")
