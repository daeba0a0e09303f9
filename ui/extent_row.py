"""One row that says which extent is chosen, and a menu to choose another."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Optional

from qgis.core import QgsMapLayer, QgsProject, QgsReferencedRectangle
from qgis.gui import QgsMapCanvas, QgsMapTool
from qgis.PyQt.QtCore import QT_TRANSLATE_NOOP, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QMenu, QPushButton, QWidget

from ..bridge.words import tr
from .draw_tool import DrawTool
from .elided_label import ElidedLabel


class ExtentSource(Enum):
    """Where the extent comes from; the values are what the row shows."""

    CANVAS = QT_TRANSLATE_NOOP("Headland", "Map view")
    LAYER = QT_TRANSLATE_NOOP("Headland", "Whole layer")
    DRAWN = QT_TRANSLATE_NOOP("Headland", "Drawn")
    OTHER_LAYER = QT_TRANSLATE_NOOP("Headland", "Another layer")


@dataclass(frozen=True)
class ExtentChoice:
    """What was chosen.

    Attributes:
        extent: the rectangle, which only a drawn one and another layer's have.
        name: the other layer's.
    """

    source: ExtentSource
    extent: Optional[QgsReferencedRectangle] = None
    name: str = ""


class ExtentRow(QWidget):
    """Holds the extent. ``changed`` follows the map while the extent is what the map shows.

    Attributes:
        choice: what is chosen.
    """

    changed = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self.choice = ExtentChoice(ExtentSource.CANVAS)
        self._tool: Optional[DrawTool] = None
        self._earlier_tool: Optional[QgsMapTool] = None

        self.label = ElidedLabel(self)
        self._menu = QMenu(self)
        self.button = QPushButton(tr("Choose"), self)
        self.button.setToolTip(tr("Choose the part of the layer to enhance"))
        self.button.setAccessibleName(tr("Change the extent"))
        # Return belongs to Enhance.
        self.button.setAutoDefault(False)
        self.button.setMenu(self._menu)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.label, 1)
        layout.addWidget(self.button)

        self._menu.aboutToShow.connect(self._fill_menu)
        self._canvas.extentsChanged.connect(self._on_canvas_moved)
        self._show(tr(self.choice.source.value))

    @property
    def extent(self) -> Optional[QgsReferencedRectangle]:
        """The chosen rectangle; None for the whole layer."""
        if self.choice.source is ExtentSource.CANVAS:
            return QgsReferencedRectangle(self._canvas.extent(), self._canvas.mapSettings().destinationCrs())
        return self.choice.extent

    def choose(self, choice: ExtentChoice) -> None:
        """Take the extent that ``choice`` says."""
        self._put_tool_back()
        self.choice = choice
        self._show(choice.name or tr(choice.source.value))
        self.changed.emit()

    def draw(self) -> None:
        """Let the user draw a rectangle on the map; the map tool in use comes back afterwards."""
        if self._tool is None:
            self._tool = DrawTool(self._canvas)
            self._tool.extentChanged.connect(self._on_drawn)
            self._tool.given_up.connect(self._put_tool_back)
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
        self._menu.addAction(tr("What the map shows"), lambda: self.choose(ExtentChoice(ExtentSource.CANVAS)))
        self._menu.addAction(tr("Draw on the map"), self.draw)
        self._menu.addAction(tr("The whole layer"), lambda: self.choose(ExtentChoice(ExtentSource.LAYER)))
        others = self._menu.addMenu(tr("Another layer"))
        for layer in QgsProject.instance().mapLayers().values():
            if layer.isSpatial() and not layer.extent().isEmpty():
                self._offer(others, layer)
        others.setEnabled(not others.isEmpty())

    def _offer(self, menu: QMenu, layer: QgsMapLayer) -> None:
        name = layer.name()
        choice = ExtentChoice(ExtentSource.OTHER_LAYER, QgsReferencedRectangle(layer.extent(), layer.crs()), name)
        # A single & would vanish and underline what follows it.
        menu.addAction(name.replace("&", "&&"), lambda: self.choose(choice))

    def _on_drawn(self) -> None:
        if self._tool is None or self._tool.extent().isEmpty():
            return
        crs = self._canvas.mapSettings().destinationCrs()
        extent = QgsReferencedRectangle(self._tool.extent(), crs)
        self.choose(ExtentChoice(ExtentSource.DRAWN, extent))

    def _put_tool_back(self) -> None:
        if self._tool is not None and self._canvas.mapTool() is self._tool:
            self._canvas.unsetMapTool(self._tool)
            if self._earlier_tool is not None:
                self._canvas.setMapTool(self._earlier_tool)
        self._earlier_tool = None

    def _on_canvas_moved(self) -> None:
        if self.choice.source is ExtentSource.CANVAS:
            self.changed.emit()

    def _show(self, name: str) -> None:
        self.label.set_text(name)
