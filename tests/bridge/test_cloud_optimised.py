"""A cloud-optimised result holds what a plain one does, in another order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal

from headland.bridge import raster_sink
from headland.bridge.raster_source import RasterUri, describe
from headland.tests.support.fixtures import MakeRaster
from headland.tests.support.rasters import ODD_CRS, read_raster, read_valid
from headland.tests.support.results import Write


@pytest.mark.parametrize("what", [{"nodata": 0}, {}, {"dtype": "float32", "nodata": np.nan}, {"crs": ODD_CRS}])
def test_a_cloud_optimised_one_says_and_shows_the_same_in_another_order(
    make_raster: MakeRaster, write: Write, folder: Path, what: dict[str, Any]
) -> None:
    colours = [gdal.GCI_RedBand, gdal.GCI_GreenBand, gdal.GCI_BlueBand]
    kept = {"names": ["B04", "Grün", "B02"], "scale": 0.0001, "offset": -0.1, "unit": "reflectance"}
    source = make_raster(
        bands=3, width_px=500, height_px=400, colours=colours, metadata={"ACQUIRED": "2024"}, **kept, **what
    )
    valid = np.ones((3, 400, 500), bool)
    valid[:, 20:90, 30:200] = False
    plain = write(source, valid=valid, name="plain.tif")
    cloud = write(source, valid=valid, name="cloud.tif", is_cloud_optimised=True)
    datasets = [gdal.Open(str(path)) for path in (plain, cloud)]
    # From 3.13 on GDAL calls every file so that is laid out alike; what its own driver has written says so at its head.
    assert [b"LAYOUT=IFDS_BEFORE_DATA" in path.read_bytes()[:1024] for path in (plain, cloud)] == [False, True]
    before, after = (describe(RasterUri(str(path))) for path in (plain, cloud))
    assert repr(after.bands) == repr(before.bands), "as text, since nan is not itself"
    assert after.metadata == before.metadata
    assert after.grid == before.grid
    np.testing.assert_array_equal(read_raster(cloud), read_raster(plain))
    np.testing.assert_array_equal(read_valid(cloud), read_valid(plain))
    reduced = [dataset.GetRasterBand(2).GetOverview(0).ReadAsArray() for dataset in datasets]
    np.testing.assert_array_equal(reduced[1], reduced[0])
    assert {path.name for path in folder.iterdir()} - {source.name, f"{source.name}.aux.xml"} <= {
        *("plain.tif", "plain.tif.aux.xml", "cloud.tif", "cloud.tif.aux.xml")
    }


def test_cancelling_while_its_parts_are_put_in_order_leaves_nothing(
    make_raster: MakeRaster, write: Write, folder: Path
) -> None:
    source = make_raster(width_px=400, height_px=300)

    def stop(fraction: float) -> None:
        if fraction > 1 - raster_sink._ORDER_SHARE:
            raise KeyError("cancelled")

    with pytest.raises(KeyError):
        write(source, on_fraction=stop, is_cloud_optimised=True)
    assert list(folder.iterdir()) == [source]
