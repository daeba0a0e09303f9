"""The command that the dock copies gives, in a QGIS without a window, the very pixels that the dock gave."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from osgeo import gdal
from qgis.core import QgsCoordinateTransformContext, QgsRasterLayer, QgsRectangle, QgsReferencedRectangle

from headland.bridge.command_line import command_for
from headland.bridge.enhance import enhance
from headland.bridge.prepare import prepare
from headland.bridge.request import EnhanceRequest
from headland.engine.job import Device, Method, Sensor
from headland.tests.support.web_server import WebServer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A QGIS profile with the plugin in it."""
    plugins = tmp_path / "qgis" / "profiles" / "default" / "python" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "headland").symlink_to(ROOT, target_is_directory=True)
    own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return {**own, "QGIS_CUSTOM_CONFIG_PATH": str(tmp_path / "qgis"), "QT_QPA_PLATFORM": "offscreen"}


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
    assert command is not None
    program = shutil.which("qgis_process.bin") or shutil.which("qgis_process")
    subprocess.run([program, "plugins", "enable", "headland"], env=environment, check=True, capture_output=True)
    words = [program, *shlex.split(command)[1:]]
    run = subprocess.run(words, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    result = gdal.Open(str(plan.output))
    assert result.GetGeoTransform() == plan.output_grid.geotransform
    assert (result.ReadAsArray() == expected).all()


def test_a_layer_from_a_server_has_none(web: WebServer) -> None:
    layer = web.xyz_layer()
    extent = QgsReferencedRectangle(QgsRectangle(0, 0, 2000, 2000), layer.crs())
    assert command_for(prepare(EnhanceRequest(layer, extent), QgsCoordinateTransformContext())) is None


def test_a_temporary_result_gets_a_name_that_means_something(scene: Path) -> None:
    plan = prepare(EnhanceRequest(QgsRasterLayer(str(scene), "Fields")), QgsCoordinateTransformContext())
    assert command_for(plan, for_windows=False).endswith("--OUTPUT=enhanced.tif")
