"""Source and result are compared on the map: with a handle, with a key, and with a slider."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsMapRendererParallelJob, QgsProject, QgsRasterLayer, QgsRectangle
from qgis.gui import QgsLayerTreeMapCanvasBridge, QgsMessageViewer
from qgis.PyQt.QtCore import QObject, QPoint, Qt
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import QApplication

from headland.bridge.controller import EnhanceController
from headland.tests.support.engines import FakeEngine
from headland.tests.support.person import LEFT, Person
from headland.tests.support.window import Window, wait_for_map
from headland.tests.ui.conftest import AddLayer
from headland.ui.dock_widget import EnhanceDock
from headland.ui.swipe_item import SwipeItem

TIMEOUT_MS = 60_000
BLACK, WHITE = "#000000", "#ffffff"


def swipes(window: Window) -> list[SwipeItem]:
    return [item for item in window.canvas.scene().items() if isinstance(item, SwipeItem)]


def colours(window: Window) -> list[str]:
    """What a person sees at a tenth, four tenths, six tenths and nine tenths of the map, a little below its middle."""
    picture = window.canvas.viewport().grab().toImage()
    row = int(0.7 * picture.height())
    return [QColor(picture.pixel(int(share * picture.width()), row)).name() for share in (0.2, 0.4, 0.6, 0.8)]


@pytest.fixture
def result(
    dock: EnhanceDock, window: Window, add_layer: AddLayer, fake_engine: FakeEngine, qtbot: QtBot
) -> QgsRasterLayer:
    """A result, drawn all black so that it differs from its source, and the map of both."""
    source = add_layer(bands=3)
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    Person(qtbot).click(dock.enhance_button)
    qtbot.waitUntil(dock.run_box.isHidden, timeout=TIMEOUT_MS)
    (result,) = (layer for layer in QgsProject.instance().mapLayers().values() if layer is not source)
    result.brightnessFilter().setBrightness(-255)
    window.canvas.setLayers([result, source])
    extent = source.extent()
    extent.scale(0.8)
    window.canvas.setExtent(extent)
    wait_for_map(window, qtbot)
    return result


def compare(dock: EnhanceDock, window: Window, qtbot: QtBot) -> SwipeItem:
    Person(qtbot).click(dock.result_panel.compare_box.swipe_button)
    wait_for_map(window, qtbot)
    (item,) = swipes(window)
    qtbot.waitUntil(lambda: item.has_picture, timeout=TIMEOUT_MS)
    return item


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


def test_the_strength_mixes_result_and_source_without_touching_the_file(
    dock: EnhanceDock, window: Window, result: QgsRasterLayer, qtbot: QtBot
) -> None:
    box, written = dock.result_panel.compare_box, Path(result.source()).read_bytes()
    compare(dock, window, qtbot)
    Person(qtbot).click(box.swipe_button)
    assert colours(window) == [BLACK] * 4
    box.slider.setFocus()
    for _ in range(5):
        qtbot.keyClick(box.slider, Qt.Key.Key_PageDown)
    assert box.strength_label.text() == "50 %"
    assert result.opacity() == 0.5
    wait_for_map(window, qtbot)
    half = colours(window)
    qtbot.keyClick(box.slider, Qt.Key.Key_Home)
    wait_for_map(window, qtbot)
    source = colours(window)
    for mixed, whole in zip(half, source):
        for part in ("red", "green", "blue"):
            one, other = (getattr(QColor(name), part)() for name in (mixed, whole))
            assert abs(one - other / 2) <= 1.5
    assert Path(result.source()).read_bytes() == written


def is_ticked(layer: QgsRasterLayer) -> bool:
    return QgsProject.instance().layerTreeRoot().findLayer(layer.id()).itemVisibilityChecked()


@pytest.fixture
def newer(dock: EnhanceDock, window: Window, earlier: QgsRasterLayer) -> QgsRasterLayer:
    """A white result above the black earlier one, on a map that shows what the layer tree says."""
    QgsLayerTreeMapCanvasBridge(QgsProject.instance().layerTreeRoot(), window.canvas, window.canvas)
    newer = QgsProject.instance().mapLayer(dock.result_panel.compare_box.layer_id)
    earlier.brightnessFilter().setBrightness(-255)
    newer.brightnessFilter().setBrightness(255)
    return newer


def test_below_full_strength_the_source_shines_through_and_no_earlier_result(
    dock: EnhanceDock, window: Window, earlier: QgsRasterLayer, newer: QgsRasterLayer, qtbot: QtBot
) -> None:
    box = dock.result_panel.compare_box
    box.slider.setValue(0)
    qtbot.waitUntil(lambda: earlier not in window.canvas.layers())
    wait_for_map(window, qtbot)
    assert not {BLACK, WHITE} & set(colours(window))
    assert (is_ticked(newer), is_ticked(earlier)) == (True, False)
    box.slider.setValue(100)
    assert is_ticked(earlier)


def test_the_strength_of_a_result_under_another_one_is_seen(
    dock: EnhanceDock, window: Window, earlier: QgsRasterLayer, newer: QgsRasterLayer, qtbot: QtBot
) -> None:
    window.canvas.setCurrentLayer(earlier)
    dock.result_panel.compare_box.slider.setValue(0)
    qtbot.waitUntil(lambda: newer not in window.canvas.layers())
    wait_for_map(window, qtbot)
    assert not {BLACK, WHITE} & set(colours(window))
    dock.result_panel.compare_box.slider.setValue(100)
    assert is_ticked(newer)


def test_who_chooses_the_other_result_after_mixing_one_compares_that_one(
    dock: EnhanceDock, window: Window, earlier: QgsRasterLayer, newer: QgsRasterLayer, qtbot: QtBot
) -> None:
    dock.result_panel.compare_box.slider.setValue(0)
    window.canvas.setCurrentLayer(earlier)
    assert is_ticked(earlier)
    compare(dock, window, qtbot)
    qtbot.waitUntil(lambda: colours(window)[2:] == [BLACK] * 2, timeout=TIMEOUT_MS)
    window.canvas.setCurrentLayer(newer)
    assert (is_ticked(newer), is_ticked(earlier)) == (True, False)


def test_what_a_person_ticks_while_a_result_is_mixed_stays_ticked(dock: EnhanceDock, earlier: QgsRasterLayer) -> None:
    slider = dock.result_panel.compare_box.slider
    slider.setValue(40)
    QgsProject.instance().layerTreeRoot().findLayer(earlier.id()).setItemVisibilityChecked(True)
    slider.setValue(30)
    assert is_ticked(earlier)


@pytest.mark.parametrize("end", ["mixed one removed", "another one chosen and the mixed one removed", "let go of"])
def test_whatever_ends_the_mixing_the_earlier_result_is_back(
    dock: EnhanceDock, window: Window, earlier: QgsRasterLayer, end: str
) -> None:
    box = dock.result_panel.compare_box
    mixed_id = box.layer_id
    box.slider.setValue(40)
    assert not is_ticked(earlier)
    if end == "let go of":
        box.release()
        # The fixture lets go of the dock once more.
        dock.result_panel.compare_box = type(box)(window.canvas)
    else:
        if end.startswith("another"):
            window.canvas.setCurrentLayer(earlier)
        QgsProject.instance().removeMapLayer(mixed_id)
    assert is_ticked(earlier)


def test_the_strength_leaves_results_elsewhere_and_what_a_person_unticked_alone(
    dock: EnhanceDock, window: Window, result: QgsRasterLayer, qtbot: QtBot
) -> None:
    project = QgsProject.instance()
    beside, unticked = (project.addMapLayer(result.clone(), False) for _copy in range(2))
    extent = result.extent()
    beside.setExtent(QgsRectangle(extent.xMaximum(), extent.yMinimum(), extent.xMaximum() + 100, extent.yMaximum()))
    for layer in (beside, unticked):
        project.layerTreeRoot().insertLayer(1, layer).setItemVisibilityChecked(layer is beside)
    for value in (40, 100):
        dock.result_panel.compare_box.slider.setValue(value)
        assert (is_ticked(beside), is_ticked(unticked)) == (True, False)


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


@pytest.fixture
def three(dock: EnhanceDock, add_layer: AddLayer, fake_engine: FakeEngine, qtbot: QtBot) -> list[QgsRasterLayer]:
    """A result, Deep Image Prior's own picture and their source, as they lie in the layer tree."""
    source = add_layer(bands=3)
    dock.advanced_box.setCollapsed(False)
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    Person(qtbot).click(dock.advanced_box.dip_box)
    Person(qtbot).click(dock.enhance_button)
    qtbot.waitUntil(dock.run_box.isHidden, timeout=TIMEOUT_MS)
    group, below = QgsProject.instance().layerTreeRoot().children()
    assert group.name() == "Fields 2024 ×4 DIP + Decrappify"
    assert below.layer() == source
    return [*(node.layer() for node in group.children()), source]


def test_with_dips_own_picture_the_strength_goes_from_source_over_dip_to_the_result(
    dock: EnhanceDock, three: list[QgsRasterLayer], qtbot: QtBot
) -> None:
    result, dip, _source = three
    assert [layer.name() for layer in three] == [
        "Fields 2024 ×4 DIP + Decrappify",
        "Fields 2024 ×4 DIP alone",
        "Fields 2024",
    ]
    node = QgsProject.instance().layerTreeRoot().findLayer(dip.id())
    assert not node.itemVisibilityChecked()
    slider = dock.result_panel.compare_box.slider
    assert "DIP alone (middle)" in slider.toolTip()
    label = dock.result_panel.compare_box.middle_label
    assert label.text() == "DIP alone"
    assert label.isVisible()
    places = [widget.mapTo(dock, widget.rect().center()) for widget in (slider, label)]
    assert abs(places[0].x() - places[1].x()) <= 1
    assert places[0].y() < places[1].y()
    for value, opacities in ((75, (0.5, 1.0)), (50, (0.0, 1.0)), (20, (0.0, 0.4)), (0, (0.0, 0.0))):
        slider.setFocus()
        while slider.value() > value:
            qtbot.keyClick(slider, Qt.Key.Key_Left)
        assert (result.opacity(), dip.opacity()) == pytest.approx(opacities)
        assert node.itemVisibilityChecked()
    qtbot.keyClick(slider, Qt.Key.Key_End)
    assert result.opacity() == 1.0
    assert not node.itemVisibilityChecked()


def test_without_its_dip_layer_the_strength_mixes_source_and_result(
    dock: EnhanceDock, three: list[QgsRasterLayer], qtbot: QtBot
) -> None:
    result, dip, _source = three
    QgsProject.instance().removeMapLayer(dip.id())
    slider = dock.result_panel.compare_box.slider
    slider.setValue(50)
    assert result.opacity() == pytest.approx(0.5)
    # Its middle is nothing of its own.
    dock.result_panel.compare_box.show_for(result)
    assert not dock.result_panel.compare_box.middle_label.isVisible()


@pytest.fixture
def earlier(dock: EnhanceDock, result: QgsRasterLayer, qtbot: QtBot) -> QgsRasterLayer:
    """A result with a newer one above it."""
    Person(qtbot).click(dock.scale_buttons.button(2))
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    Person(qtbot).click(dock.enhance_button)
    qtbot.waitUntil(lambda: dock.result_panel.compare_box.layer_id != result.id(), timeout=TIMEOUT_MS)
    return result


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


def test_dips_own_picture_and_the_veil_stand_for_their_result(
    dock: EnhanceDock, window: Window, three: list[QgsRasterLayer]
) -> None:
    result, dip, _source = three
    window.canvas.setCurrentLayer(dip)
    assert dock.result_panel.compare_box.layer_id == result.id()


@pytest.fixture
def reopened(
    dock: EnhanceDock, add_layer: AddLayer, fake_engine: FakeEngine, folder: Path, qtbot: QtBot
) -> QgsRasterLayer:
    """A result in a project that was saved, closed and opened again."""
    add_layer(bands=3)
    dock.output_box.setFilePath(str(folder / "kept.tif"))
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    Person(qtbot).click(dock.enhance_button)
    qtbot.waitUntil(dock.run_box.isHidden, timeout=TIMEOUT_MS)
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
