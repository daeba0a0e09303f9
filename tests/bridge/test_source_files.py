"""What QGIS and GDAL write when they show a raster is no change of it; what somebody else writes is one."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from osgeo import gdal
from qgis.core import QgsRasterLayer

from headland.bridge.source_files import SourceChanged, SourceFile, source_files, unchanged
from headland.tests.support.fixtures import MakeRaster
from headland.tests.support.rasters import fields


@pytest.fixture
def virtual(make_raster: MakeRaster, folder: Path) -> Path:
    """A virtual raster of two bands."""
    file = folder / "mosaic.vrt"
    gdal.BuildVRT(str(file), [str(make_raster(fields(2, 40, 60)))]).FlushCache()
    return file


def look_at(file: Path) -> None:
    """Have QGIS show the raster in its statistics, and let go of it."""
    layer = QgsRasterLayer(str(file), "Mosaic")
    for band in (1, 2):
        layer.dataProvider().bandStatistics(band)
        layer.dataProvider().histogram(band)
    del layer
    gc.collect()


def test_statistics_in_a_virtual_raster_are_no_change(virtual: Path) -> None:
    before, content = source_files([virtual]), virtual.read_bytes()
    with unchanged(before):
        look_at(virtual)
    assert b"STATISTICS_MEAN" in virtual.read_bytes() != content
    with unchanged(before):
        look_at(virtual)


@pytest.mark.parametrize(
    ("old", "new"), [(b"<SourceBand>1<", b"<SourceBand>2<"), (b'xOff="0"', b'xOff="1"'), (b".tif<", b".tiff<")]
)
def test_other_pixels_in_a_virtual_raster_are_a_change(virtual: Path, old: bytes, new: bytes) -> None:
    before, state = source_files([virtual]), virtual.stat()
    content = virtual.read_bytes()
    assert old in content
    virtual.write_bytes(content.replace(old, new))
    os.utime(virtual, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(SourceChanged, match="was changed"), unchanged(before):
        pass


def test_a_virtual_raster_that_goes_is_a_change(virtual: Path) -> None:
    before = source_files([virtual])
    virtual.unlink()
    assert SourceFile.now(virtual).state is None
    with pytest.raises(SourceChanged), unchanged(before):
        pass


def test_a_long_virtual_raster_goes_by_size_and_time(virtual: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headland.bridge.source_files._LONGEST_VIRTUAL_RASTER", 10)
    state = virtual.stat()
    assert SourceFile.now(virtual).state == (state.st_size, state.st_mtime_ns)
