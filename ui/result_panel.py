"""What came of the last run: in words, and to be compared with its source."""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsProject, QgsRasterLayer
from qgis.gui import QgsCollapsibleGroupBox, QgsMapCanvas
from qgis.PyQt.QtWidgets import QVBoxLayout, QWidget

from .choices import tr
from .compare_box import CompareBox


class ResultPanel(QgsCollapsibleGroupBox):
    """Takes no room until there is a result."""

    def __init__(self, canvas: QgsMapCanvas, parent: Optional[QWidget] = None) -> None:
        super().__init__(tr("Result"), parent)
        self.compare_box = CompareBox(canvas)
        layout = QVBoxLayout(self)
        layout.addWidget(self.compare_box)
        self.hide()

    def show_result(self, layer_id: str) -> None:
        """Show what came of a run; the layer may be in no project."""
        layer = QgsProject.instance().mapLayer(layer_id)
        self.compare_box.show_for(layer if isinstance(layer, QgsRasterLayer) else None)
        self.show()

    def release(self) -> None:
        """Let go of everything outside."""
        self.compare_box.release()
