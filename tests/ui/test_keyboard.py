"""The dock is used without a mouse, and by people who hear it instead of seeing it."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsProject
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QScrollBar,
    QWidget,
)

from headland.tests.support.fixtures import UseEngine
from headland.tests.ui.conftest import AddLayer
from headland.ui.dock_widget import EnhanceDock

TIMEOUT_MS = 60_000
CONTROLS = (QAbstractButton, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit)


def controls(dock: EnhanceDock) -> list[QWidget]:
    """What a person can operate now, each as a whole."""
    return [
        widget
        for widget in dock.widget().findChildren(QWidget)
        if isinstance(widget, CONTROLS)
        and not isinstance(widget, QScrollBar)
        and not isinstance(widget.parentWidget(), CONTROLS)
        and widget.isVisible()
        and widget.isEnabled()
    ]


def named(widget: QWidget) -> str:
    """The name that a screen reader says: the widget's own, or that of the field that it is a part of."""
    parent = widget.parentWidget()
    return widget.accessibleName() or parent.accessibleName() or parent.parentWidget().accessibleName()


def explained(widget: QWidget) -> str:
    parent = widget.parentWidget()
    return widget.toolTip() or parent.toolTip() or parent.parentWidget().toolTip()


@pytest.fixture
def ready(dock: EnhanceDock, add_layer: AddLayer, use_engine: UseEngine, qtbot: QtBot) -> EnhanceDock:
    use_engine("obedient")
    add_layer(bands=3)
    dock.advanced_box.setCollapsed(False)
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    dock.activateWindow()
    return dock


def tabbed(dock: EnhanceDock, qtbot: QtBot) -> list[QWidget]:
    """Go once around with the Tab key, and return what had the focus."""
    dock.layer_box.setFocus()
    seen: list[QWidget] = []
    for _ in range(60):
        widget = QApplication.focusWidget()
        if widget in seen:
            break
        seen.append(widget)
        qtbot.keyClick(widget, Qt.Key.Key_Tab)
    return seen


def test_the_tab_key_reaches_every_control_in_the_order_of_the_work(ready: EnhanceDock, qtbot: QtBot) -> None:
    seen = tabbed(ready, qtbot)
    reached = {id(part) for widget in seen for part in (widget, widget.parentWidget(), widget.focusProxy())}
    radios = {id(ready.scale_buttons.button(2))}
    # Of buttons that exclude each other the Tab key finds the one that is on, and the arrows the others.
    missed = [named(widget) for widget in controls(ready) if id(widget) not in reached and id(widget) not in radios]
    assert missed == []
    order = [ready.layer_box, ready.extent_row.button, ready.method_box, ready.scale_buttons.button(4)]
    places = [seen.index(widget) for widget in order]
    assert places == sorted(places)
    assert seen.index(ready.enhance_button) > places[-1]


def test_every_control_has_a_name_and_an_explanation(ready: EnhanceDock) -> None:
    found = controls(ready)
    assert len(found) > 15
    assert [type(widget).__name__ for widget in found if not named(widget)] == []
    assert [named(widget) for widget in found if not explained(widget)] == []


def test_an_extent_is_enhanced_queued_stopped_and_cancelled_by_keys_alone(ready: EnhanceDock, qtbot: QtBot) -> None:
    ready.enhance_button.setFocus()
    qtbot.keyClick(ready.enhance_button, Qt.Key.Key_Space)
    assert ready.run_box.isVisible()
    ready.method_box.setFocus()
    qtbot.keyClick(ready.method_box, Qt.Key.Key_End)
    qtbot.keyClick(ready.enhance_button, Qt.Key.Key_Space)
    assert ready.queue_box.isVisible()
    qtbot.waitUntil(lambda: ready.phase_label.text().startswith("Pretending"), timeout=TIMEOUT_MS)
    qtbot.keyClick(ready.run_box.finish_button, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: len(QgsProject.instance().mapLayers()) == 2, timeout=TIMEOUT_MS)
    qtbot.keyClick(ready.cancel_button, Qt.Key.Key_Space)
    qtbot.waitUntil(ready.run_box.isHidden, timeout=TIMEOUT_MS)
    assert len(QgsProject.instance().mapLayers()) == 2
