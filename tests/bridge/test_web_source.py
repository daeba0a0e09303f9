"""Web layers: what a map server shows becomes the input, at the resolution that was wished for; failures are told."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from osgeo import gdal
from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsMultiBandColorRenderer,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
)

from headland.bridge import prepare as prepare_module
from headland.bridge import web_source
from headland.bridge.compat import FINE_PIXELS
from headland.bridge.layer_names import LayerNames
from headland.bridge.prepare import CannotEnhance, EnhancePlan
from headland.bridge.result_layer import add_result
from headland.bridge.web_source import WebSource, read_web_picture
from headland.engine.grid import Grid
from headland.engine.job import INPUT_FILE, VALID_FILE, Sensor
from headland.engine.sensors import recognise
from headland.tests.support.fixtures import MakeLayer
from headland.tests.support.plans import carry_out
from headland.tests.support.rasters import read_raster, read_valid
from headland.tests.support.web_plans import (
    COLUMN,
    MERCATOR,
    ROW,
    UTM,
    ZOOM,
    one_sentence,
    plan_of,
    tiles_extent,
    wms_extent,
)
from headland.tests.support.web_server import WMS_BOUNDS, WORLD_M, WebServer, colours_of, resolution_of

pytestmark = pytest.mark.usefixtures("fake_engine", "no_pause")


def refusal(layer: QgsRasterLayer, extent: Any, **wishes: Any) -> str:
    with pytest.raises(CannotEnhance) as error:
        plan_of(layer, extent, **wishes)
    return one_sentence(str(error.value))


def read(plan: EnhancePlan, folder: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    assert isinstance(plan.source, WebSource)
    read_web_picture(plan.source, plan.grid, plan.bands, folder, lambda _fraction: None)
    return np.load(folder / INPUT_FILE), np.load(folder / VALID_FILE)


def tiles_colours(grid: Grid) -> NDArray[np.uint8]:
    """Return (band, row, column) that the server has for ``grid``, in pixels of ZOOM."""
    size = resolution_of(ZOOM)
    column, row = round((grid.bounds[0] + WORLD_M) / size), round((WORLD_M - grid.bounds[3]) / size)
    colours = colours_of(column + np.arange(grid.width_px), row + np.arange(grid.height_px))
    return np.moveaxis(colours[..., :3], -1, 0)


class TestTheGrid:
    def test_a_plan_is_of_plain_values_with_three_bands_of_bytes(self, web: WebServer) -> None:
        plan = plan_of(web.xyz_layer(), tiles_extent(50, 40))
        assert pickle.loads(pickle.dumps(plan)) == plan
        assert [band.name for band in plan.bands] == ["red", "green", "blue"]
        assert {band.dtype for band in plan.bands} == {"uint8"}
        assert plan.window == plan.grid.window
        assert "3857" in plan.grid.crs_wkt
        assert web.requests == []

    @pytest.mark.parametrize("resolution", [10.0, 7.3, resolution_of(ZOOM)])
    def test_its_corners_are_multiples_of_the_resolution_around_the_extent(
        self, web: WebServer, resolution: float
    ) -> None:
        extent = tiles_extent(50.3, 40.7, COLUMN + 0.4, ROW + 0.6)
        grid = plan_of(web.xyz_layer(), extent, resolution=resolution).grid
        x_min, y_min, x_max, y_max = grid.bounds
        for corner in grid.bounds:
            assert corner / resolution == pytest.approx(round(corner / resolution), abs=1e-6)
        assert grid.pixel_size == (resolution, resolution)
        assert 0 <= extent.xMinimum() - x_min < resolution
        assert 0 <= extent.yMinimum() - y_min < resolution
        assert 0 <= x_max - extent.xMaximum() < resolution
        assert 0 <= y_max - extent.yMaximum() < resolution

    def test_without_a_wish_it_is_the_finest_zoom_level_with_at_most_1000_pixels(self, web: WebServer) -> None:
        layer = web.xyz_layer()
        assert plan_of(layer, tiles_extent(1000, 400)).grid.pixel_size[0] == pytest.approx(resolution_of(ZOOM))
        assert plan_of(layer, tiles_extent(400, 1001)).grid.pixel_size[0] == pytest.approx(resolution_of(ZOOM - 1))
        world = QgsReferencedRectangle(layer.extent(), MERCATOR)
        assert plan_of(layer, world).grid.width_px == 512

    def test_without_a_wish_and_without_zoom_levels_the_longer_side_has_1000_pixels(self, web: WebServer) -> None:
        grid = plan_of(web.wms_layer(), wms_extent(3000, 1500)).grid
        assert (grid.width_px, grid.pixel_size) == (1000, (3.0, 3.0))

    def test_a_resolution_that_was_rounded_means_the_zoom_level(self, web: WebServer) -> None:
        plan = plan_of(web.xyz_layer(), tiles_extent(50, 40), resolution=round(resolution_of(ZOOM), 2))
        assert plan.grid.pixel_size[0] == pytest.approx(resolution_of(ZOOM), rel=1e-12)
        assert (plan.grid.width_px, plan.grid.height_px) == (50, 40)

    def test_an_extent_in_another_crs_is_transformed_and_what_sticks_out_is_cut_off(self, web: WebServer) -> None:
        degrees = QgsReferencedRectangle(QgsRectangle(-76, 37, -75, 38), QgsCoordinateReferenceSystem("EPSG:4326"))
        assert plan_of(web.wms_layer(), degrees, resolution=10.0).grid.bounds == WMS_BOUNDS

    def test_auto_does_not_take_pixels_of_10_m_for_a_sensors(self, web: WebServer) -> None:
        plan = plan_of(web.wms_layer(), wms_extent(1000, 1000), resolution=10.0)
        assert plan.pixel_size_m == pytest.approx((10.0, 10.0), rel=1e-3)
        assert plan.job.sensor is Sensor.AUTO
        assert recognise(plan.job.band_names, plan.job.pixel_size_m) is None
        named = plan_of(web.wms_layer(), wms_extent(1000, 1000), resolution=10.0, sensor=Sensor.LANDSAT)
        assert (named.job.sensor, named.job.pixel_size_m) == (Sensor.LANDSAT, named.pixel_size_m)


class TestRefusals:
    def test_a_whole_web_layer(self, web: WebServer) -> None:
        text = refusal(web.xyz_layer(), None)
        assert text == "“Tiles” comes from a server and is too large as a whole; choose an extent."

    def test_too_many_pixels(self, web: WebServer) -> None:
        text = refusal(web.xyz_layer(), tiles_extent(6000, 5000), resolution=resolution_of(ZOOM))
        assert "6000 × 5000 pixels of “Tiles” at a resolution of 38.2185, and at most 25 million" in text
        plan_of(web.xyz_layer(), tiles_extent(5000, 5000), resolution=resolution_of(ZOOM))

    def test_too_few_pixels(self, web: WebServer) -> None:
        text = refusal(web.xyz_layer(), tiles_extent(40, 15), resolution=resolution_of(ZOOM))
        assert "holds 40 × 15 pixels" in text
        assert "finer resolution" in text

    @pytest.mark.parametrize("resolution", [0.0, -1.0, math.nan, math.inf])
    def test_a_resolution_that_is_no_size(self, web: WebServer, resolution: float) -> None:
        assert "must be a number above 0" in refusal(web.xyz_layer(), tiles_extent(50, 40), resolution=resolution)

    def test_a_resolution_finer_than_the_server_has(self, web: WebServer) -> None:
        assert "no pixels smaller than 0.597164" in refusal(web.xyz_layer(), tiles_extent(1, 1), resolution=0.5)

    def test_a_resolution_for_a_file(self, make_layer: MakeLayer) -> None:
        assert "leave the resolution empty" in refusal(make_layer(), None, resolution=10.0)

    def test_an_extent_that_does_not_touch(self, web: WebServer) -> None:
        elsewhere = QgsReferencedRectangle(QgsRectangle(0, 0, 1000, 1000), UTM)
        assert "does not touch “Map”" in refusal(web.wms_layer(), elsewhere)

    def test_a_server_that_is_gone_when_the_layer_is_made(self, web: WebServer) -> None:
        uri = "crs=EPSG:32618&layers=a&styles=&format=image/png&url=http://127.0.0.1:9/wms"
        layer = QgsRasterLayer(uri, "Map", "wms")
        assert "check that its server can be reached" in refusal(layer, wms_extent(1000, 1000))

    def test_tiles_that_stand_for_elevations(self, web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
        # QGIS 3.22 takes them for pictures; later ones say that they are numbers.
        monkeypatch.setattr(prepare_module, "PICTURE_TYPES", (Qgis.DataType.Float32,))
        assert "“Heights” shows values" in refusal(web.xyz_layer("Heights"), tiles_extent(50, 40))

    def test_bands_that_a_picture_does_not_have(self, web: WebServer) -> None:
        assert "bands 1 to 3" in refusal(web.xyz_layer(), tiles_extent(50, 40), bands=(4,))


class TestThePixels:
    @pytest.mark.parametrize("kind", ["xyz_layer", "wmts_layer"])
    def test_tiles_arrive_pixel_by_pixel_across_the_borders_of_tiles_and_blocks(
        self, web: WebServer, folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(web_source, "BLOCK_PX", 200)
        layer = getattr(web, kind)()
        assert layer.isValid()
        plan = plan_of(layer, tiles_extent(450, 330), resolution=resolution_of(ZOOM))
        pixels, valid = read(plan, folder)
        assert valid.all()
        np.testing.assert_array_equal(pixels, tiles_colours(plan.grid))
        assert len({path for path in web.requests if path.startswith("/tiles")}) == 6

    def test_tiles_that_are_drawn_finely_give_the_same_pixels(
        self, web: WebServer, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(web_source, "fine_pixels_of_tiles", lambda: FINE_PIXELS)
        plan = plan_of(web.xyz_layer(), tiles_extent(250, 230), resolution=resolution_of(ZOOM))
        pixels, valid = read(plan, folder)
        assert valid.all()
        np.testing.assert_array_equal(pixels, tiles_colours(plan.grid))
        assert {path.split("/")[2] for path in web.requests} == {str(ZOOM)}

    def test_the_worlds_corner_arrives_whole(self, web: WebServer, folder: Path) -> None:
        plan = plan_of(web.xyz_layer(), tiles_extent(60, 50, column=-20, row=-10), resolution=resolution_of(ZOOM))
        assert (plan.grid.width_px, plan.grid.height_px) == (40, 40)
        pixels, valid = read(plan, folder)
        assert valid.all()
        np.testing.assert_array_equal(pixels, tiles_colours(plan.grid))

    def test_a_wms_is_asked_for_the_very_pixels(
        self, web: WebServer, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(web_source, "BLOCK_PX", 100)
        plan = plan_of(web.wms_layer(), wms_extent(1500, 800), resolution=10.0)
        pixels, valid = read(plan, folder)
        assert valid.all()
        expected = colours_of(100 + np.arange(150), 50 + np.arange(80))[..., :3]
        np.testing.assert_array_equal(pixels, np.moveaxis(expected, -1, 0))
        assert len(web.requests) == 2

    @pytest.mark.parametrize("ratio", [0.8, 1.3])
    def test_between_two_zoom_levels_pixels_are_mixed_where_they_lie(
        self, web: WebServer, folder: Path, ratio: float
    ) -> None:
        size = resolution_of(ZOOM)
        plan = plan_of(web.xyz_layer(), tiles_extent(200, 160), resolution=size * ratio)
        pixels, _ = read(plan, folder)
        # The blue of a tile counts its columns: it tells where a pixel was taken from.
        middles = (plan.grid.bounds[0] + WORLD_M) / size + (np.arange(plan.grid.width_px) + 0.5) * ratio
        expected = (middles - 0.5) % 200
        is_smooth = (expected > 3) & (expected < 196)
        error = pixels[2][:, is_smooth].astype(float) - expected[is_smooth]
        assert np.abs(error).max() < 1.1
        assert abs(error.mean()) < 0.3

    def test_only_the_chosen_bands_are_written_in_their_order(self, web: WebServer, folder: Path) -> None:
        plan = plan_of(web.xyz_layer(), tiles_extent(50, 40), bands=(3, 1))
        pixels, valid = read(plan, folder)
        assert valid.shape == (2, plan.grid.height_px, plan.grid.width_px)
        assert [band.name for band in plan.bands] == ["blue", "red"]
        assert pixels[0].max() < 200

    def test_what_a_server_does_not_have_is_invalid(self, web: WebServer, folder: Path) -> None:
        web.behaviour, web.only_tile = "error 404", "/2059/2028.png"
        plan = plan_of(web.xyz_layer(), tiles_extent(256, 180), resolution=resolution_of(ZOOM))
        pixels, valid = read(plan, folder)
        assert valid[:, :, :156].all()
        assert not valid[:, :, 156:].any()
        assert not pixels[~valid].any()


@pytest.mark.parametrize(
    ("uri", "opened", "dpi"),
    [
        ("type=xyz&url=http://maps.example/a", "type=xyz&url=http://maps.example/a&tilePixelRatio=9", -1),
        ("type=xyz&tilePixelRatio=2&url=a", "type=xyz&url=a&tilePixelRatio=18", -1),
        ("tileMatrixSet=world&url=a", "tileMatrixSet=world&url=a&tilePixelRatio=1", 864),
        ("tileMatrixSet=world&tilePixelRatio=2&url=a", "tileMatrixSet=world&url=a&tilePixelRatio=2", 1728),
    ],
)
def test_for_which_screen_tiles_are_made_is_told_to_qgis_where_they_are_drawn_finely(
    uri: str, opened: str, dpi: int
) -> None:
    assert WebSource("wms", uri).finely_drawn(9) == (opened, dpi)


class TestTheResult:
    def test_it_is_a_geotiff_of_colours_above_its_source(
        self, web: WebServer, project: QgsProject, tmp_path: Path
    ) -> None:
        layer = project.addMapLayer(web.xyz_layer())
        layer.setOpacity(0.5)
        plan = plan_of(layer, tiles_extent(60, 50), resolution=resolution_of(ZOOM), output=tmp_path / "out.tif")
        told = carry_out(plan)
        assert told[0] == ("Downloading the layer", 0.0)
        dataset = gdal.Open(str(plan.output))
        assert [dataset.GetRasterBand(n).GetDescription() for n in (1, 2, 3)] == ["red", "green", "blue"]
        assert [dataset.GetRasterBand(n).DataType for n in (1, 2, 3)] == [gdal.GDT_Byte] * 3
        np.testing.assert_array_equal(read_raster(plan.output)[:3, ::2, ::2], tiles_colours(plan.grid))
        result = add_result(plan, plan.output, LayerNames.of(plan, {}).result, project)
        assert [node.name() for node in project.layerTreeRoot().children()] == ["Tiles ×2 anchor", "Tiles"]
        renderer = result.renderer()
        assert isinstance(renderer, QgsMultiBandColorRenderer)
        assert (renderer.redBand(), renderer.greenBand(), renderer.blueBand()) == (1, 2, 3)
        assert renderer.redContrastEnhancement() is None
        assert renderer.opacity() == 0.5
        assert result.crs() == MERCATOR
        assert result.extent().xMinimum() == pytest.approx(plan.grid.bounds[0], abs=1e-6)

    def test_what_is_invalid_in_the_input_is_invalid_in_the_result_and_transparent(
        self, web: WebServer, project: QgsProject, tmp_path: Path
    ) -> None:
        web.behaviour, web.only_tile = "error 404", "/2059/2028.png"
        layer = project.addMapLayer(web.xyz_layer())
        plan = plan_of(layer, tiles_extent(256, 180), resolution=resolution_of(ZOOM), output=tmp_path / "out.tif")
        carry_out(plan)
        valid = read_valid(plan.output)
        assert valid[:3, :, :312].all()
        assert not valid[:3, :, 312:].any()
        assert isinstance(
            add_result(plan, plan.output, LayerNames.of(plan, {}).result, project).renderer(), QgsMultiBandColorRenderer
        )

    def test_some_bands_only_are_shown_in_qgiss_own_way(
        self, web: WebServer, project: QgsProject, tmp_path: Path
    ) -> None:
        layer = project.addMapLayer(web.xyz_layer())
        plan = plan_of(layer, tiles_extent(60, 50), bands=(2,), output=tmp_path / "out.tif")
        carry_out(plan)
        assert (
            add_result(plan, plan.output, LayerNames.of(plan, {}).result, project).renderer().type() == "singlebandgray"
        )

    def test_the_report_names_the_address_without_its_key(self, web: WebServer, tmp_path: Path) -> None:
        plan = plan_of(web.xyz_layer(), tiles_extent(60, 50), output=tmp_path / "out.tif")
        carry_out(plan)
        text = plan.report.read_text(encoding="utf-8")
        assert json.loads(text)["input"]["source"] == f"http://{web.host}/tiles/{{z}}/{{x}}/{{y}}.png"
        assert "secret" not in text
        assert all("key=secret" in path for path in web.requests)
        assert str(WebSource("wms", "url=https://me:secret@maps.example/wms?token=secret&layers=a")) == (
            "https://maps.example/wms"
        )
