"""Rasters for tests, made to measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray
from osgeo import gdal, gdal_array, osr

CUSTOM_CRS = (
    "+proj=tmerc +lat_0=12.3 +lon_0=84.1 +k=0.9999 +x_0=1234 +y_0=77 +a=6377276.345 +rf=300.8017 "
    "+towgs84=295,736,257,0,0,0,0 +units=m"
)
# GeoTIFF has no keys for this one.
ODD_CRS = "+proj=ob_tran +o_proj=longlat +o_lon_p=-162 +o_lat_p=39.25 +lon_0=180 +to_meter=0.0174532925199433"
ORIGIN = (443050.0, 4179260.0)


def fields(bands: int, height_px: int, width_px: int, dtype: str = "uint16") -> NDArray[Any]:
    """Return (band, row, column): rectangular fields with noise, well inside the type's range."""
    random = np.random.default_rng(1)
    levels = random.uniform(0.2, 0.7, (bands, height_px // 12 + 1, width_px // 16 + 1))
    image = levels.repeat(12, axis=1).repeat(16, axis=2)[:, :height_px, :width_px]
    image = image + random.normal(0.0, 0.01, image.shape)
    if np.dtype(dtype).kind == "f":
        return image.astype(dtype)
    return np.round(image * min(np.iinfo(dtype).max, 10_000)).astype(dtype)


def write_raster(
    path: Path,
    values: Optional[NDArray[Any]] = None,
    *,
    bands: int = 1,
    width_px: int = 40,
    height_px: int = 32,
    dtype: str = "uint16",
    crs: str = "EPSG:32618",
    geotransform: Optional[Sequence[float]] = (*ORIGIN[:1], 10.0, 0.0, *ORIGIN[1:], 0.0, -10.0),
    nodata: Optional[float] = None,
    names: Sequence[str] = (),
    colours: Sequence[int] = (),
    scale: Optional[float] = None,
    offset: Optional[float] = None,
    unit: str = "",
    mask: Optional[NDArray[Any]] = None,
    palette: bool = False,
    metadata: Optional[Mapping[str, str]] = None,
    band_metadata: Optional[Mapping[str, str]] = None,
) -> Path:
    """Write a GeoTIFF and return its path. ``values`` is (band, row, column); without it there are fields."""
    if values is None:
        values = fields(bands, height_px, width_px, dtype)
    bands, height_px, width_px = values.shape
    code = gdal_array.NumericTypeCodeToGDALTypeCode(values.dtype)
    options = ["PHOTOMETRIC=MINISBLACK", "ALPHA=NO"]
    gdal.SetThreadLocalConfigOption("GDAL_TIFF_INTERNAL_MASK", "YES")
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), width_px, height_px, bands, code, options)
    _locate(dataset, crs, geotransform)
    if metadata:
        dataset.SetMetadata(dict(metadata))
    for index in range(bands):
        band = dataset.GetRasterBand(index + 1)
        band.SetDescription(names[index] if names else "")
        _describe(band, {"Scale": scale, "Offset": offset, "UnitType": unit, "Metadata": band_metadata})
        if colours:
            band.SetColorInterpretation(colours[index])
    if palette:
        table = gdal.ColorTable()
        table.SetColorEntry(1, (0, 120, 0))
        dataset.GetRasterBand(1).SetColorTable(table)
    if nodata is not None:
        dataset.GetRasterBand(1).SetNoDataValue(nodata)
    dataset.WriteArray(values)
    if mask is not None:
        dataset.CreateMaskBand(gdal.GMF_PER_DATASET)
        dataset.GetRasterBand(1).GetMaskBand().WriteArray(mask.astype(np.uint8) * 255)
    dataset.FlushCache()
    return path


def _locate(dataset: gdal.Dataset, crs: str, geotransform: Optional[Sequence[float]]) -> None:
    if crs:
        reference = osr.SpatialReference()
        reference.SetFromUserInput(crs)
        dataset.SetSpatialRef(reference)
    if geotransform:
        dataset.SetGeoTransform(tuple(geotransform))


def _describe(band: gdal.Band, properties: Mapping[str, Any]) -> None:
    for name, value in properties.items():
        if value not in (None, ""):
            getattr(band, f"Set{name}")(value)


def read_raster(path: Path) -> NDArray[Any]:
    """Return the raster's digital numbers, (band, row, column)."""
    values = gdal.Open(str(path)).ReadAsArray()
    return values if values.ndim == 3 else values[np.newaxis]


def read_valid(path: Path) -> NDArray[np.bool_]:
    """Return where the raster is valid, (band, row, column), as nodata value or mask say."""
    dataset = gdal.Open(str(path))
    bands = range(1, dataset.RasterCount + 1)
    return np.stack([dataset.GetRasterBand(band).GetMaskBand().ReadAsArray() > 0 for band in bands])


def read_nodata(path: Path) -> list[Optional[float]]:
    """Return the nodata value of each band."""
    dataset = gdal.Open(str(path))
    return [dataset.GetRasterBand(band).GetNoDataValue() for band in range(1, dataset.RasterCount + 1)]
