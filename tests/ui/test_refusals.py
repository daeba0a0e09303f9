"""What stands in the way of an enhancement is said in the dock before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsApplication, QgsProject, QgsRectangle, QgsVectorLayer

from headland.engine import environment
from headland.tests.support.engines import FakeEngine
from headland.tests.support.person import Person
from headland.tests.support.window import Window
from headland.tests.ui.conftest import AddLayer
from headland.ui.dock_widget import EnhanceDock

pytestmark = pytest.mark.usefixtures("fake_engine")


def assert_refused(dock: EnhanceDock, engine: FakeEngine, qtbot: QtBot, sentence: str) -> None:
    """Check that the dock says ``sentence`` and that a click starts nothing."""
    qtbot.waitUntil(lambda: sentence in dock.notice.sentence)
    assert dock.notice.label.isVisible()
    assert dock.notice.sentence.count(". ") == 0
    assert dock.size_label.text() == ""
    assert not dock.enhance_button.isEnabled()
    Person(qtbot).click(dock.enhance_button)
    assert QgsApplication.taskManager().count() == 0
    assert not engine.pid_file.exists()


def test_no_layer(dock: EnhanceDock, fake_engine: FakeEngine, qtbot: QtBot) -> None:
    assert_refused(dock, fake_engine, qtbot, "No layer is chosen; choose a raster layer.")


def test_a_project_of_vector_layers_only(
    dock: EnhanceDock, fake_engine: FakeEngine, project: QgsProject, qtbot: QtBot
) -> None:
    project.addMapLayer(QgsVectorLayer("Polygon?crs=EPSG:32618", "Parcels", "memory"))
    assert_refused(dock, fake_engine, qtbot, "No layer is chosen; choose a raster layer.")


def test_a_map_that_does_not_touch_the_layer(
    dock: EnhanceDock, add_layer: AddLayer, window: Window, fake_engine: FakeEngine, qtbot: QtBot
) -> None:
    add_layer()
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    window.canvas.setExtent(QgsRectangle(100_000, 4_000_000, 101_000, 4_001_000))
    assert_refused(dock, fake_engine, qtbot, "The extent does not touch “Fields 2024”")


def test_a_paletted_layer(dock: EnhanceDock, add_layer: AddLayer, fake_engine: FakeEngine, qtbot: QtBot) -> None:
    add_layer(dtype="uint8", palette=True)
    assert_refused(dock, fake_engine, qtbot, "is paletted")


def test_a_layer_that_is_too_small(
    dock: EnhanceDock, add_layer: AddLayer, fake_engine: FakeEngine, qtbot: QtBot
) -> None:
    add_layer(width_px=15)
    assert_refused(dock, fake_engine, qtbot, "at least 16 × 16 are needed")


def test_a_missing_engine(
    dock: EnhanceDock,
    add_layer: AddLayer,
    fake_engine: FakeEngine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    monkeypatch.setenv(environment.LOCATION_VARIABLE, str(tmp_path / "nothing here"))
    add_layer()
    qtbot.waitUntil(dock.engine_offer.isVisible)
    Person(qtbot).choose(dock.method_box, "DIP, then Decrappify: needs the engine")
    assert_refused(dock, fake_engine, qtbot, "engine is not set up; set it up below")


def test_a_layer_that_is_enhanced_already_is_warned_of_and_can_be_enhanced_all_the_same(
    dock: EnhanceDock, add_layer: AddLayer, fake_engine: FakeEngine, qtbot: QtBot
) -> None:
    add_layer(metadata={"HEADLAND_NATURE": "enhanced, not measured"})
    qtbot.waitUntil(lambda: dock.notice.sentence.startswith("This layer is enhanced already"))
    assert dock.notice.isVisible()
    assert dock.size_label.text()
    assert dock.enhance_button.isEnabled()


def test_a_read_only_output_folder(
    dock: EnhanceDock, add_layer: AddLayer, fake_engine: FakeEngine, qtbot: QtBot
) -> None:
    add_layer()
    # Read-only for everybody, also for the superuser who runs tests in a container.
    Person(qtbot).type(dock.output_box.lineEdit(), "/proc/sharper.tif")
    assert_refused(dock, fake_engine, qtbot, "cannot be written to")


def test_the_way_is_free_again_once_the_problem_is_mended(
    dock: EnhanceDock, add_layer: AddLayer, tmp_path: Path, qtbot: QtBot
) -> None:
    add_layer()
    person = Person(qtbot)
    person.type(dock.output_box.lineEdit(), str(tmp_path / "sharper.png"))
    qtbot.waitUntil(lambda: "has to end with .tif" in dock.notice.sentence)
    person.type(dock.output_box.lineEdit(), str(tmp_path / "sharper.tif"))
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    assert not dock.notice.isVisible()
    assert dock.size_label.text().replace("\N{NO-BREAK SPACE}", " ") == "40 × 32 px become 160 × 128 px of 2.5 m"


def test_removing_the_chosen_layer_moves_on_to_what_the_list_then_shows(
    dock: EnhanceDock, add_layer: AddLayer, project: QgsProject, qtbot: QtBot
) -> None:
    first = add_layer(name="A", bands=1)
    second = add_layer(name="B", bands=3)
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    assert dock.layer_box.currentLayer() == first
    project.removeMapLayer(first.id())
    assert dock.layer_box.currentLayer() == second
    assert dock.advanced_box.bands_box.count() == 3


def test_removing_the_only_layer_is_noticed(
    dock: EnhanceDock, add_layer: AddLayer, project: QgsProject, fake_engine: FakeEngine, qtbot: QtBot
) -> None:
    layer = add_layer()
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    project.removeMapLayer(layer.id())
    assert_refused(dock, fake_engine, qtbot, "No layer is chosen")
