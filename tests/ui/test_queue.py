"""Several extents one after another: what a person sees and does while they wait."""

from __future__ import annotations

from pathlib import Path

from pytestqt.qtbot import QtBot
from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransform, QgsProject, QgsRectangle
from qgis.PyQt.QtWidgets import QToolButton

from headland.tests.support.fixtures import UseEngine
from headland.tests.support.person import Person
from headland.tests.support.window import Window
from headland.tests.ui.conftest import AddLayer
from headland.ui.dock_widget import EnhanceDock
from headland.ui.elided_label import ElidedLabel
from headland.ui.queue_box import MOST_ROWS_SHOWN

TIMEOUT_MS = 60_000


def rows(dock: EnhanceDock) -> list[str]:
    return [label.whole_text for label in dock.queue_box.findChildren(ElidedLabel)]


def row_buttons(dock: EnhanceDock, name: str) -> list[QToolButton]:
    return [button for button in dock.queue_box.findChildren(QToolButton) if button.accessibleName().startswith(name)]


def choose_scale(dock: EnhanceDock, person: Person, factor: int) -> None:
    person.click(dock.scale_buttons.button(factor))


def queue_two_others(dock: EnhanceDock, person: Person) -> None:
    choose_scale(dock, person, 2)
    person.click(dock.enhance_button)
    person.choose(dock.method_box, "Anchor (no network)")
    person.click(dock.enhance_button)


def test_a_click_while_one_is_at_work_queues_another_and_all_come_onto_the_map(
    dock: EnhanceDock, add_layer: AddLayer, project: QgsProject, use_engine: UseEngine, person: Person, qtbot: QtBot
) -> None:
    use_engine("obedient")
    add_layer()
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    person.click(dock.enhance_button)
    queue_two_others(dock, person)
    assert dock.queue_box.isVisible()
    assert dock.queue_box.count_label.text() == "Waiting: 2"
    assert rows(dock) == ["Fields 2024, 40 × 32 px, ×2"] * 2
    assert dock.run_box.title_label.whole_text == "Fields 2024, 40 × 32 px, ×4"
    for _ in range(3):
        qtbot.waitUntil(lambda: dock.phase_label.text().startswith("Pretending"), timeout=TIMEOUT_MS)
        count = len(project.mapLayers())
        person.click(dock.run_box.finish_button)
        qtbot.waitUntil(lambda count=count: len(project.mapLayers()) == count + 1, timeout=TIMEOUT_MS)
    qtbot.waitUntil(dock.run_box.isHidden)
    assert not dock.queue_box.isVisible()
    names = sorted(layer.name() for layer in project.mapLayers().values())
    # What stopped says here that the anchor took the place of Deep Image Prior.
    assert names == [
        "Fields 2024",
        "Fields 2024 ×2 anchor + Decrappify, stopped",
        "Fields 2024 ×2 anchor, stopped",
        "Fields 2024 ×4 anchor + Decrappify, stopped",
    ]


def test_a_double_click_does_not_enhance_twice(busy_dock: EnhanceDock, person: Person) -> None:
    person.click(busy_dock.enhance_button)
    assert not busy_dock.queue_box.isVisible()
    assert busy_dock.notice.sentence.startswith("This extent is being enhanced with these settings already")
    assert busy_dock.enhance_button.isEnabled()


def test_one_of_them_or_all_can_be_taken_out(
    busy_dock: EnhanceDock, project: QgsProject, person: Person, qtbot: QtBot
) -> None:
    dock = busy_dock
    (layer,) = project.mapLayers().values()
    queue_two_others(dock, person)
    person.click(row_buttons(dock, "Remove")[0])
    qtbot.waitUntil(lambda: len(rows(dock)) == 1)
    person.click(dock.enhance_button)
    assert dock.notice.sentence.startswith("This extent is being enhanced")
    person.choose(dock.method_box, "Decrappify only")
    person.click(dock.enhance_button)
    assert len(rows(dock)) == 2
    person.click(dock.queue_box.clear_button)
    assert not dock.queue_box.isVisible()
    assert dock.run_box.isVisible()
    person.click(dock.cancel_button)
    qtbot.waitUntil(dock.run_box.isHidden, timeout=TIMEOUT_MS)
    assert list(project.mapLayers().values()) == [layer]


def test_where_one_lies_is_shown_on_the_map_and_the_map_goes_there(
    busy_dock: EnhanceDock, project: QgsProject, window: Window, person: Person, qtbot: QtBot
) -> None:
    dock = busy_dock
    (layer,) = project.mapLayers().values()
    queue_two_others(dock, person)
    extent, shown = layer.extent(), window.canvas.extent()
    before = len(window.canvas.scene().items())
    person.click(row_buttons(dock, "Show")[0])
    assert window.canvas.extent() == shown
    # QGIS flashes with a rubber band that goes by itself.
    assert len(window.canvas.scene().items()) == before + 1
    window.canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:4326"))
    window.canvas.setExtent(QgsRectangle(10.0, 10.0, 10.1, 10.1))
    person.click(row_buttons(dock, "Show")[0])
    to_map = QgsCoordinateTransform(layer.crs(), QgsCoordinateReferenceSystem("EPSG:4326"), project)
    assert window.canvas.extent().contains(to_map.transformBoundingBox(extent))
    qtbot.waitUntil(lambda: len(window.canvas.scene().items()) == before, timeout=TIMEOUT_MS)


def test_a_file_name_typed_for_the_next_run_stays_when_the_one_at_work_is_done(
    dock: EnhanceDock, add_layer: AddLayer, use_engine: UseEngine, folder: Path, person: Person, qtbot: QtBot
) -> None:
    use_engine("obedient")
    add_layer()
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    person.click(dock.enhance_button)
    dock.output_box.setFilePath(str(folder / "next.tif"))
    qtbot.waitUntil(lambda: dock.phase_label.text().startswith("Pretending"), timeout=TIMEOUT_MS)
    person.click(dock.run_box.finish_button)
    qtbot.waitUntil(dock.run_box.isHidden, timeout=TIMEOUT_MS)
    assert dock.request().output == folder / "next.tif"


def test_a_long_queue_is_scrolled_and_leaves_the_settings_their_room(
    busy_dock: EnhanceDock, person: Person, qtbot: QtBot
) -> None:
    dock = busy_dock
    for seed in range(1, 9):
        dock.advanced_box.seed_box.setValue(seed)
        person.click(dock.enhance_button)
        if seed == MOST_ROWS_SHOWN:
            qtbot.wait(100)
            height_px = dock.queue_box.height()
    qtbot.wait(100)
    assert len(rows(dock)) == 8
    assert dock.queue_box.height() == height_px
