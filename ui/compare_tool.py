"""The map tool that swipes between source and result."""

from __future__ import annotations

from typing import Optional

from qgis.gui import QgsMapCanvas, QgsMapMouseEvent, QgsMapTool
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QCursor, QKeyEvent

from .swipe_item import SwipeItem

# Shows the source everywhere while it is held down. Space and the arrows are the canvas's own.
FLICKER_KEY = Qt.Key.Key_F


class CompareTool(QgsMapTool):
    """Drags the handle of a :class:`SwipeItem`, which is there while the tool is."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self.item: Optional[SwipeItem] = None
        self._layer_id = ""
        self._is_dragging = False
        self.setCursor(QCursor(Qt.CursorShape.SplitHCursor))

    def compare(self, layer_id: str) -> None:
        """Become the map's tool, for the map with and without a layer."""
        self._layer_id = layer_id
        self.canvas().setMapTool(self)
        self.canvas().setFocus()

    def go_on_with(self, layer_id: str) -> None:
        """Compare another layer from now on, if the tool is the map's."""
        self._layer_id = layer_id
        if self.item is not None:
            self.item.compare(layer_id)

    def activate(self) -> None:
        """Put the handle on the map."""
        super().activate()
        if self.item is None:
            self.item = SwipeItem(self.canvas(), self._layer_id)

    def deactivate(self) -> None:
        """Take it off the map."""
        item, self.item = self.item, None
        if item is not None:
            item.remove()
        super().deactivate()

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802, QGIS's name
        """Bring the handle to the mouse."""
        self._is_dragging = event.button() == Qt.MouseButton.LeftButton
        self._follow(event)

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802, QGIS's name
        """Drag the handle."""
        self._follow(event)

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802, QGIS's name
        """Let go of the handle."""
        self._follow(event)
        self._is_dragging = False

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802, Qt's name
        """Show the source everywhere."""
        self._flicker(event, is_shown=True)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:  # noqa: N802, Qt's name
        """Go back to the handle."""
        self._flicker(event, is_shown=False)

    def _follow(self, event: QgsMapMouseEvent) -> None:
        if self.item is not None and self._is_dragging:
            self.item.move_to(event.pos().x())

    def _flicker(self, event: QKeyEvent, *, is_shown: bool) -> None:
        # A key that is held is told again and again.
        if event.key() != FLICKER_KEY:
            event.ignore()
        elif not event.isAutoRepeat() and self.item is not None:
            self.item.show_source_everywhere(is_shown=is_shown)
