"""A window for the plugin to live in: a real map canvas, message bar and docks, without QGIS's own main window."""

from __future__ import annotations

from pytestqt.qtbot import QtBot
from qgis.gui import QgsMapCanvas, QgsMapToolPan, QgsMessageBar
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QAction, QDockWidget, QMainWindow, QMenu, QToolBar, QVBoxLayout, QWidget


class Window(QMainWindow):
    """What a plugin sees of QGIS's main window."""

    def __init__(self) -> None:
        super().__init__()
        body = QWidget()
        layout = QVBoxLayout(body)
        layout.setContentsMargins(0, 0, 0, 0)
        self.message_bar = QgsMessageBar(body)
        self.canvas = QgsMapCanvas(body)
        layout.addWidget(self.message_bar)
        layout.addWidget(self.canvas, 1)
        self.setCentralWidget(body)
        self.raster_tool_bar = QToolBar("Raster")
        self.addToolBar(self.raster_tool_bar)
        self.raster_menu = self.menuBar().addMenu("Raster")
        self.pan_tool = QgsMapToolPan(self.canvas)
        self.canvas.setMapTool(self.pan_tool)
        self.resize(900, 700)


def wait_for_map(window: Window, qtbot: QtBot, timeout_ms: int = 20_000) -> None:
    """Wait until the map shows what it has to show now."""
    # What is being drawn already may be of before.
    window.canvas.stopRendering()
    with qtbot.waitSignal(window.canvas.mapCanvasRefreshed, timeout=timeout_ms):
        window.canvas.refresh()
    qtbot.waitUntil(lambda: not window.canvas.isDrawing(), timeout=timeout_ms)
    qtbot.wait(50)


class Interface:
    """The part of QgisInterface that the plugin uses; what is put in place can be looked up in the window."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._menus: dict[str, QMenu] = {}

    def mainWindow(self) -> Window:  # noqa: N802, here and below the names are QGIS's
        return self._window

    def mapCanvas(self) -> QgsMapCanvas:  # noqa: N802
        return self._window.canvas

    def messageBar(self) -> QgsMessageBar:  # noqa: N802
        return self._window.message_bar

    def addDockWidget(self, area: Qt.DockWidgetArea, dock: QDockWidget) -> None:  # noqa: N802
        self._window.addDockWidget(area, dock)
        dock.show()

    def removeDockWidget(self, dock: QDockWidget) -> None:  # noqa: N802
        self._window.removeDockWidget(dock)
        # QGIS does this in C++, where the window stays the dock's owner; PyQt hands it to Python.
        dock.setParent(self._window)

    def addRasterToolBarIcon(self, action: QAction) -> None:  # noqa: N802
        self._window.raster_tool_bar.addAction(action)

    def removeRasterToolBarIcon(self, action: QAction) -> None:  # noqa: N802
        self._window.raster_tool_bar.removeAction(action)

    def addPluginToRasterMenu(self, name: str, action: QAction) -> None:  # noqa: N802
        if name not in self._menus:
            self._menus[name] = self._window.raster_menu.addMenu(name)
        self._menus[name].addAction(action)

    def removePluginRasterMenu(self, name: str, action: QAction) -> None:  # noqa: N802
        menu = self._menus[name]
        menu.removeAction(action)
        if menu.isEmpty():
            # As QGIS does: the last plugin's entry takes its menu along.
            self._window.raster_menu.removeAction(menu.menuAction())
            menu.deleteLater()
            del self._menus[name]
