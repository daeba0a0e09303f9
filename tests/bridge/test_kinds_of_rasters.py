"""Every kind of raster that a QGIS user has goes the whole way, from a real file of that kind to the result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsCoordinateTransformContext, QgsRasterLayer

from headland.bridge.enhance import enhance
from headland.bridge.prepare import prepare
from headland.bridge.request import EnhanceRequest
from headland.engine.job import Method
from headland.tests.support.fixtures import MakeRaster
from headland.tests.support.rasters import CUSTOM_CRS, fields, read_raster

pytestmark = pytest.mark.usefixtures("fake_engine")

X, Y = 443050.0, 4179260.0
TYPES = ["uint8", "int16", "uint16", "int32", "float32", "float64"]
PLACES = {
    "projected": ("EPSG:32618", (X, 10.0, 0.0, Y, 0.0, -10.0)),
    "geographic": ("EPSG:4326", (84.1, 0.0001, 0.0, 27.7, 0.0, -0.0001)),
    "custom": (CUSTOM_CRS, (1234.5, 3.7, 0.0, 88.25, 0.0, -3.7)),
    "oblong pixels": ("EPSG:32618", (X, 10.0, 0.0, Y, 0.0, -25.0)),
    "south-up": ("EPSG:32618", (X, 10.0, 0.0, Y, 0.0, 10.0)),
}


def corners(path: Path) -> list[float]:
    """Return the outer corners: x of both, y of both."""
    dataset = gdal.Open(str(path))
    x, width, _, y, _, height = dataset.GetGeoTransform()
    return [x, x + dataset.RasterXSize * width, y, y + dataset.RasterYSize * height]


def enhanced(source: str, output: Path) -> Path:
    """Enhance all of ``source`` twice as fine; the fake engine repeats every pixel."""
    layer = QgsRasterLayer(source, "Fields 2024")
    assert layer.isValid(), source
    request = EnhanceRequest(layer, method=Method.ANCHOR, scale=2, output=output)
    return enhance(prepare(request, QgsCoordinateTransformContext()), lambda *_: None, lambda: False).plan.output


def is_twice_as_fine(result: Path, source: Path) -> None:
    values = read_raster(source)
    np.testing.assert_array_equal(read_raster(result), values.repeat(2, axis=1).repeat(2, axis=2))
    assert read_raster(result).dtype == values.dtype


@pytest.mark.parametrize("dtype", TYPES)
def test_a_geotiff_of_every_type(make_raster: MakeRaster, folder: Path, dtype: str) -> None:
    path = make_raster(bands=2, dtype=dtype)
    is_twice_as_fine(enhanced(str(path), folder / "out.tif"), path)


@pytest.mark.parametrize("place", PLACES)
def test_a_geotiff_in_every_kind_of_place(make_raster: MakeRaster, folder: Path, place: str) -> None:
    crs, geotransform = PLACES[place]
    path = make_raster(crs=crs, geotransform=geotransform)
    result = enhanced(str(path), folder / "out.tif")
    assert sorted(corners(result)) == pytest.approx(sorted(corners(path)), abs=1e-9 * abs(geotransform[1]))
    assert gdal.Open(str(result)).GetSpatialRef().IsSame(gdal.Open(str(path)).GetSpatialRef())
    if place != "south-up":
        is_twice_as_fine(result, path)


def test_two_hundred_bands(make_raster: MakeRaster, folder: Path) -> None:
    path = make_raster(bands=200, width_px=18, height_px=16)
    is_twice_as_fine(enhanced(str(path), folder / "out.tif"), path)


def test_a_virtual_raster(make_raster: MakeRaster, folder: Path) -> None:
    left = make_raster(width_px=20)
    right = make_raster(width_px=20, geotransform=(X + 200.0, 10.0, 0.0, Y, 0.0, -10.0))
    mosaic = folder / "mosaic.vrt"
    gdal.BuildVRT(str(mosaic), [str(left), str(right)]).FlushCache()
    is_twice_as_fine(enhanced(str(mosaic), folder / "out.tif"), mosaic)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_raster_in_a_geopackage(make_raster: MakeRaster, folder: Path, dtype: str) -> None:
    plain = make_raster(dtype=dtype)
    package = folder / "räster.gpkg"
    gdal.Translate(
        str(package),
        str(plain),
        format="GPKG",
        creationOptions=["RASTER_TABLE=fields", "TILE_FORMAT=PNG"]
        if dtype != "float32"
        else ["RASTER_TABLE=fields", "TILE_FORMAT=TIFF"],
    )
    result = enhanced(f"GPKG:{package}:fields", folder / "out.tif")
    values = gdal.Open(f"GPKG:{package}:fields").ReadAsArray()
    values = values if values.ndim == 3 else values[np.newaxis]
    bands = read_raster(result).shape[0]
    np.testing.assert_array_equal(read_raster(result), values[:bands].repeat(2, axis=1).repeat(2, axis=2))
    assert corners(result) == pytest.approx(corners(plain), abs=1e-6)


def test_nodata_alpha_and_mask_come_out_as_invalid_where_they_were(make_raster: MakeRaster, folder: Path) -> None:
    values = fields(4, 32, 40, "uint8")
    hidden = np.zeros((32, 40), dtype=bool)
    hidden[5:9, 10:30] = True
    values[3] = np.where(hidden, 0, 255)
    colours = [gdal.GCI_RedBand, gdal.GCI_GreenBand, gdal.GCI_BlueBand, gdal.GCI_AlphaBand]
    sources = {
        "alpha": make_raster(values, colours=colours),
        "mask": make_raster(values[:3], mask=~hidden),
        "nodata": make_raster(np.where(hidden, 0, values[:1]).astype(np.uint8), nodata=0),
        "not a number": make_raster(np.where(hidden, np.nan, values[:1]).astype(np.float32)),
    }
    expected = ~hidden.repeat(2, axis=0).repeat(2, axis=1)
    for name, source in sources.items():
        result = gdal.Open(str(enhanced(str(source), folder / f"{name}.tif")))
        band = result.GetRasterBand(1)
        valid = (band.GetMaskBand().ReadAsArray() > 0) & ~np.isnan(band.ReadAsArray().astype(float))
        np.testing.assert_array_equal(valid, expected, err_msg=name)
