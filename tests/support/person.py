"""What a person does with mouse and keyboard, for widgets that need more than one click."""

from __future__ import annotations

from pytestqt.qtbot import QtBot
from qgis.gui import QgsCheckableComboBox, QgsMapCanvas
from qgis.PyQt.QtCore import QPoint, Qt, QTimer
from qgis.PyQt.QtWidgets import QApplication, QComboBox, QLineEdit, QMenu, QPushButton, QWidget

LEFT = Qt.MouseButton.LeftButton
MENU_DELAY_MS = 50


class Person:
    """Clicks and types."""

    def __init__(self, qtbot: QtBot) -> None:
        self._qtbot = qtbot

    def click(self, widget: QWidget) -> None:
        self._qtbot.mouseClick(widget, LEFT)

    def choose(self, box: QComboBox, text: str) -> None:
        """Go through the list with the arrow keys until ``text`` is shown."""
        self._qtbot.keyClick(box, Qt.Key.Key_Home)
        for _ in range(box.count()):
            if box.currentText() == text:
                return
            self._qtbot.keyClick(box, Qt.Key.Key_Down)
        raise AssertionError(f"the list has no {text}")

    def type(self, field: QLineEdit, text: str) -> None:
        """Replace what is in the field; ASCII only."""
        field.selectAll()
        self._qtbot.keyClick(field, Qt.Key.Key_Backspace)
        self._qtbot.keyClicks(field, text)

    def choose_in_menu(self, button: QPushButton, *texts: str) -> None:
        """Click ``button``, and then the entries of its menu and submenus."""
        errors: list[Exception] = []

        def click_entries() -> None:
            try:
                menu = QApplication.activePopupWidget()
                for text in texts:
                    menu = self._click_entry(menu, text)
            except Exception as error:  # noqa: BLE001, an open menu would stop the test for ever
                errors.append(error)
                while QApplication.activePopupWidget() is not None:
                    QApplication.activePopupWidget().close()

        QTimer.singleShot(MENU_DELAY_MS, click_entries)
        self.click(button)
        if errors:
            raise errors[0]

    def _click_entry(self, menu: QMenu, text: str) -> QMenu:
        action = next(action for action in menu.actions() if action.text() == text)
        self._qtbot.mouseMove(menu, menu.actionGeometry(action).center())
        self._qtbot.mouseClick(menu, LEFT, pos=menu.actionGeometry(action).center())
        submenu = action.menu()
        if submenu is not None:
            self._qtbot.waitUntil(submenu.isVisible)
        return submenu

    def tick(self, box: QgsCheckableComboBox, row: int) -> None:
        """Open the list and click the entry in ``row``."""
        self.click(box.lineEdit())
        view = box.view()
        self._qtbot.waitUntil(view.isVisible)
        place = view.visualRect(box.model().index(row, 0)).center()
        self._qtbot.mouseClick(view.viewport(), LEFT, pos=place)
        self._qtbot.keyClick(view, Qt.Key.Key_Escape)

    def draw(self, canvas: QgsMapCanvas, start: QPoint, end: QPoint) -> None:
        """Drag a rectangle over the map."""
        surface = canvas.viewport()
        self._qtbot.mousePress(surface, LEFT, pos=start)
        self._qtbot.mouseMove(surface, (start + end) / 2)
        self._qtbot.mouseMove(surface, end)
        self._qtbot.mouseRelease(surface, LEFT, pos=end)
