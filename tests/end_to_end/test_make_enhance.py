"""What ``make enhance`` runs: the plugin in the real qgis_process, in a profile of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from osgeo import gdal

ROOT = Path(__file__).resolve().parents[2]
SCENE = ROOT / "tests" / "data" / "s2_farmland_virginia.tif"

pytestmark = pytest.mark.slow


def enhance(build: Path, **parameters: str) -> subprocess.CompletedProcess[str]:
    arguments = [f"{name}={value}" for name, value in parameters.items()]
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "enhance.py"), str(build), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_makes_the_image_the_picture_and_the_report(tmp_path: Path) -> None:
    build = tmp_path / "gebaut für QGIS"
    output = tmp_path / "schärfer.tif"
    extent = "443500,444100,4177000,4177500 [EPSG:32618]"
    run = enhance(build, METHOD="anchor", SCALE="2", BANDS="3,4", EXTENT=extent, OUTPUT=str(output), DEVICE="cpu")
    assert run.returncode == 0, run.stdout + run.stderr
    image = gdal.Open(str(output))
    assert image.GetGeoTransform() == (443500.0, 5.0, 0.0, 4177500.0, 0.0, -5.0)
    assert (image.RasterXSize, image.RasterYSize, image.RasterCount) == (120, 100, 2)
    assert [image.GetRasterBand(band).GetDescription() for band in (1, 2)] == ["B04", "B08"]
    assert json.loads((build / "enhance" / "report.json").read_text())["method"] == "anchor"
    assert (build / "enhance" / "before_after.png").stat().st_size > 0
    assert "Enhanced 60 × 50 pixels of 2 bands ×2" in run.stdout


@pytest.mark.parametrize(
    ("parameters", "in_message"),
    [
        ({"EXTENT": "0,1000,0,1000 [EPSG:32618]"}, "extent"),
        ({"INPUT": "/there/is/no/such/raster.tif"}, "no such|There is no file"),
        ({"METHOD": "magic"}, "METHOD"),
    ],
)
def test_a_failing_run_says_why_and_leaves_no_old_result(
    tmp_path: Path, parameters: dict[str, str], in_message: str
) -> None:
    output = tmp_path / "enhanced.tif"
    run = enhance(tmp_path, METHOD=parameters.pop("METHOD", "anchor"), OUTPUT=str(output), **parameters)
    assert run.returncode != 0
    assert any(part in run.stdout + run.stderr for part in in_message.split("|"))
    assert not output.exists()
