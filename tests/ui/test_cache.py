"""The cache of finished tiles in the dock: how much it holds, its limit, and clearing it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsProject, QgsSettings
from qgis.PyQt.QtCore import Qt

from headland.bridge import tile_cache
from headland.engine.tile_store import TileStore, tile_folder
from headland.tests.support.person import Person
from headland.tests.ui.conftest import AddLayer
from headland.ui.cache_row import CacheLimitBox, CacheRow
from headland.ui.dock_widget import EnhanceDock

pytestmark = pytest.mark.usefixtures("fake_engine")

KEY = "0123456789abcdef" * 4


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """QGIS's settings without a word about the cache, before and after."""
    QgsSettings().remove(tile_cache._LIMIT_SETTING)
    yield
    QgsSettings().remove(tile_cache._LIMIT_SETTING)


@pytest.fixture
def row(dock: EnhanceDock) -> CacheRow:
    """The row of the cache, in sight."""
    dock.advanced_box.setCollapsed(False)
    return dock.advanced_box.cache_row


def keep_a_tile() -> Path:
    """Have a worker keep two megabytes; return the file."""
    assert TileStore(tile_folder(), 10**9).write(KEY, np.zeros((1, 500, 1000), np.float32), 0)
    return tile_folder() / f"{KEY}.tile"


def test_it_says_how_much_is_kept_and_a_click_clears_it(dock: EnhanceDock, qtbot: QtBot) -> None:
    tile = keep_a_tile()
    row = dock.advanced_box.cache_row
    dock.advanced_box.setCollapsed(False)
    assert row.isVisible()
    assert row.size_label.text() == "2.0 MB"
    Person(qtbot).click(row.clear_button)
    assert not tile.exists()
    assert row.size_label.text() == "Empty"
    assert not row.clear_button.isEnabled()


def test_what_a_run_kept_is_told_when_it_ends(
    dock: EnhanceDock, row: CacheRow, add_layer: AddLayer, project: QgsProject, qtbot: QtBot
) -> None:
    add_layer()
    assert row.size_label.text() == "Empty"
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    keep_a_tile()
    Person(qtbot).click(dock.enhance_button)
    qtbot.waitUntil(lambda: len(project.mapLayers()) == 2, timeout=60_000)
    assert row.size_label.text() == "2.0 MB"


def test_its_limit_is_some_gigabytes_and_can_be_set_for_good(dock: EnhanceDock, row: CacheRow, qtbot: QtBot) -> None:
    box = dock.advanced_box.cache_limit_box
    assert box.text() == "5 GB"
    Person(qtbot).type(box.lineEdit(), "12")
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert tile_cache.cache_limit_bytes() == 12_000_000_000
    other = CacheLimitBox()
    qtbot.addWidget(other)
    assert other.value() == 12


def test_a_lower_limit_holds_at_once(dock: EnhanceDock, row: CacheRow, monkeypatch: pytest.MonkeyPatch) -> None:
    tile = keep_a_tile()
    box = dock.advanced_box.cache_limit_box
    box.setValue(3)
    assert tile.exists()
    # Of megabytes instead of gigabytes.
    monkeypatch.setattr(tile_cache, "_GB", 1_000_000)
    box.setValue(1)
    assert not tile.exists()
    assert row.size_label.text() == "Empty"


def test_it_can_be_switched_off_and_keeps_nothing_then(dock: EnhanceDock, row: CacheRow) -> None:
    tile = keep_a_tile()
    box = dock.advanced_box.cache_limit_box
    box.setValue(0)
    assert box.text() == "Keep nothing"
    assert tile_cache.cache_limit_bytes() == 0
    assert not tile.exists()
    assert row.size_label.text() == "Empty"


@pytest.mark.parametrize(("nonsense", "limit_gb"), [("much", 5), ("-3", 0), ("", 5), ("99999999", 1000)])
def test_nonsense_in_the_settings_file_does_not_matter(nonsense: str, limit_gb: int) -> None:
    QgsSettings().setValue(tile_cache._LIMIT_SETTING, nonsense)
    assert tile_cache.cache_limit_gb() == limit_gb
