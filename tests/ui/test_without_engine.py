"""The first use succeeds without an engine: QGIS itself computes the anchor and the bicubic enlargement."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from pytestqt.qtbot import QtBot
from qgis.core import Qgis, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QTimer

from headland.bridge.controller import EnhanceController
from headland.bridge.request import EnhanceRequest
from headland.engine import environment
from headland.engine.job import Method
from headland.tests.support.engines import make_fake_engine
from headland.tests.support.person import Person
from headland.tests.support.rasters import fields
from headland.tests.support.window import Window
from headland.tests.ui.conftest import AddLayer
from headland.ui.dock_widget import EnhanceDock

# Generous: on a quiet machine it takes some seconds.
MINUTE_MS = 60_000
ANCHOR, BICUBIC = "Anchor (no network)", "Bicubic (plain enlargement)"
CHAIN = "DIP, then Decrappify"


@pytest.fixture(autouse=True)
def no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where an engine would be; nothing is there."""
    folder = tmp_path / "no engine"
    folder.mkdir()
    monkeypatch.setenv(environment.LOCATION_VARIABLE, str(folder))
    return folder


def enhance(dock: EnhanceDock, qtbot: QtBot) -> None:
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    Person(qtbot).click(dock.enhance_button)
    qtbot.waitUntil(dock.run_box.isHidden, timeout=MINUTE_MS)


def test_a_click_puts_a_sharper_layer_on_the_map_within_a_minute_and_the_window_stays_alive(
    dock: EnhanceDock, add_layer: AddLayer, project: QgsProject, window: Window, qtbot: QtBot
) -> None:
    add_layer(bands=3, width_px=150, height_px=120)
    turns: list[float] = []
    timer = QTimer()
    timer.setInterval(10)
    timer.timeout.connect(lambda: turns.append(time.monotonic()))
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    timer.start()
    began = time.monotonic()
    enhance(dock, qtbot)
    timer.stop()
    assert time.monotonic() - began < MINUTE_MS / 1000
    (result,) = (layer for layer in project.mapLayers().values() if "×4" in layer.name())
    assert result.name() == "Fields 2024 ×4 anchor"
    assert (result.width(), result.height()) == (600, 480)
    assert window.message_bar.items()[0].level() == Qgis.MessageLevel.Success
    # Python's lock is let go of: never was the window deaf for half of the work.
    assert max(np.diff(turns)) < 0.5 * (turns[-1] - turns[0])
    assert len(turns) > 5
    assert "torch" not in sys.modules


def test_the_result_says_that_qgis_itself_made_it_and_how_closely_it_agrees(
    dock: EnhanceDock, add_layer: AddLayer, project: QgsProject, qtbot: QtBot
) -> None:
    add_layer(bands=1)
    enhance(dock, qtbot)
    (result,) = (layer for layer in project.mapLayers().values() if "×4" in layer.name())
    items = gdal.Open(result.source()).GetMetadata()
    assert items["HEADLAND_ENGINE"] == "numpy, inside QGIS"
    assert items["HEADLAND_METHOD"] == "anchor"
    assert items["HEADLAND_VERSIONS"].endswith(f"numpy {np.__version__}")
    assert any("Engine: numpy, inside QGIS" in line for line in result.metadata().history())
    report = json.loads(Path(result.source()).with_suffix(".report.json").read_text(encoding="utf-8"))
    assert report["engine"] == "numpy, inside QGIS"
    assert max(report["consistency"]["rmse_over_noise"]) < 1.2
    assert "Agrees with the source" in dock.result_panel.label.text()


def test_the_dock_says_what_works_and_offers_the_rest(dock: EnhanceDock, add_layer: AddLayer, qtbot: QtBot) -> None:
    add_layer()
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    assert "“Anchor” and “Bicubic” work without it" in dock.engine_offer.label.text()
    assert dock.set_up_button.isVisible()
    assert dock.method_box.currentText() == ANCHOR
    assert not dock.notice.isVisible()
    assert "in QGIS itself" in dock.estimate_label.text().replace("\N{NO-BREAK SPACE}", " ")
    names = [dock.method_box.itemText(row) for row in range(dock.method_box.count())]
    needy = [name for name in names if name.endswith(": needs the engine")]
    assert len(needy) == 3
    assert names[-2:] == [ANCHOR, BICUBIC]
    Person(qtbot).choose(dock.method_box, needy[0])
    qtbot.waitUntil(lambda: "set it up below, or choose “Anchor” or “Bicubic”" in dock.notice.sentence)
    # What is wrong is said once, beside the button that it stops.
    assert not dock.engine_offer.label.isVisible()
    assert dock.set_up_button.isVisible()
    assert dock.method_label.text().startswith("Needs the engine.")
    assert not dock.enhance_button.isEnabled()
    Person(qtbot).choose(dock.method_box, BICUBIC)
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    assert dock.engine_offer.label.isVisible()
    assert not dock.notice.isVisible()


def test_once_there_is_an_engine_the_usual_method_is_back(
    dock: EnhanceDock, add_layer: AddLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    add_layer()
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    assert dock.method_box.method is Method.ANCHOR
    monkeypatch.setenv(environment.LOCATION_VARIABLE, str(make_fake_engine(tmp_path / "engine").folder))
    dock.set_up_button.engine_changed.emit()
    qtbot.waitUntil(lambda: dock.method_box.currentText() == CHAIN)
    assert dock.engine_offer.isHidden()


def test_what_a_person_chose_meanwhile_stays_once_there_is_an_engine(
    dock: EnhanceDock, add_layer: AddLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    add_layer()
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    Person(qtbot).choose(dock.method_box, BICUBIC)
    monkeypatch.setenv(environment.LOCATION_VARIABLE, str(make_fake_engine(tmp_path / "engine").folder))
    dock.set_up_button.engine_changed.emit()
    qtbot.waitUntil(dock.engine_offer.isHidden)
    assert dock.method_box.currentText() == BICUBIC


def test_the_anchor_that_stood_in_is_not_remembered_as_a_choice(
    dock: EnhanceDock, add_layer: AddLayer, window: Window, controller: EnhanceController, qtbot: QtBot
) -> None:
    add_layer(bands=1)
    enhance(dock, qtbot)
    other = EnhanceDock(controller, window.canvas, window.message_bar, window)
    assert other.method_box.wished is Method.CHAIN
    assert other.method_box.method is Method.ANCHOR
    other.release()


def test_cancel_leaves_nothing(
    dock: EnhanceDock, add_layer: AddLayer, project: QgsProject, folder: Path, qtbot: QtBot
) -> None:
    add_layer(bands=3, width_px=500, height_px=500)
    before, layers = sorted(folder.iterdir()), len(project.mapLayers())
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    Person(qtbot).click(dock.enhance_button)
    qtbot.waitUntil(lambda: "tile" in dock.phase_label.text(), timeout=MINUTE_MS)
    Person(qtbot).click(dock.cancel_button)
    qtbot.waitUntil(dock.run_box.isHidden, timeout=MINUTE_MS)
    assert len(project.mapLayers()) == layers
    assert [file for file in sorted(folder.iterdir()) if file.suffix != ".xml"] == before


def test_a_quick_look_works_too(dock: EnhanceDock, add_layer: AddLayer, project: QgsProject, qtbot: QtBot) -> None:
    add_layer(bands=3, width_px=60, height_px=50)
    qtbot.waitUntil(dock.look_button.isEnabled)
    Person(qtbot).click(dock.look_button)
    qtbot.waitUntil(dock.run_box.isVisible, timeout=MINUTE_MS)
    qtbot.waitUntil(dock.run_box.isHidden, timeout=MINUTE_MS)
    assert dock.live_preview.has_picture
    assert len(project.mapLayers()) == 1


def test_bicubic_says_that_it_sharpens_nothing(dock: EnhanceDock, add_layer: AddLayer, qtbot: QtBot) -> None:
    add_layer(bands=1)
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    Person(qtbot).choose(dock.method_box, BICUBIC)
    enhance(dock, qtbot)
    assert "Softer than the source" in dock.result_panel.label.text()


def test_holes_stay_holes(dock: EnhanceDock, add_layer: AddLayer, project: QgsProject, qtbot: QtBot) -> None:
    values = fields(1, 48, 64)
    values[:, 10:20, 30:50] = 0
    layer = add_layer(values, nodata=0)
    enhance(dock, qtbot)
    (result,) = (other for other in project.mapLayers().values() if "×4" in other.name())
    expected = gdal.Open(layer.source()).ReadAsArray() == 0
    assert expected.any()
    np.testing.assert_array_equal(gdal.Open(result.source()).ReadAsArray() == 0, expected.repeat(4, 0).repeat(4, 1))


def test_borders_are_left_out_in_words(dock: EnhanceDock, add_layer: AddLayer, qtbot: QtBot) -> None:
    add_layer()
    dock.advanced_box.borders_box.setChecked(True)
    qtbot.waitUntil(lambda: "No field borders are traced: that needs the engine" in dock.notice.sentence)
    assert dock.enhance_button.isEnabled()
    assert isinstance(dock.layer_box.currentLayer(), QgsRasterLayer)


def test_what_is_chosen_by_a_preset_stays_and_what_stands_in_is_not_saved(
    dock: EnhanceDock, add_layer: AddLayer, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    add_layer()
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    saved: list[EnhanceRequest] = []
    monkeypatch.setattr(dock.advanced_box.preset_row, "save", saved.append)
    dock.advanced_box.preset_row.save_wanted.emit()
    assert saved[0].method is Method.CHAIN
    dock.advanced_box.preset_row.chosen.emit(saved[0])
    assert dock.request().method is Method.ANCHOR
    dock.advanced_box.preset_row.chosen.emit(replace(saved[0], method=Method.BICUBIC))
    assert (dock.request().method, dock.method_box.wished) == (Method.BICUBIC, Method.BICUBIC)
