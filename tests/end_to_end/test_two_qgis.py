"""Several QGIS at once on one cache, and even on one result: none disturbs another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from osgeo import gdal

from headland.engine.tile_store import tile_folder
from headland.tests.support import enhance_in_own_qgis
from headland.tests.support.rasters import fields, read_raster, write_raster

LONGEST_S = 120.0
TILES = 6


def run_at_once(source: Path, outputs: list[Path], temporary_files: Path) -> list[int]:
    """Enhance ``source`` in as many QGIS as there are outputs, all at the same time; return their exit statuses."""
    environment = {**os.environ, "TMPDIR": str(temporary_files), "QT_QPA_PLATFORM": "offscreen"}
    programs = [
        subprocess.Popen(
            [sys.executable, enhance_in_own_qgis.__file__, str(source), str(output)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for output in outputs
    ]
    return [program.wait(LONGEST_S) for program in programs]


def test_two_qgis_on_one_cache_and_two_on_one_result_come_to_the_same_pixels(folder: Path, tmp_path: Path) -> None:
    source = write_raster(folder / "source.tif", fields(1, 300, 470))
    results = folder / "results"
    results.mkdir()
    temporary_files = tmp_path / "of both"
    temporary_files.mkdir()
    one, two = results / "one.tif", results / "two.tif"
    # Twice the same result: whoever is last has it, whole.
    assert run_at_once(source, [one, two, two], temporary_files) == [0, 0, 0]
    assert sorted(file.name for file in results.iterdir()) == [
        "one.report.json",
        "one.tif",
        "two.report.json",
        "two.tif",
    ]
    np.testing.assert_array_equal(read_raster(one), read_raster(two))
    assert gdal.Open(str(two)).RasterXSize == 940
    for report in ("one.report.json", "two.report.json"):
        assert json.loads((results / report).read_text(encoding="utf-8"))["tiles"] == TILES
    assert len(list(tile_folder().iterdir())) == TILES
    assert not list(temporary_files.glob("headland-job-*"))
