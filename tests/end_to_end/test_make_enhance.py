"""What ``make enhance`` runs: the plugin in the real qgis_process, in a profile of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from osgeo import gdal, osr

from headland.tests.support.rasters import ODD_CRS, write_raster

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
    # What belongs to a result that is kept lies beside it.
    assert json.loads((tmp_path / "schärfer.report.json").read_text())["method"] == "anchor"
    assert (tmp_path / "schärfer.before_after.png").stat().st_size > 0
    assert list((build / "enhance").iterdir()) == []
    assert "Enhanced 60 × 50 pixels of 2 bands ×2" in run.stdout
    assert "degraded again, it agrees with the input to within its noise" in run.stdout


def test_it_ends_with_all_the_files_that_it_made(tmp_path: Path) -> None:
    extras = {"KEEP_DIP": "yes", "MAP_CONFIDENCE": "yes", "TRACE_BORDERS": "yes"}
    results = tmp_path / "results"
    results.mkdir()
    wishes = {"METHOD": "chain", "SCALE": "2", "BANDS": "3", "EXTENT": "443500,443900,4177100,4177500 [EPSG:32618]"}
    run = enhance(tmp_path / "build", OUTPUT=str(results / "out.tif"), **wishes, **extras)
    assert run.returncode == 0, run.stdout + run.stderr
    listed = run.stdout.splitlines()[-7:]
    assert {line.strip() for line in listed} == {str(file) for file in results.iterdir()}
    assert str(results / "out_borders.gpkg") in listed[-1]


@pytest.mark.parametrize(
    ("parameters", "in_message"),
    [
        ({"EXTENT": "0,1000,0,1000 [EPSG:32618]"}, "does not touch"),
        ({"INPUT": "/there/is/no/such/raster.tif"}, "There is no file"),
        ({"METHOD": "magic"}, "METHOD"),
    ],
)
def test_a_failing_run_says_why_and_leaves_the_result_of_the_last_one(
    tmp_path: Path, parameters: dict[str, str], in_message: str
) -> None:
    kept = [tmp_path / f"enhanced.{ending}" for ending in ("tif", "report.json", "before_after.png")]
    for file in kept:
        file.write_text("old")
    run = enhance(tmp_path, **{"METHOD": "anchor", "OUTPUT": str(kept[0]), **parameters})
    assert run.returncode != 0
    assert in_message in run.stdout + run.stderr
    assert [file.read_text() for file in kept] == ["old"] * 3


def test_a_result_in_place_of_its_input_is_refused_and_the_input_stays_whole(tmp_path: Path) -> None:
    source = Path(shutil.copy(SCENE, tmp_path / "scene.tif"))
    run = enhance(tmp_path / "build", METHOD="anchor", INPUT=str(source), OUTPUT=str(source))
    assert run.returncode != 0
    assert "is the input itself" in run.stdout + run.stderr
    assert source.read_bytes() == SCENE.read_bytes()


def test_an_input_in_place_of_the_new_picture_stays_whole(tmp_path: Path) -> None:
    picture = tmp_path / "enhance" / "before_after.png"
    picture.parent.mkdir()
    gdal.Translate(str(picture), str(SCENE), bandList=[1, 2, 3], outputType=gdal.GDT_Byte, format="PNG").FlushCache()
    before = picture.read_bytes()
    run = enhance(tmp_path, METHOD="anchor", INPUT=str(picture))
    assert run.returncode != 0
    assert "is where the new picture goes" in run.stderr
    assert picture.read_bytes() == before


def test_nothing_is_left_beside_the_input_and_an_odd_crs_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "rasters"
    folder.mkdir()
    plain, odd = write_raster(folder / "plain.tif"), write_raster(folder / "odd.tif", crs=ODD_CRS)
    before = sorted(folder.iterdir())
    results = tmp_path / "results"
    results.mkdir()
    for source in (plain, odd):
        run = enhance(
            tmp_path / "build", METHOD="anchor", SCALE="2", INPUT=str(source), OUTPUT=str(results / source.name)
        )
        assert run.returncode == 0, run.stdout + run.stderr
    assert sorted(folder.iterdir()) == before
    expected = osr.SpatialReference()
    expected.SetFromUserInput(ODD_CRS)
    found = gdal.Open(str(results / "odd.tif"))
    assert found.GetSpatialRef().IsSame(expected, ["IGNORE_DATA_AXIS_TO_SRS_AXIS_MAPPING=YES"])
    names = {"odd.tif", "odd.tif.aux.xml", "plain.tif"}
    names |= {f"{stem}.{ending}" for stem in ("odd", "plain") for ending in ("report.json", "before_after.png")}
    assert {file.name for file in results.iterdir()} == names
