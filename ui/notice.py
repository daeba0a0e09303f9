"""A sentence beside a sign that catches the eye."""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QStyle, QWidget

from .wrapping_label import WrappingLabel


class Notice(QWidget):
    """Says what stands in the way; takes no room while nothing does."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.label = WrappingLabel()
        sign = QLabel()
        side_px = self.style().pixelMetric(QStyle.PixelMetric.PM_SmallIconSize)
        sign.setPixmap(QgsApplication.getThemeIcon("/mIconWarning.svg").pixmap(side_px))
        sign.setAlignment(Qt.AlignmentFlag.AlignTop)
        sign.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(sign)
        layout.addWidget(self.label, 1)
        self.hide()

    def say(self, sentence: str) -> None:
        """Show ``sentence``; "" for nothing."""
        self.label.setText(sentence)
        self.setVisible(bool(sentence))

    @property
    def sentence(self) -> str:
        """What is said; "" for nothing."""
        return str(self.label.text())
