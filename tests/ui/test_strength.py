"""How much of a result is shown: mixed with its source, with Deep Image Prior's picture between, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsProject, QgsRasterLayer, QgsRectangle
from qgis.gui import QgsLayerTreeMapCanvasBridge
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor

from headland.tests.support.comparing import BLACK, WHITE, colours, compare
from headland.tests.support.engines import FakeEngine
from headland.tests.support.person import Person
from headland.tests.support.window import Window, wait_for_map
from headland.tests.ui.conftest import AddLayer
from headland.ui.dock_widget import EnhanceDock

TIMEOUT_MS = 60_000


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


def test_dips_own_picture_and_the_veil_stand_for_their_result(
    dock: EnhanceDock, window: Window, three: list[QgsRasterLayer]
) -> None:
    result, dip, _source = three
    window.canvas.setCurrentLayer(dip)
    assert dock.result_panel.compare_box.layer_id == result.id()
