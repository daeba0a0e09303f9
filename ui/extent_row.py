"""One row that says which extent is chosen, and a menu to choose another."""

from __future__ import annotations

from enum import Enum
from typing import Optional

from qgis.core import QgsProject, QgsReferencedRectangle
from qgis.gui import QgsMapCanvas, QgsMapTool, QgsMapToolExtent
from qgis.PyQt.QtCore import QT_TRANSLATE_NOOP, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QMenu, QSizePolicy, QToolButton, QWidget

from .choices import tr


class ExtentSource(Enum):
    """Where the extent comes from; the values are what the row shows."""

    CANVAS = QT_TRANSLATE_NOOP("Headland", "Map view")
    LAYER = QT_TRANSLATE_NOOP("Headland", "Whole layer")
    DRAWN = QT_TRANSLATE_NOOP("Headland", "Drawn")
    OTHER_LAYER = QT_TRANSLATE_NOOP("Headland", "Another layer")


class ExtentRow(QWidget):
    """Holds the extent. ``changed`` follows the map while the extent is what the map shows."""

    changed = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._source = ExtentSource.CANVAS
        self._fixed: Optional[QgsReferencedRectangle] = None
        self._tool: Optional[QgsMapToolExtent] = None
        self._earlier_tool: Optional[QgsMapTool] = None

        self._label = QLabel(self)
        self._label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._menu = QMenu(self)
        self.button = QToolButton(self)
        self.button.setText(tr("Choose"))
        self.button.setToolTip(tr("Choose the part of the layer to enhance"))
        self.button.setAccessibleName(tr("Change the extent"))
        self.button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.button.setMenu(self._menu)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._label, 1)
        layout.addWidget(self.button)

        self._menu.aboutToShow.connect(self._fill_menu)
        self._canvas.extentsChanged.connect(self._on_canvas_moved)
        self._show()

    @property
    def extent(self) -> Optional[QgsReferencedRectangle]:
        """The chosen rectangle; None for the whole layer."""
        if self._source is ExtentSource.CANVAS:
            return QgsReferencedRectangle(self._canvas.extent(), self._canvas.mapSettings().destinationCrs())
        return self._fixed

    def choose(self, source: ExtentSource, extent: Optional[QgsReferencedRectangle] = None) -> None:
        """Take the extent from ``source``; ``extent`` is needed for a drawn one and for another layer's."""
        self._source, self._fixed = source, extent
        self._show()
        self.changed.emit()

    def draw(self) -> None:
        """Let the user draw a rectangle on the map; the map tool in use comes back afterwards."""
        if self._tool is None:
            self._tool = QgsMapToolExtent(self._canvas)
            self._tool.extentChanged.connect(self._on_drawn)
        if self._canvas.mapTool() is not self._tool:
            self._earlier_tool = self._canvas.mapTool()
        self._canvas.setMapTool(self._tool)

    def release(self) -> None:
        """Let go of the map canvas."""
        self._canvas.extentsChanged.disconnect(self._on_canvas_moved)
        if self._tool is not None:
            self._put_tool_back()
            self._tool.deleteLater()
            self._tool = None

    def _fill_menu(self) -> None:
        self._menu.clear()
        self._menu.addAction(tr("What the map shows"), lambda: self.choose(ExtentSource.CANVAS))
        self._menu.addAction(tr("Draw on the map"), self.draw)
        self._menu.addAction(tr("The whole layer"), lambda: self.choose(ExtentSource.LAYER))
        others = self._menu.addMenu(tr("Another layer"))
        for layer in QgsProject.instance().mapLayers().values():
            if layer.isSpatial() and not layer.extent().isEmpty():
                extent = QgsReferencedRectangle(layer.extent(), layer.crs())
                others.addAction(layer.name(), lambda extent=extent: self.choose(ExtentSource.OTHER_LAYER, extent))
        others.setEnabled(not others.isEmpty())

    def _on_drawn(self) -> None:
        if self._tool is None or self._tool.extent().isEmpty():
            return
        crs = self._canvas.mapSettings().destinationCrs()
        extent = QgsReferencedRectangle(self._tool.extent(), crs)
        self._put_tool_back()
        self.choose(ExtentSource.DRAWN, extent)

    def _put_tool_back(self) -> None:
        if self._tool is not None and self._canvas.mapTool() is self._tool:
            self._canvas.unsetMapTool(self._tool)
            if self._earlier_tool is not None:
                self._canvas.setMapTool(self._earlier_tool)
        self._earlier_tool = None

    def _on_canvas_moved(self) -> None:
        if self._source is ExtentSource.CANVAS:
            self.changed.emit()

    def _show(self) -> None:
        self._label.setText(tr(self._source.value))
