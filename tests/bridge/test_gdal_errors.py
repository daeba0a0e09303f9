"""What GDAL fails at is an exception, and leaves no dataset open behind it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
from osgeo import gdal

from headland.bridge.gdal_errors import GdalError, gdal_failures_raised
from headland.bridge.gdal_progress import gdal_progress
from headland.tests.support.rasters import write_raster


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """What only the garbage collector finds goes at any time, in any thread."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def open_datasets() -> int:
    return sum(isinstance(each, gdal.Dataset) for each in gc.get_objects())


def fail_reading(path: Path) -> None:
    dataset = gdal.Open(str(path))
    dataset.GetRasterBand(99)


def fail_in_progress(path: Path) -> None:
    dataset = gdal.Open(str(path), gdal.GA_Update)
    with gdal_progress(lambda _fraction: {}["surprise"]) as callback:
        dataset.BuildOverviews("AVERAGE", [2], callback)


@pytest.mark.parametrize(("fail", "error"), [(fail_reading, GdalError), (fail_in_progress, KeyError)])
def test_no_dataset_stays_open_although_somebody_keeps_the_exception(
    tmp_path: Path, fail: Callable[[Path], Any], error: type[Exception]
) -> None:
    path = write_raster(tmp_path / "fields.tif")
    before = open_datasets()
    kept = []
    try:
        with gdal_failures_raised():
            fail(path)
    except error as raised:
        kept.append(raised)
    assert len(kept) == 1
    assert open_datasets() == before


def test_what_sqlite_finds_wrong_is_told_without_the_statement() -> None:
    statement = "INSERT INTO gpkg_contents VALUES ('Each line is a guess. " + "It is long. " * 50 + "(one, two)')"
    assert str(GdalError(f"sqlite3_exec({statement}) failed: database or disk is full")) == "database or disk is full"
    assert str(GdalError("sqlite3_exec(COMMIT) cannot")) == "sqlite3_exec(COMMIT) cannot"
