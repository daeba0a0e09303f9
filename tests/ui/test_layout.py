"""Nothing in the dock is cut off or covers something else, in a narrow dock and in a wide one."""

from __future__ import annotations

from itertools import combinations

import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import QPoint, QRect
from qgis.PyQt.QtWidgets import (
    QAbstractButton,
    QAbstractScrollArea,
    QAbstractSpinBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QProgressBar,
    QScrollBar,
    QWidget,
)

from headland.tests.support.engines import FakeEngine
from headland.tests.support.fixtures import UseEngine
from headland.tests.support.person import Person
from headland.tests.support.web_server import WebServer
from headland.tests.ui.conftest import AddLayer
from headland.ui.dock_widget import EnhanceDock

NARROW_PX, WIDE_PX = 320, 480
HEIGHT_PX = 640
# What a person reads or clicks; the parts that these are made of are Qt's own business.
CONTROLS = (QAbstractButton, QAbstractSpinBox, QComboBox, QLabel, QLineEdit, QProgressBar)

pytestmark = pytest.mark.parametrize("width_px", [NARROW_PX, WIDE_PX])


def shrink(dock: EnhanceDock, qtbot: QtBot, width_px: int) -> None:
    dock.setFloating(True)
    dock.resize(width_px, HEIGHT_PX)
    # Labels that wrap ask for their height once they know their width.
    qtbot.wait(300)
    assert dock.width() == width_px


def controls(dock: EnhanceDock) -> list[QWidget]:
    """The visible controls, each as a whole."""
    found = [widget for widget in dock.widget().findChildren(QWidget) if widget.isVisible()]
    return [
        widget
        for widget in found
        if isinstance(widget, CONTROLS) and not isinstance(widget.parentWidget(), (*CONTROLS, QScrollBar))
    ]


def place(widget: QWidget, dock: EnhanceDock) -> QRect:
    return QRect(widget.mapTo(dock, QPoint(0, 0)), widget.size())


def seen(widget: QWidget, dock: EnhanceDock) -> QRect:
    """Return the part of its place that is not scrolled out of sight."""
    area = dock.findChild(QAbstractScrollArea)
    where = place(widget, dock)
    return where.intersected(place(area.viewport(), dock)) if area.isAncestorOf(widget) else where


def describe(widget: QWidget) -> str:
    text = widget.text() if hasattr(widget, "text") else widget.accessibleName()
    return f"{type(widget).__name__} “{text}”"


def assert_readable(dock: EnhanceDock) -> None:
    """Check that each control has room for what it shows and lies inside the dock, apart from all others."""
    found = controls(dock)
    assert len(found) > 12
    room = dock.width()
    scroll_bar = dock.findChild(QAbstractScrollArea).verticalScrollBar()
    if scroll_bar.isVisible():
        room -= scroll_bar.width()
    for widget in found:
        where = place(widget, dock)
        assert where.left() >= 0, describe(widget)
        assert where.right() < (room if dock.findChild(QAbstractScrollArea).isAncestorOf(widget) else dock.width())
        needed = widget.minimumSizeHint()
        assert widget.width() >= needed.width(), describe(widget)
        assert widget.height() >= needed.height(), describe(widget)
        if isinstance(widget, QLabel) and widget.wordWrap() and widget.text():
            assert widget.height() >= widget.heightForWidth(widget.width()), describe(widget)
            longest = max(widget.text().split(), key=len)
            assert widget.fontMetrics().horizontalAdvance(longest) <= widget.width() + 1, describe(widget)
    for one, other in combinations(found, 2):
        if not (one.isAncestorOf(other) or other.isAncestorOf(one)):
            assert not seen(one, dock).intersects(seen(other, dock)), f"{describe(one)} on {describe(other)}"


def test_when_it_is_ready(
    dock: EnhanceDock, add_layer: AddLayer, fake_engine: FakeEngine, qtbot: QtBot, width_px: int
) -> None:
    add_layer(name="S2A_MSIL1C_20200101T000000_N0208_R001_T18SVG_20200101T000000_10m", bands=4)
    shrink(dock, qtbot, width_px)
    assert dock.size_label.text()
    assert_readable(dock)


def test_with_a_web_layer(
    dock: EnhanceDock, web: WebServer, project: QgsProject, fake_engine: FakeEngine, qtbot: QtBot, width_px: int
) -> None:
    dock.layer_box.setLayer(project.addMapLayer(web.xyz_layer()))
    shrink(dock, qtbot, width_px)
    field = dock.resolution_box.lineEdit()
    assert dock.resolution_box.isVisible()
    assert field.fontMetrics().horizontalAdvance(field.text()) < field.width()
    assert_readable(dock)


def test_with_the_advanced_settings_unfolded(
    dock: EnhanceDock, add_layer: AddLayer, fake_engine: FakeEngine, qtbot: QtBot, width_px: int
) -> None:
    add_layer(bands=4)
    dock.advanced_box.setCollapsed(False)
    Person(qtbot).choose(dock.advanced_box.sensor_box, "Custom MTF")
    shrink(dock, qtbot, width_px)
    assert_readable(dock)


def test_with_every_method(
    dock: EnhanceDock, add_layer: AddLayer, fake_engine: FakeEngine, qtbot: QtBot, width_px: int
) -> None:
    add_layer()
    shrink(dock, qtbot, width_px)
    for row in range(dock.method_box.count()):
        Person(qtbot).choose(dock.method_box, dock.method_box.itemText(row))
        qtbot.wait(200)
        assert_readable(dock)


def test_with_a_problem(
    dock: EnhanceDock, add_layer: AddLayer, use_engine: UseEngine, qtbot: QtBot, width_px: int
) -> None:
    use_engine("repeat")
    add_layer(dtype="uint8", palette=True)
    shrink(dock, qtbot, width_px)
    assert dock.notice.isVisible()
    assert_readable(dock)


def test_while_it_runs(
    dock: EnhanceDock, add_layer: AddLayer, use_engine: UseEngine, qtbot: QtBot, width_px: int
) -> None:
    engine = use_engine("hang")
    add_layer()
    shrink(dock, qtbot, width_px)
    person = Person(qtbot)
    person.click(dock.enhance_button)
    engine.wait_for_worker()
    qtbot.waitUntil(lambda: dock.phase_label.text().startswith("Pretending"))
    qtbot.wait(200)
    assert_readable(dock)
    person.click(dock.cancel_button)
    qtbot.waitUntil(dock.run_box.isHidden)


def test_with_a_queue(
    dock: EnhanceDock, add_layer: AddLayer, use_engine: UseEngine, qtbot: QtBot, width_px: int
) -> None:
    use_engine("hang")
    add_layer(name="S2A_MSIL1C_20200101T000000_N0208_R001_T18SVG_20200101T000000_10m")
    shrink(dock, qtbot, width_px)
    person = Person(qtbot)
    for seed in range(4):
        dock.advanced_box.seed_box.setValue(seed)
        person.click(dock.enhance_button)
    qtbot.wait(200)
    assert dock.queue_box.isVisible()
    assert_readable(dock)
    person.click(dock.queue_box.clear_button)
    person.click(dock.cancel_button)
    qtbot.waitUntil(dock.run_box.isHidden)


def test_with_a_result(
    dock: EnhanceDock, add_layer: AddLayer, use_engine: UseEngine, qtbot: QtBot, width_px: int
) -> None:
    use_engine("obedient")
    add_layer(bands=3)
    shrink(dock, qtbot, width_px)
    person = Person(qtbot)
    person.click(dock.enhance_button)
    qtbot.waitUntil(lambda: dock.phase_label.text().startswith("Pretending"))
    person.click(dock.run_box.finish_button)
    qtbot.waitUntil(dock.run_box.isHidden)
    qtbot.wait(300)
    assert "Stopped early" in dock.result_panel.label.text()
    assert_readable(dock)
    for button in dock.result_panel.findChildren(QAbstractButton):
        assert button.toolTip() or not button.text()


def test_with_a_quick_look(
    dock: EnhanceDock, add_layer: AddLayer, use_engine: UseEngine, qtbot: QtBot, width_px: int
) -> None:
    use_engine("draw")
    add_layer(bands=3)
    shrink(dock, qtbot, width_px)
    person = Person(qtbot)
    person.click(dock.look_button)
    qtbot.waitUntil(lambda: dock.live_preview.has_picture)
    assert_readable(dock)
    person.click(dock.run_box.finish_button)
    qtbot.waitUntil(lambda: dock.look_button.text() == "End quick look")
    qtbot.wait(100)
    assert_readable(dock)


def test_with_the_extent_of_a_layer_with_a_long_name(
    dock: EnhanceDock, add_layer: AddLayer, project: QgsProject, fake_engine: FakeEngine, qtbot: QtBot, width_px: int
) -> None:
    raster = add_layer()
    name = "parcels_of_the_whole_county_as_of_january_2024_with_owners_and_without_those_of_the_state"
    project.addMapLayer(raster.clone()).setName(name)
    project.addMapLayer(QgsVectorLayer("Polygon?crs=EPSG:32618", "empty", "memory"))
    Person(qtbot).choose_in_menu(dock.extent_row.button, "Another layer", name)
    shrink(dock, qtbot, width_px)
    label = dock.extent_row.label
    assert label.fontMetrics().horizontalAdvance(label.text()) <= label.width()
    assert label.text()[:7] == name[:7]
    assert label.toolTip() == name
    assert_readable(dock)
