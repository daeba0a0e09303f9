"""The command that the dock copies gives, in a QGIS without a window, the very pixels that the dock gave."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsRasterLayer,
    QgsRasterRange,
    QgsRectangle,
    QgsReferencedRectangle,
)

from headland.bridge.cloud_optimised import can_cloud_optimise
from headland.bridge.command_line import NoCommand, command_for
from headland.bridge.enhance import enhance
from headland.bridge.prepare import prepare
from headland.bridge.request import EnhanceRequest
from headland.engine.job import Device, Method, Sensor
from headland.tests.support.fixtures import MakeLayer
from headland.tests.support.rasters import CUSTOM_CRS
from headland.tests.support.web_server import WebServer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A QGIS profile with the plugin in it."""
    plugins = tmp_path / "qgis" / "profiles" / "default" / "python" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "headland").symlink_to(ROOT, target_is_directory=True)
    own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    # Not from the tiles that the first run kept.
    cache = {"HEADLAND_CACHE": str(tmp_path / "another cache")}
    return {**own, **cache, "QGIS_CUSTOM_CONFIG_PATH": str(tmp_path / "qgis"), "QT_QPA_PLATFORM": "offscreen"}


@pytest.mark.slow
def test_it_gives_the_same_pixels(scene: Path, folder: Path, environment: dict[str, str]) -> None:
    layer = QgsRasterLayer(str(scene), "Fields 2024")
    request = EnhanceRequest(
        layer,
        # Not on the corners of pixels.
        QgsReferencedRectangle(QgsRectangle(444301.5, 4177503, 444633, 4177789.9), layer.crs()),
        bands=(4, 2),
        method=Method.ANCHOR,
        scale=2,
        sensor=Sensor.CUSTOM,
        mtf_at_nyquist=0.31,
        seed=7,
        device=Device.CPU,
        output=folder / "it’s schärfer.tif",
    )
    plan = prepare(request, QgsCoordinateTransformContext())
    enhance(plan, lambda _phase, _fraction: None, lambda: False)
    expected = gdal.Open(str(plan.output)).ReadAsArray()
    plan.output.unlink()
    command = command_for(plan, for_windows=False)
    words = shlex.split(command)
    program = shutil.which(words[0])
    assert program
    subprocess.run([program, "plugins", "enable", "headland"], env=environment, check=True, capture_output=True)
    run = subprocess.run(
        [program, *words[1:]], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    result = gdal.Open(str(plan.output))
    assert result.GetGeoTransform() == plan.output_grid.geotransform
    assert (result.ReadAsArray() == expected).all()


def test_a_layer_from_a_server_has_none(web: WebServer) -> None:
    layer = web.xyz_layer()
    extent = QgsReferencedRectangle(QgsRectangle(0, 0, 2000, 2000), layer.crs())
    with pytest.raises(NoCommand, match="from a server"):
        command_for(prepare(EnhanceRequest(layer, extent), QgsCoordinateTransformContext()))


@pytest.mark.parametrize("override", ["nodata range", "nodata switched off", "CRS", "open option"])
def test_a_layer_that_is_more_than_its_file_has_none(make_layer: MakeLayer, override: str) -> None:
    layer = make_layer(nodata=0)
    assert command_for(prepare(EnhanceRequest(layer), QgsCoordinateTransformContext()))
    if override == "nodata range":
        layer.dataProvider().setUserNoDataValue(1, [QgsRasterRange(7, 7)])
    elif override == "nodata switched off":
        layer.dataProvider().setUseSourceNoDataValue(1, False)
    elif override == "CRS":
        layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32619"))
    else:
        layer = QgsRasterLayer(f"{layer.source()}|option:NUM_THREADS=1", "Fields")
    why = "options" if override == "open option" else "changed in QGIS"
    with pytest.raises(NoCommand, match=rf"^No command: .*{why}.*\.$"):
        command_for(prepare(EnhanceRequest(layer), QgsCoordinateTransformContext()))


def test_a_layer_in_a_crs_without_a_code_has_one(make_layer: MakeLayer) -> None:
    assert command_for(prepare(EnhanceRequest(make_layer(crs=CUSTOM_CRS)), QgsCoordinateTransformContext()))


@pytest.mark.skipif(not can_cloud_optimise(), reason="this GDAL writes none")
def test_it_asks_for_a_cloud_optimised_result_where_there_was_one(scene: Path) -> None:
    request = EnhanceRequest(QgsRasterLayer(str(scene), "Fields"))
    words = [
        shlex.split(command_for(prepare(wish, QgsCoordinateTransformContext()), for_windows=False))
        for wish in (request, replace(request, is_cloud_optimised=True))
    ]
    assert set(words[1]) - set(words[0]) == {"--COG=true"}


def test_it_asks_for_borders_where_they_were_traced(scene: Path) -> None:
    request = EnhanceRequest(QgsRasterLayer(str(scene), "Fields"))
    words = [
        shlex.split(command_for(prepare(wish, QgsCoordinateTransformContext()), for_windows=False))
        for wish in (request, replace(request, traces_borders=True))
    ]
    assert set(words[1]) - set(words[0]) == {"--TRACE_BORDERS=true"}


def test_a_temporary_result_gets_a_name_that_means_something(scene: Path) -> None:
    plan = prepare(EnhanceRequest(QgsRasterLayer(str(scene), "Fields")), QgsCoordinateTransformContext())
    assert command_for(plan, for_windows=False).endswith("--OUTPUT=enhanced.tif")
