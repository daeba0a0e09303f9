"""A group box that folds away, for the eye, the keyboard and the screen reader."""

from __future__ import annotations

from typing import Optional

from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtWidgets import QToolButton, QWidget

from ..bridge.words import tr


class FoldingBox(QgsCollapsibleGroupBox):
    """QGIS's own, whose arrow has a name."""

    def __init__(self, title: str, parent: Optional[QWidget] = None) -> None:
        super().__init__(title, parent)
        arrow = self.findChild(QToolButton, "collapseButton")
        if arrow is not None:
            text = tr("Fold or unfold: {}").format(title)
            arrow.setAccessibleName(text)
            arrow.setToolTip(text)
