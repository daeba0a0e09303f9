"""Source and result are compared on the map: with a handle and with a key."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsMapRendererParallelJob, QgsProject, QgsRasterLayer
from qgis.gui import QgsMessageViewer
from qgis.PyQt.QtCore import QObject, QPoint, Qt
from qgis.PyQt.QtWidgets import QApplication

from headland.bridge.controller import EnhanceController
from headland.tests.support.comparing import BLACK, WHITE, colours, compare, swipes
from headland.tests.support.engines import FakeEngine
from headland.tests.support.person import LEFT, Person
from headland.tests.support.window import Window, wait_for_map
from headland.tests.ui.conftest import AddLayer, enhance
from headland.ui.dock_widget import EnhanceDock

TIMEOUT_MS = 60_000


def test_there_is_nothing_to_compare_before_the_first_result(dock: EnhanceDock) -> None:
    assert not dock.result_panel.isVisible()


def test_a_handle_uncovers_the_source_as_far_as_it_is_dragged(
    dock: EnhanceDock, window: Window, result: QgsRasterLayer, qtbot: QtBot
) -> None:
    assert dock.result_panel.isVisible()
    assert colours(window) == [BLACK] * 4
    compare(dock, window, qtbot)
    seen = colours(window)
    assert BLACK not in seen[:2]
    assert seen[2:] == [BLACK] * 2
    surface, width = window.canvas.viewport(), window.canvas.width()
    qtbot.mousePress(surface, LEFT, pos=QPoint(width // 2, 300))
    qtbot.mouseMove(surface, QPoint(int(0.7 * width), 320))
    qtbot.mouseRelease(surface, LEFT, pos=QPoint(int(0.7 * width), 320))
    seen = colours(window)
    assert BLACK not in seen[:3]
    assert seen[3] == BLACK


def test_another_result_below_is_not_shown_as_the_source(
    dock: EnhanceDock, window: Window, result: QgsRasterLayer, qtbot: QtBot
) -> None:
    earlier = result.clone()
    QgsProject.instance().addMapLayer(earlier)
    (source,) = (layer for layer in window.canvas.layers() if layer is not result)
    window.canvas.setLayers([result, earlier, source])
    compare(dock, window, qtbot)
    seen = colours(window)
    assert BLACK not in seen[:2]
    assert seen[2:] == [BLACK] * 2


@pytest.fixture
def white(result: QgsRasterLayer, window: Window) -> QgsRasterLayer:
    """An earlier result, drawn all white, below the black one."""
    white = QgsProject.instance().addMapLayer(result.clone())
    white.brightnessFilter().setBrightness(255)
    black, source = window.canvas.layers()
    window.canvas.setLayers([black, white, source])
    return white


def test_the_comparison_goes_on_with_the_other_result_that_is_chosen(
    dock: EnhanceDock, window: Window, result: QgsRasterLayer, white: QgsRasterLayer, qtbot: QtBot
) -> None:
    item = compare(dock, window, qtbot)
    item.move_to(0.7 * window.canvas.width())
    window.canvas.setCurrentLayer(white)
    assert dock.result_panel.compare_box.swipe_button.isChecked()
    assert swipes(window) == [item]
    # The black one above it does not hide it.
    qtbot.waitUntil(lambda: colours(window)[3] == WHITE, timeout=TIMEOUT_MS)
    assert not {BLACK, WHITE} & set(colours(window)[:3])
    window.canvas.setCurrentLayer(result)
    qtbot.waitUntil(lambda: colours(window)[3] == BLACK, timeout=TIMEOUT_MS)


def test_the_strength_of_a_result_under_another_one_is_seen_while_it_is_compared(
    dock: EnhanceDock, window: Window, white: QgsRasterLayer, qtbot: QtBot
) -> None:
    compare(dock, window, qtbot)
    window.canvas.setCurrentLayer(white)
    qtbot.waitUntil(lambda: colours(window)[3] == WHITE, timeout=TIMEOUT_MS)
    dock.result_panel.compare_box.slider.setValue(0)
    qtbot.waitUntil(lambda: colours(window)[3] not in (BLACK, WHITE), timeout=TIMEOUT_MS)


def test_without_its_source_there_is_nothing_to_compare(
    dock: EnhanceDock, window: Window, result: QgsRasterLayer, qtbot: QtBot
) -> None:
    compare(dock, window, qtbot)
    (source,) = (layer for layer in window.canvas.layers() if layer is not result)
    QgsProject.instance().removeMapLayer(source)
    assert not dock.result_panel.compare_box.isEnabled()
    assert swipes(window) == []


def test_the_handle_stays_while_the_map_moves(
    dock: EnhanceDock, window: Window, result: QgsRasterLayer, qtbot: QtBot
) -> None:
    item = compare(dock, window, qtbot)
    window.canvas.zoomIn()
    assert not item.has_picture
    wait_for_map(window, qtbot)
    qtbot.waitUntil(lambda: item.has_picture, timeout=TIMEOUT_MS)
    seen = colours(window)
    assert BLACK not in seen[:2]
    assert seen[2:] == [BLACK] * 2


def test_a_key_that_is_held_shows_the_source_alone(
    dock: EnhanceDock, window: Window, result: QgsRasterLayer, qtbot: QtBot
) -> None:
    compare(dock, window, qtbot)
    qtbot.keyPress(window.canvas, Qt.Key.Key_F)
    assert BLACK not in colours(window)
    qtbot.keyRelease(window.canvas, Qt.Key.Key_F)
    assert colours(window)[2:] == [BLACK] * 2


def test_a_dock_that_is_let_go_of_in_mid_comparison_leaves_the_map_as_before(
    dock: EnhanceDock, window: Window, result: QgsRasterLayer, qtbot: QtBot
) -> None:
    before = len(window.canvas.scene().items())
    compare(dock, window, qtbot)
    dock.result_panel.compare_box.release()
    assert len(window.canvas.scene().items()) == before
    assert window.canvas.mapTool() is window.pan_tool
    window.canvas.zoomIn()
    qtbot.wait(300)
    # The fixture lets go of the dock once more.
    dock.result_panel.compare_box = type(dock.result_panel.compare_box)(window.canvas)


def test_a_drawing_that_is_given_up_lives_until_it_is_over_and_no_longer(
    dock: EnhanceDock, window: Window, result: QgsRasterLayer, qtbot: QtBot
) -> None:
    def drawings() -> list[QgsMapRendererParallelJob]:
        return window.canvas.findChildren(QgsMapRendererParallelJob)

    before = len(drawings())
    item = compare(dock, window, qtbot)
    qtbot.waitUntil(lambda: len(drawings()) == before)
    with qtbot.waitSignal(window.canvas.extentsChanged):
        window.canvas.zoomIn()
    qtbot.waitUntil(lambda: len(drawings()) > before)
    assert not item.has_picture
    Person(qtbot).click(dock.result_panel.compare_box.swipe_button)
    assert swipes(window) == []
    del item
    assert len(drawings()) > before
    qtbot.waitUntil(lambda: len(drawings()) == before)


@pytest.mark.parametrize("end", ["button", "other tool", "remove", "clear"])
def test_however_it_ends_the_map_is_as_before(
    dock: EnhanceDock, window: Window, result: QgsRasterLayer, qtbot: QtBot, end: str
) -> None:
    before = len(window.canvas.scene().items())
    box = dock.result_panel.compare_box
    compare(dock, window, qtbot)
    assert window.canvas.mapTool() is box.tool
    if end == "button":
        Person(qtbot).click(box.swipe_button)
    elif end == "other tool":
        window.canvas.setMapTool(window.pan_tool)
    elif end == "remove":
        window.canvas.setLayers([])
        QgsProject.instance().removeMapLayer(result.id())
        assert not box.isEnabled()
    else:
        QgsProject.instance().clear()
        assert not box.isEnabled()
    assert swipes(window) == []
    assert len(window.canvas.scene().items()) == before
    assert window.canvas.mapTool() is window.pan_tool
    assert not box.swipe_button.isChecked()
    qtbot.wait(200)


def test_the_result_that_is_chosen_in_the_layer_tree_is_the_one_that_is_compared(
    dock: EnhanceDock, window: Window, earlier: QgsRasterLayer
) -> None:
    panel, newer = dock.result_panel, QgsProject.instance().mapLayer(dock.result_panel.compare_box.layer_id)
    assert panel.name_label.whole_text == newer.name() == "Fields 2024 ×2 DIP + Decrappify"
    window.canvas.setCurrentLayer(earlier)
    assert panel.compare_box.layer_id == earlier.id()
    assert panel.name_label.whole_text == "Fields 2024 ×4 DIP + Decrappify"
    assert panel.command_button.isEnabled()
    panel.compare_box.slider.setValue(30)
    assert (earlier.opacity(), newer.opacity()) == (pytest.approx(0.3), 1.0)
    window.canvas.setCurrentLayer(newer)
    assert panel.compare_box.slider.value() == 100


def test_what_is_no_result_changes_nothing(
    dock: EnhanceDock, window: Window, result: QgsRasterLayer, qtbot: QtBot
) -> None:
    compare(dock, window, qtbot)
    (source,) = (layer for layer in window.canvas.layers() if layer is not result)
    for chosen in (source, None):
        window.canvas.setCurrentLayer(chosen)
        assert dock.result_panel.compare_box.layer_id == result.id()
        assert dock.result_panel.compare_box.swipe_button.isChecked()


@pytest.fixture
def reopened(
    dock: EnhanceDock, add_layer: AddLayer, fake_engine: FakeEngine, folder: Path, qtbot: QtBot
) -> QgsRasterLayer:
    """A result in a project that was saved, closed and opened again."""
    add_layer(bands=3)
    dock.output_box.setFilePath(str(folder / "kept.tif"))
    enhance(dock, qtbot)
    project = QgsProject.instance()
    assert project.write(str(folder / "fields.qgs"))
    project.clear()
    assert project.read(str(folder / "fields.qgs"))
    (result,) = project.mapLayersByName("Fields 2024 ×4 DIP + Decrappify")
    return result


def test_a_result_of_a_project_that_was_opened_again_can_be_compared_and_its_report_read(
    window: Window, reopened: QgsRasterLayer, controller: EnhanceController, qtbot: QtBot
) -> None:
    later = EnhanceDock(controller, window.canvas, window.message_bar, window)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, later)
    later.show()
    panel = later.result_panel
    assert not panel.isVisible()
    window.canvas.setLayers(list(QgsProject.instance().mapLayers().values()))
    window.canvas.setCurrentLayer(reopened)
    assert panel.label.text() == "Made earlier."
    assert not panel.command_button.isEnabled()
    Person(qtbot).click(panel.compare_box.swipe_button)
    assert len(swipes(window)) == 1
    Person(qtbot).click(panel.compare_box.swipe_button)
    Person(qtbot).click(panel.report_button)
    (viewer,) = (widget for widget in QApplication.topLevelWidgets() if isinstance(widget, QgsMessageViewer))
    assert '"method": "chain"' in viewer.findChild(QObject, "txtMessage").toPlainText()
    viewer.reject()
    later.release()
