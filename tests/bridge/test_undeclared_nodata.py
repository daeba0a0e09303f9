"""Zeros where nothing was measured: nodata, said so, in all that looks like an image; numbers in what does not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsRasterLayer,
    QgsRasterRange,
    QgsReferencedRectangle,
)

from headland.bridge.doubts import doubts_in_words
from headland.bridge.enhance import EnhanceFailed, enhance
from headland.bridge.plan import EnhancePlan
from headland.bridge.prepare import prepare
from headland.bridge.provenance import history_of
from headland.bridge.quick_look import quick_look_request
from headland.bridge.request import EnhanceRequest
from headland.engine import zero_areas
from headland.engine.job import Method, Sensor
from headland.tests.support.engines import FakeEngine
from headland.tests.support.fixtures import MakeLayer, MakeRaster
from headland.tests.support.plans import MakePlan, carry_out
from headland.tests.support.rasters import fields, read_nodata, read_raster, read_valid, write_raster
from headland.tests.support.sentences import is_one_sentence
from headland.tests.support.web_plans import plan_of, tiles_extent
from headland.tests.support.web_server import WebServer

TAKEN_AS_NODATA = "Areas that are 0 in every chosen band were taken as nodata"


def beyond_the_swath(rows: int, columns: int) -> NDArray[np.bool_]:
    """Return where a satellite that flies as Sentinel-2 does has measured nothing, (row, column)."""
    down, right = np.mgrid[:rows, :columns]
    return np.asarray(right + down // 4 > columns * 0.75)


@pytest.fixture
def swath(scene: Path) -> NDArray[np.uint16]:
    """The real scene with nothing beyond the satellite's track, (band, row, column)."""
    values = read_raster(scene)[:, 100:180, 60:160].copy()
    values[:, beyond_the_swath(80, 100)] = 0
    return values


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """QGIS itself computes."""
    monkeypatch.setenv("HEADLAND_ENGINE", str(tmp_path / "none"))


def report_of(plan: EnhancePlan) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(plan.report.read_text(encoding="utf-8"))
    return report


def told_of_zeros(plan: EnhancePlan) -> list[str]:
    """Return what people are told of zeros after a run."""
    return [sentence for sentence in doubts_in_words(report_of(plan)) if "0 in every chosen band" in sentence]


def is_as_declared(plan: EnhancePlan, declared: EnhancePlan) -> None:
    np.testing.assert_array_equal(read_raster(plan.output), read_raster(declared.output))
    np.testing.assert_array_equal(read_valid(plan.output), read_valid(declared.output))
    assert read_nodata(plan.output) == read_nodata(declared.output)


@pytest.mark.parametrize("computes", ["the engine", "QGIS itself"])
def test_a_slanted_edge_gives_the_pixels_that_declared_nodata_gives(
    swath: NDArray[np.uint16],
    make_layer: MakeLayer,
    make_plan: MakePlan,
    folder: Path,
    computes: str,
    request: pytest.FixtureRequest,
) -> None:
    if computes == "QGIS itself":
        request.getfixturevalue("no_engine")
    declared = make_plan(make_layer(swath, nodata=0), output=folder / "declared.tif")
    plan = make_plan(make_layer(swath))
    assert plan.is_in_qgis == (computes == "QGIS itself")
    carry_out(declared)
    carry_out(plan)
    is_as_declared(plan, declared)
    expected = ~beyond_the_swath(80, 100).repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(read_valid(plan.output), np.broadcast_to(expected, (4, *expected.shape)))
    # No rim: what is darker or brighter at the edge than all that was measured.
    measured = swath[swath > 0]
    sharper = read_raster(plan.output)[read_valid(plan.output)]
    assert 0.5 * measured.min() < sharper.min() < sharper.max() < 1.5 * measured.max()
    assert told_of_zeros(declared) == []
    (sentence,) = told_of_zeros(plan)
    assert sentence.startswith(TAKEN_AS_NODATA)
    assert is_one_sentence(sentence)


@pytest.mark.usefixtures("no_engine")
def test_a_jpeg_2000_file_as_sentinel_2_comes_gives_them_too(
    swath: NDArray[np.uint16], make_raster: MakeRaster, make_layer: MakeLayer, make_plan: MakePlan, folder: Path
) -> None:
    file = folder / "T18SVG_20240501_10m.jp2"
    gdal.Translate(
        str(file), str(make_raster(swath)), format="JP2OpenJPEG", creationOptions=["QUALITY=100", "REVERSIBLE=YES"]
    )
    declared = make_plan(make_layer(swath, nodata=0), output=folder / "declared.tif")
    plan = make_plan(QgsRasterLayer(str(file), "Sentinel-2"))
    carry_out(declared)
    carry_out(plan)
    is_as_declared(plan, declared)


@pytest.mark.usefixtures("fake_engine")
def test_strips_make_no_difference(
    swath: NDArray[np.uint16], make_layer: MakeLayer, make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zero_areas, "STRIP_PX", 700)
    plan = make_plan(make_layer(swath))
    carry_out(plan)
    np.testing.assert_array_equal(read_valid(plan.output), (swath > 0).repeat(2, axis=1).repeat(2, axis=2))


@pytest.mark.usefixtures("fake_engine")
def test_dark_pixels_and_small_shadows_stay_data(make_layer: MakeLayer, make_plan: MakePlan) -> None:
    values = fields(4, 60, 60)
    for row, column, side in ((3, 3, 1), (3, 4, 1), (8, 40, 5), (30, 20, 7), (55, 50, 5)):
        values[:, row : row + side, column : column + side] = 0
    # One band alone may be 0 as far as it likes, as the near infrared is over water.
    values[3, :, 30:] = 0
    plan = make_plan(make_layer(values))
    carry_out(plan)
    assert read_valid(plan.output).all()
    assert read_nodata(plan.output) == [None] * 4
    np.testing.assert_array_equal(read_raster(plan.output), values.repeat(2, axis=1).repeat(2, axis=2))
    assert told_of_zeros(plan) == []
    assert "zero_areas" not in report_of(plan)


@pytest.mark.usefixtures("fake_engine")
def test_beside_nodata_dark_pixels_stay_data_one_step_off_its_value(make_layer: MakeLayer, make_plan: MakePlan) -> None:
    values = fields(3, 60, 60)
    values[:, :20] = 0
    values[:, 40, 40] = 0
    plan = make_plan(make_layer(values))
    carry_out(plan)
    is_valid = read_valid(plan.output)
    assert not is_valid[:, :40].any()
    assert is_valid[:, 40:].all()
    assert (read_raster(plan.output)[:, 80:82, 80:82] == 1).all()


KINDS = {
    "Sentinel-2 or Landsat 8": ("uint16", 4, True),
    "Landsat in signed numbers": ("int16", 3, True),
    "long integers": ("uint32", 3, True),
    "one file of Sentinel-2": ("uint16", 1, True),
    "radar in two polarisations": ("uint16", 2, True),
    "a photograph with a collar": ("uint8", 3, True),
    "reflectance in floats": ("float32", 4, True),
    "an index": ("float32", 1, False),
    "an elevation in floats": ("float64", 1, False),
    "a mask": ("uint8", 1, False),
}


@pytest.mark.usefixtures("fake_engine")
@pytest.mark.parametrize("kind", KINDS)
def test_what_zeros_are_goes_by_the_kind_of_raster(make_layer: MakeLayer, make_plan: MakePlan, kind: str) -> None:
    dtype, bands, is_told = KINDS[kind]
    values = fields(bands, 60, 60, dtype)
    values[:, :30, :30] = 0
    plan = make_plan(make_layer(values))
    carry_out(plan)
    is_valid = values != 0 if is_told else np.ones_like(values, bool)
    np.testing.assert_array_equal(read_valid(plan.output), is_valid.repeat(2, axis=1).repeat(2, axis=2))
    np.testing.assert_array_equal(read_raster(plan.output), values.repeat(2, axis=1).repeat(2, axis=2))
    assert [sentence[: len(TAKEN_AS_NODATA)] for sentence in told_of_zeros(plan)] == [TAKEN_AS_NODATA] * is_told


@pytest.mark.usefixtures("fake_engine")
@pytest.mark.parametrize(
    ("names", "wishes", "is_told"),
    [
        ([""], {"sensor": Sensor.SENTINEL_2}, True),
        ([""], {"sensor": Sensor.LANDSAT}, True),
        ([""], {"sensor": Sensor.CUSTOM, "mtf_at_nyquist": 0.2}, False),
        (["index"], {}, False),
    ],
)
def test_one_band_of_a_known_sensor_is_taken_for_what_it_is(
    make_layer: MakeLayer, make_plan: MakePlan, names: list[str], wishes: dict[str, Any], *, is_told: bool
) -> None:
    values = fields(1, 60, 60, "uint8")
    values[:, :30, :30] = 0
    plan = make_plan(make_layer(values, names=names), **wishes)
    carry_out(plan)
    assert read_valid(plan.output).all() == (not is_told)
    assert bool(told_of_zeros(plan)) == is_told


@pytest.mark.usefixtures("fake_engine")
def test_only_the_chosen_bands_count(make_layer: MakeLayer, make_plan: MakePlan) -> None:
    values = fields(4, 60, 60)
    values[:3, :30] = 0
    layer = make_layer(values)
    plan = make_plan(layer)
    carry_out(plan)
    assert read_valid(plan.output).all()
    plan = make_plan(layer, bands=(3, 1, 2))
    carry_out(plan)
    np.testing.assert_array_equal(read_valid(plan.output), (values[:3] > 0).repeat(2, axis=1).repeat(2, axis=2))


def declared_in_some_way(way: str, values: NDArray[np.uint16], folder: Path) -> QgsRasterLayer:
    """Return a layer of ``values`` (band, row, column) that says in some way which of its pixels are invalid: none."""
    file = folder / "declared.tif"
    if way == "another nodata value":
        write_raster(file, values, nodata=65535)
    elif way == "a value that the type does not have":
        write_raster(file, values, nodata=-9999)
    elif way == "a mask":
        write_raster(file, values, mask=np.ones(values.shape[1:], bool))
    elif way == "an alpha band":
        opaque = np.full((1, *values.shape[1:]), 65535, np.uint16)
        colours = [gdal.GCI_RedBand, gdal.GCI_GreenBand, gdal.GCI_BlueBand, gdal.GCI_AlphaBand]
        write_raster(file, np.concatenate([values, opaque]), colours=colours)
    elif way == "one band alone":
        files = [
            write_raster(folder / f"{index}.tif", values[index : index + 1], nodata=65535 if index == 1 else None)
            for index in range(3)
        ]
        file = folder / "declared.vrt"
        gdal.BuildVRT(str(file), [str(each) for each in files], separate=True).FlushCache()
    elif way == "nodata switched off in QGIS":
        write_raster(file, values, nodata=0)
    else:
        write_raster(file, values)
    layer = QgsRasterLayer(str(file), "Fields 2024")
    for band in range(1, 4):
        if way == "nodata switched off in QGIS":
            layer.dataProvider().setUseSourceNoDataValue(band, False)
        if way == "a value of the user's":
            layer.dataProvider().setUserNoDataValue(band, [QgsRasterRange(65535, 65535)])
    return layer


@pytest.mark.usefixtures("fake_engine")
@pytest.mark.parametrize(
    "way",
    [
        "another nodata value",
        "a value that the type does not have",
        "a mask",
        "an alpha band",
        "one band alone",
        "nodata switched off in QGIS",
        "a value of the user's",
    ],
)
def test_where_anything_is_declared_zeros_are_what_they_were(make_plan: MakePlan, folder: Path, way: str) -> None:
    values = fields(3, 60, 60)
    values[:, :30, :30] = 0
    plan = make_plan(declared_in_some_way(way, values, folder))
    carry_out(plan)
    np.testing.assert_array_equal(read_raster(plan.output), values.repeat(2, axis=1).repeat(2, axis=2))
    assert read_valid(plan.output).all()
    assert told_of_zeros(plan) == []


@pytest.mark.usefixtures("fake_engine")
def test_what_the_sentence_advises_makes_them_data(make_plan: MakePlan, make_layer: MakeLayer) -> None:
    values = fields(3, 60, 60, "uint8")
    values[:, :30, :30] = 0
    layer = make_layer(values)
    for band in (1, 2, 3):
        layer.dataProvider().setUserNoDataValue(band, [QgsRasterRange(255, 255)])
    plan = make_plan(layer)
    carry_out(plan)
    np.testing.assert_array_equal(read_raster(plan.output), values.repeat(2, axis=1).repeat(2, axis=2))
    assert read_valid(plan.output).all()
    assert told_of_zeros(plan) == []


@pytest.mark.parametrize("bands", [3, 1])
def test_an_extent_of_nothing_but_zeros_is_refused_in_words_before_the_engine_starts(
    fake_engine: FakeEngine, make_layer: MakeLayer, make_plan: MakePlan, folder: Path, bands: int
) -> None:
    values = fields(bands, 60, 60)
    values[:, :, :40] = 0
    layer = make_layer(values)
    files = sorted(folder.iterdir())
    extent = layer.extent()
    extent.setXMaximum(extent.xMinimum() + 400)
    plan = make_plan(layer, extent=QgsReferencedRectangle(extent, layer.crs()))
    with pytest.raises(EnhanceFailed, match="holds nothing but 0") as failure:
        carry_out(plan)
    assert is_one_sentence(failure.value.sentence)
    assert sorted(folder.iterdir()) == files
    assert not fake_engine.pid_file.exists()


@pytest.mark.usefixtures("fake_engine")
def test_a_mask_of_nothing_but_zeros_is_no_failure(make_layer: MakeLayer, make_plan: MakePlan) -> None:
    plan = make_plan(make_layer(np.zeros((1, 40, 40), np.uint8)))
    carry_out(plan)
    assert not read_raster(plan.output).any()


@pytest.mark.usefixtures("fake_engine")
def test_black_in_the_pictures_of_a_server_is_a_colour(web: WebServer, folder: Path) -> None:
    web.behaviour = "black"
    plan = plan_of(web.xyz_layer(), tiles_extent(60, 40), resolution=None, output=folder / "out.tif")
    carry_out(plan)
    assert read_valid(plan.output).all()
    assert not read_raster(plan.output).any()
    assert told_of_zeros(plan) == []


@pytest.mark.usefixtures("no_engine")
def test_a_preview_is_empty_where_the_result_will_be(
    swath: NDArray[np.uint16], make_layer: MakeLayer, make_plan: MakePlan
) -> None:
    plan = make_plan(make_layer(swath))
    plan = replace(plan, job=replace(plan.job, preview_bands=(0,)))
    pictures: list[NDArray[Any]] = []
    enhance(plan, lambda *_: None, lambda: False, on_preview=lambda file: pictures.append(np.load(file)))
    assert pictures
    for picture in pictures:
        np.testing.assert_array_equal(np.isnan(picture[0]), (swath[0] == 0).repeat(2, axis=0).repeat(2, axis=1))


@pytest.mark.usefixtures("no_engine")
def test_a_quick_look_takes_them_as_nodata_too(make_layer: MakeLayer, folder: Path) -> None:
    values = fields(4, 300, 300)
    values[:, :, 150:] = 0
    layer = make_layer(values)
    context = QgsCoordinateTransformContext()
    visible = QgsReferencedRectangle(layer.extent(), QgsCoordinateReferenceSystem("EPSG:32618"))
    request = quick_look_request(EnhanceRequest(layer, method=Method.BICUBIC, scale=2), visible, context)
    plan = prepare(replace(request, output=folder / "look.tif"), context)
    carry_out(plan)
    assert read_valid(plan.output).mean() == pytest.approx(0.5, abs=0.01)
    assert told_of_zeros(plan)


@pytest.mark.usefixtures("fake_engine")
def test_report_and_history_say_how_much_it_was(make_layer: MakeLayer, make_plan: MakePlan) -> None:
    values = fields(3, 60, 60)
    values[:, :7] = values[:, -20:, :45] = 0
    plan = make_plan(make_layer(values))
    carry_out(plan)
    # A strip of 7 rows is no area.
    assert report_of(plan)["zero_areas"] == {"share": 900 / 3600}
    assert any("0 in every band, 25.00% of the window" in line for line in history_of(report_of(plan)))
