"""The before-and-after picture of ``make enhance``."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from osgeo import gdal
from qgis.PyQt.QtGui import QImage

from headland.tests.support.rasters import fields, write_raster

ROOT = Path(__file__).resolve().parents[2]
SCENE = ROOT / "tests" / "data" / "s2_farmland_virginia.tif"


@pytest.fixture
def before_after(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import before_after

    return before_after


def enlarge(window: tuple[int, int, int, int], bands: list[int], target: Path) -> Path:
    """Stands for the enhanced image: the window of the scene, each pixel four times as wide and high."""
    _, _, width, height = window
    gdal.Translate(
        str(target), str(SCENE), srcWin=list(window), bandList=bands, width=4 * width, height=4 * height
    ).FlushCache()
    return target


def test_both_sides_show_the_same_place_in_the_same_stretch(before_after: ModuleType, tmp_path: Path) -> None:
    enhanced = enlarge((40, 30, 100, 80), [3, 2, 1], tmp_path / "enhanced.tif")
    pair = before_after.read_pair(SCENE, enhanced, [3, 2, 1])
    assert (pair.scale, pair.pixel_size, pair.unit) == (4, 10.0, "m")
    assert pair.source.shape == (3, 80, 100)
    np.testing.assert_array_equal(pair.source.repeat(4, 1).repeat(4, 2), pair.enhanced)


def test_what_became_nodata_counts_for_no_stretch_though_the_source_does_not_declare_it(
    before_after: ModuleType, tmp_path: Path
) -> None:
    values = fields(1, 60, 60)
    values[:, :, :25] = 0
    undeclared, declared = (write_raster(tmp_path / f"{nodata}.tif", values, nodata=nodata) for nodata in (None, 0))
    enhanced = tmp_path / "enhanced.tif"
    gdal.Translate(str(enhanced), str(declared), widthPct=200, heightPct=200).FlushCache()
    seen, expected = (before_after.read_pair(source, enhanced, [1]).source for source in (undeclared, declared))
    np.testing.assert_array_equal(seen, expected)


@pytest.mark.parametrize(
    ("names", "colours"),
    [
        (["B02", "B03", "B04", "B08"], (2, 1, 0)),
        (["red", "green", "blue", "near infrared"], (0, 1, 2)),
        (["B04", "B08"], (0, 0, 0)),
        ([""], (0, 0, 0)),
    ],
)
def test_sentinel_2_is_shown_in_true_colour_and_anything_else_as_it_comes(
    before_after: ModuleType, names: list[str], colours: tuple[int, ...]
) -> None:
    assert before_after.choose_colours(names) == colours


def test_the_detail_is_where_even_fields_meet(before_after: ModuleType) -> None:
    source = np.zeros((3, 300, 300))
    source[:, 200:240, 100:140] = 0.5
    source[:, 200:240, 140:180] = 0.8
    row, column, size_px = before_after.field_detail(source)
    assert row <= 200
    assert row + size_px >= 240
    assert column <= 140 <= column + size_px


@pytest.mark.parametrize("window", [(0, 0, 300, 300), (10, 20, 16, 40)], ids=["larger than a panel", "smaller"])
def test_the_picture_is_drawn(before_after: ModuleType, tmp_path: Path, window: tuple[int, int, int, int]) -> None:
    enhanced = enlarge(window, [1, 2, 3, 4], tmp_path / "enhanced.tif")
    picture = tmp_path / "before_after.png"
    before_after.draw_before_after(SCENE, enhanced, [1, 2, 3, 4], "Title", picture)
    image = QImage(str(picture))
    assert (image.width(), image.height()) == (1236, 1312)
    colours = {image.pixel(x, y) for x in range(100, 1200, 40) for y in range(100, 1300, 40)}
    assert len(colours) > 50
