"""The map tool that draws the extent."""

from __future__ import annotations

from qgis.gui import QgsMapToolExtent
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QKeyEvent


class DrawTool(QgsMapToolExtent):
    """Draws a rectangle; Escape gives up."""

    given_up = pyqtSignal()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802, Qt's name
        """Give up on Escape."""
        if event.key() == Qt.Key.Key_Escape:
            self.clearRubberBand()
            self.given_up.emit()
        else:
            super().keyPressEvent(event)
