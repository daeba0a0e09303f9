"""Every bad request has its own sentence, before any work starts; a good one becomes a plan of plain values."""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsPalettedRasterRenderer,
    QgsProcessingUtils,
    QgsRasterLayer,
    QgsRasterRange,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsVectorLayer,
)

from headland.bridge import destination
from headland.bridge.prepare import CannotEnhance, EngineMissing, EnhancePlan, prepare
from headland.bridge.request import EnhanceRequest
from headland.engine.grid import Window
from headland.engine.job import Method, Sensor
from headland.engine.model_file import SHIPPED_MODEL
from headland.tests.support.fixtures import MakeLayer, MakeRaster
from headland.tests.support.rasters import CUSTOM_CRS, ORIGIN, fields

UTM = QgsCoordinateReferenceSystem("EPSG:32618")
X, Y = ORIGIN

pytestmark = pytest.mark.usefixtures("fake_engine")


def plan_of(layer: Any, **wishes: Any) -> EnhancePlan:
    return prepare(EnhanceRequest(layer, **wishes), QgsCoordinateTransformContext())


def sentence(layer: Any, **wishes: Any) -> str:
    with pytest.raises(CannotEnhance) as refusal:
        plan_of(layer, **wishes)
    text = str(refusal.value)
    assert text.endswith(".")
    assert text.count(". ") == 0, "one sentence"
    return text


def extent(x_min: float, y_min: float, x_max: float, y_max: float, crs: Any = UTM) -> QgsReferencedRectangle:
    return QgsReferencedRectangle(QgsRectangle(x_min, y_min, x_max, y_max), crs)


def test_a_plan_holds_plain_values_only(make_layer: MakeLayer, folder: Path) -> None:
    layer = make_layer(bands=2, names=["B03", "B08"])
    plan = plan_of(layer, output=folder / "out.tif")
    assert pickle.loads(pickle.dumps(plan)) == plan
    assert plan.job.band_names == ("B03", "B08")
    assert plan.job.pixel_size_m == pytest.approx((10.0, 10.0), rel=1e-3)
    assert (plan.output, plan.report) == (folder / "out.tif", folder / "out.report.json")
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.output = folder  # type: ignore[misc]


def test_without_an_output_a_temporary_file_is_chosen(make_layer: MakeLayer) -> None:
    plan = plan_of(make_layer())
    assert plan.output.suffix == ".tif"
    assert plan.output.parent.is_dir()


def test_no_layer() -> None:
    assert "choose a raster layer" in sentence(None)


def test_a_vector_layer() -> None:
    assert "“Parcels” is not a raster layer" in sentence(QgsVectorLayer("Polygon", "Parcels", "memory"))


def test_a_layer_whose_file_never_was_there() -> None:
    assert "cannot be read" in sentence(QgsRasterLayer("/no/such.tif", "Gone"))


def test_a_layer_whose_file_went_away(make_layer: MakeLayer) -> None:
    layer = make_layer()
    Path(layer.source()).unlink()
    assert "cannot be opened (No such file or directory)" in sentence(layer)


def test_a_layer_that_is_neither_a_file_nor_of_a_map_server(
    monkeypatch: pytest.MonkeyPatch, make_layer: MakeLayer
) -> None:
    monkeypatch.setattr(QgsRasterLayer, "providerType", lambda _layer: "wcs")
    assert "neither from a raster file nor from a WMS, WMTS or XYZ server" in sentence(make_layer())


def test_a_paletted_raster(make_layer: MakeLayer) -> None:
    assert "is paletted" in sentence(make_layer(dtype="uint8", palette=True))


def test_a_raster_that_is_shown_as_classes(make_layer: MakeLayer) -> None:
    layer = make_layer()
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, []))
    assert "is paletted" in sentence(layer)


def test_a_rotated_raster(make_layer: MakeLayer) -> None:
    assert "rotated" in sentence(make_layer(geotransform=(X, 9.0, 2.0, Y, 2.0, -9.0)))


def test_a_raster_that_is_placed_by_ground_control_points(make_raster: MakeRaster) -> None:
    path = make_raster(geotransform=None, crs="")
    dataset = gdal.Open(str(path), gdal.GA_Update)
    corners = [(0, 0), (40, 0), (0, 32), (40, 32)]
    dataset.SetGCPs([gdal.GCP(X + 9 * p + lp, Y - 9 * lp, 0, p, lp) for p, lp in corners], UTM.toWkt())
    dataset = None
    assert "rectified" in sentence(QgsRasterLayer(str(path), "Scan"))


def test_complex_numbers(make_layer: MakeLayer) -> None:
    assert "complex" in sentence(make_layer(np.ones((1, 20, 20), np.complex64)))


@pytest.mark.parametrize(("width", "height"), [(15, 40), (40, 15)])
def test_a_raster_smaller_than_16_pixels(make_layer: MakeLayer, width: int, height: int) -> None:
    text = sentence(make_layer(width_px=width, height_px=height))
    assert f"“Fields 2024” has only {width} × {height} pixels" in text
    assert "16 × 16" in text


def test_an_extent_smaller_than_16_pixels(make_layer: MakeLayer) -> None:
    assert "holds only 10 × 20" in sentence(make_layer(), extent=extent(X, Y - 200, X + 100, Y))


def test_an_extent_that_does_not_touch_the_layer(make_layer: MakeLayer) -> None:
    assert "does not touch “Fields 2024”" in sentence(make_layer(), extent=extent(0, 0, 1000, 1000))


def test_an_empty_extent(make_layer: MakeLayer) -> None:
    assert "The extent is empty" in sentence(make_layer(), extent=extent(X, Y, X, Y))


@pytest.mark.parametrize(
    ("crs", "bounds", "part"),
    [
        ("EPSG:4326", (0.0, 91.0, 10.0, 95.0), "cannot be brought into the layer’s CRS"),
        ("EPSG:3857", (1e30, 1e30, 2e30, 2e30), "does not touch “Fields 2024”"),
    ],
)
def test_an_extent_that_its_crs_does_not_reach(make_layer: MakeLayer, crs: str, bounds: Any, part: str) -> None:
    assert part in sentence(make_layer(), extent=extent(*bounds, QgsCoordinateReferenceSystem(crs)))


@pytest.mark.parametrize(("bands", "part"), [((3,), "no band 3"), ((0,), "no band 0"), ((1, 1), "more than once")])
def test_bands_that_are_not_there_or_twice(make_layer: MakeLayer, bands: tuple[int, ...], part: str) -> None:
    assert part in sentence(make_layer(bands=2), bands=bands)


def test_an_output_folder_that_does_not_exist(make_layer: MakeLayer, folder: Path) -> None:
    assert "does not exist" in sentence(make_layer(), output=folder / "nowhere" / "out.tif")


def test_a_read_only_output_folder(make_layer: MakeLayer) -> None:
    # Read-only for everybody, also for the superuser who runs tests in a container.
    assert "cannot be written to" in sentence(make_layer(), output=Path("/proc/out.tif"))


def test_a_read_only_report_folder(make_layer: MakeLayer) -> None:
    assert "cannot be written to" in sentence(make_layer(), report=Path("/proc/out.json"))


def test_a_model_of_ones_own_must_be_there_and_fit(make_layer: MakeLayer, folder: Path) -> None:
    layer, mine = make_layer(), folder / "mine.onnx"
    assert "mine.onnx is missing" in sentence(layer, model=mine)
    shutil.copy(SHIPPED_MODEL, mine)
    assert "mine.json is missing" in sentence(layer, model=mine)
    card = json.loads(SHIPPED_MODEL.with_suffix(".json").read_text(encoding="utf-8"))
    card_file = mine.with_suffix(".json")
    card_file.write_text(json.dumps({**card, "file": mine.name, "scales": [2]}), encoding="utf-8")
    assert "knows the scale factor 2, not 4" in sentence(layer, model=mine)
    assert plan_of(layer, model=mine, scale=2).job.model == str(mine)
    mine.write_bytes(b"half of it")
    assert "is damaged" in sentence(layer, model=mine, scale=2)
    assert plan_of(layer, model=mine, method=Method.DIP).job.model == str(mine), "no network of that sort is used"


def test_checking_a_request_leaves_nothing_in_the_temporary_folder(make_layer: MakeLayer) -> None:
    layer = make_layer()
    temporary = Path(QgsProcessingUtils.tempFolder())
    before = sorted(temporary.iterdir())
    first, second = plan_of(layer).output, plan_of(layer).output
    assert first.parent == second.parent == temporary
    assert first != second
    assert sorted(temporary.iterdir()) == before


@pytest.mark.parametrize("name", ["out.png", "out", "out.tif.gz"])
def test_an_output_that_is_no_geotiff(make_layer: MakeLayer, folder: Path, name: str) -> None:
    assert "has to end with .tif" in sentence(make_layer(), output=folder / name)


def test_an_output_that_is_a_folder(make_layer: MakeLayer, folder: Path) -> None:
    (folder / "out.tif").mkdir()
    assert "is a folder" in sentence(make_layer(), output=folder / "out.tif")


def test_an_output_that_is_the_input(make_layer: MakeLayer, folder: Path) -> None:
    layer = make_layer()
    source = Path(layer.source())
    assert "is the input itself" in sentence(layer, output=source)
    link = folder / "link.tif"
    link.symlink_to(source)
    assert "is the input itself" in sentence(layer, output=link)


def test_an_output_that_a_virtual_raster_is_made_of(make_raster: MakeRaster, folder: Path) -> None:
    path = make_raster()
    gdal.BuildVRT(str(folder / "mosaic.vrt"), [str(path)]).FlushCache()
    assert "is the input itself" in sentence(QgsRasterLayer(str(folder / "mosaic.vrt"), "Mosaic"), output=path)


def test_a_report_in_place_of_the_output(make_layer: MakeLayer, folder: Path) -> None:
    out = folder / "out.tif"
    assert "already the input or the result" in sentence(make_layer(), output=out, report=out)


@pytest.mark.parametrize("mtf", [None, 0.0, 1.0, -0.3])
def test_a_custom_sensor_without_a_usable_mtf(make_layer: MakeLayer, mtf: Any) -> None:
    assert "MTF" in sentence(make_layer(), sensor=Sensor.CUSTOM, mtf_at_nyquist=mtf)


def test_a_scale_that_is_not_offered(make_layer: MakeLayer) -> None:
    assert "2 or 4" in sentence(make_layer(), scale=3)


def test_a_whole_sentinel_2_tile_may_be_enhanced_by_four_if_the_disk_has_room(
    make_raster: MakeRaster, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = folder / "tile.vrt"
    gdal.Translate(str(large), str(make_raster(bands=4)), format="VRT", width=10980, height=10980).FlushCache()
    layer = QgsRasterLayer(str(large), "Tile")
    monkeypatch.setattr(destination.shutil, "disk_usage", lambda _path: SimpleNamespace(free=10**12))
    assert plan_of(layer).output_grid.width_px == 43920
    monkeypatch.setattr(destination.shutil, "disk_usage", lambda _path: SimpleNamespace(free=10**9))
    assert "A result of 43920 × 43920 pixels in 4 bands needs about 52.9 GB" in sentence(layer)


def test_a_gdal_that_writes_no_cloud_optimised_files(make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headland.bridge.prepare.can_cloud_optimise", lambda: False)
    text = sentence(make_layer(), is_cloud_optimised=True)
    assert "writes no cloud-optimised GeoTIFF; leave that choice off" in text


def test_a_disk_without_room(make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destination.shutil, "disk_usage", lambda _path: SimpleNamespace(free=1000))
    assert "are free" in sentence(make_layer())


@pytest.mark.parametrize("longest", [".tif.aux.xml", ".report.json"], ids=["GDAL's file", "the report"])
def test_a_file_name_that_leaves_no_room_for_what_comes_beside_it(
    make_layer: MakeLayer, folder: Path, longest: str
) -> None:
    stem = "x" * (255 - len(longest))
    assert plan_of(make_layer(), output=folder / f"{stem}.tif").output.stem == stem
    assert "too long" in sentence(make_layer(), output=folder / f"x{stem}.tif")


def test_a_report_whose_name_is_too_long(make_layer: MakeLayer, folder: Path) -> None:
    assert "too long" in sentence(make_layer(), report=folder / ("x" * 300))


def test_a_missing_engine_environment(make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADLAND_ENGINE", str(tmp_path / "no engine"))
    with pytest.raises(EngineMissing, match="not set up"):
        plan_of(make_layer())


def test_the_extent_is_snapped_outwards_to_the_pixel_grid(make_layer: MakeLayer) -> None:
    plan = plan_of(make_layer(), extent=extent(X + 23, Y - 255, X + 277, Y - 12))
    assert plan.window == Window(2, 1, 26, 25)


def test_an_extent_partly_outside_is_clipped(make_layer: MakeLayer) -> None:
    plan = plan_of(make_layer(), extent=extent(X - 1000, Y - 200, X + 200, Y + 1000))
    assert plan.window == Window(0, 0, 20, 20)


def test_an_extent_in_another_crs_is_transformed(make_layer: MakeLayer) -> None:
    layer = make_layer(width_px=200, height_px=200)
    degrees = extent(-75.641, 37.749, -75.635, 37.754, QgsCoordinateReferenceSystem("EPSG:4326"))
    window = plan_of(layer, extent=degrees).window
    assert (window.column_px, window.row_px) == (48, 54)
    assert window.width_px == pytest.approx(53, abs=3)
    assert window.height_px == pytest.approx(56, abs=3)


def test_an_extent_without_a_crs_counts_in_that_of_the_layer(make_layer: MakeLayer) -> None:
    wish = extent(X, Y - 200, X + 200, Y, QgsCoordinateReferenceSystem())
    assert plan_of(make_layer(), extent=wish).window == Window(0, 0, 20, 20)


def test_south_up_rasters_and_oblong_pixels_work(make_layer: MakeLayer) -> None:
    layer = make_layer(geotransform=(X, 20.0, 0.0, Y, 0.0, 5.0))
    plan = plan_of(layer, extent=extent(X + 40, Y + 10, X + 440, Y + 110))
    assert plan.window == Window(2, 2, 20, 20)
    assert plan.output_grid.geotransform == (X + 40, 5.0, 0.0, Y + 10, 0.0, 1.25)


def test_a_raster_without_crs_and_geotransform_works(make_layer: MakeLayer) -> None:
    layer = make_layer(crs="", geotransform=None)
    layer.setCrs(QgsCoordinateReferenceSystem())
    plan = plan_of(layer)
    assert plan.window == Window(0, 0, 40, 32)
    assert plan.grid.crs_wkt == ""
    assert plan.job.pixel_size_m is None


def test_the_crs_is_the_layers_also_where_the_file_states_another(make_layer: MakeLayer) -> None:
    layer = make_layer(crs=CUSTOM_CRS)
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32645"))
    assert "UTM zone 45N" in plan_of(layer).grid.crs_wkt


def test_the_pixel_size_is_measured_on_the_ground(make_layer: MakeLayer) -> None:
    degrees = make_layer(crs="EPSG:4326", geotransform=(10.0, 1e-4, 0.0, 60.0, 0.0, -1e-4))
    assert plan_of(degrees).job.pixel_size_m == pytest.approx((5.58, 11.14), abs=0.01)
    web_mercator = make_layer(crs="EPSG:3857", geotransform=(0.0, 10.0, 0.0, 8399737.9, 0.0, -10.0))
    assert plan_of(web_mercator).job.pixel_size_m == pytest.approx((5.0, 5.0), abs=0.05)


def test_alpha_bands_are_left_out_unless_they_are_chosen(make_layer: MakeLayer) -> None:
    colours = [gdal.GCI_RedBand, gdal.GCI_GreenBand, gdal.GCI_BlueBand, gdal.GCI_AlphaBand]
    layer = make_layer(fields(4, 32, 40, "uint8"), colours=colours)
    assert [band.number for band in plan_of(layer).bands] == [1, 2, 3]
    assert [band.number for band in plan_of(layer, bands=(4, 1)).bands] == [4, 1]


def test_an_existing_output_may_be_replaced_even_if_it_is_on_the_map(make_layer: MakeLayer, folder: Path) -> None:
    other = make_layer()
    assert plan_of(make_layer(), output=Path(other.source())).output == Path(other.source())


def test_what_the_user_declared_invalid_in_qgis_is_excluded(make_layer: MakeLayer) -> None:
    layer = make_layer(scale=0.5, offset=10.0)
    layer.dataProvider().setUserNoDataValue(1, [QgsRasterRange(10.0, 10.0), QgsRasterRange(100.0, 200.0)])
    zero, range_ = plan_of(layer).bands[0].excluded
    assert (zero.first, zero.last) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert (range_.first, range_.last) == pytest.approx((180.0, 380.0))


def is_invalid(layer: QgsRasterLayer, *numbers: float) -> list[bool]:
    (values,) = plan_of(layer).bands[0].excluded
    return values.holds(np.array(numbers)).tolist()


@pytest.mark.parametrize("scale", [0.1, -0.1])
def test_the_ends_of_what_the_user_excluded_belong_to_it_as_he_said(make_layer: MakeLayer, scale: float) -> None:
    layer = make_layer(scale=scale)
    sign = 1 if scale > 0 else -1
    for bounds, first, last in (
        (QgsRasterRange.BoundsType.IncludeMinAndMax, True, True),
        (QgsRasterRange.BoundsType.IncludeMin, True, False),
        (QgsRasterRange.BoundsType.IncludeMax, False, True),
        (QgsRasterRange.BoundsType.Exclusive, False, False),
    ):
        # 0.3 / 0.1 is less than 3.
        layer.dataProvider().setUserNoDataValue(1, [QgsRasterRange(0.3, 0.5, bounds)])
        assert is_invalid(layer, sign * 2, sign * 4, sign * 6) == [False, True, False]
        assert is_invalid(layer, sign * 5) == [last]
        if first:
            assert is_invalid(layer, sign * 3) == [True]


def test_an_open_end_of_what_the_user_excluded_is_open(make_layer: MakeLayer) -> None:
    layer = make_layer()
    nan = float("nan")
    layer.dataProvider().setUserNoDataValue(1, [QgsRasterRange(nan, 10.0)])
    assert is_invalid(layer, -1e12, 10.0, 11.0) == [True, True, False]
    layer.dataProvider().setUserNoDataValue(1, [QgsRasterRange(10.0, nan)])
    assert is_invalid(layer, 9.0, 10.0, 1e12) == [False, True, True]


@pytest.mark.parametrize("scale", [0.0, float("nan")])
def test_a_scale_that_is_none_counts_as_one(make_raster: MakeRaster, scale: float) -> None:
    layer = QgsRasterLayer(str(make_raster(scale=scale)), "Fields")
    layer.dataProvider().setUserNoDataValue(1, [QgsRasterRange(10.0, 20.0)])
    assert is_invalid(layer, 9.0, 15.0, 21.0) == [False, True, False]


def test_a_nodata_value_that_the_user_switched_off_is_none(make_layer: MakeLayer) -> None:
    layer = make_layer(bands=2, nodata=7)
    layer.dataProvider().setUseSourceNoDataValue(2, False)
    assert [band.nodata for band in plan_of(layer).bands] == [7, None]
