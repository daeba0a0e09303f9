"""A word or two on the map, to be read on whatever lies below."""

from __future__ import annotations

from qgis.PyQt.QtCore import QRectF, Qt
from qgis.PyQt.QtGui import QColor, QFontMetricsF, QPainter


def label_box(painter: QPainter, text: str) -> QRectF:
    """Return how large ``text`` becomes, somewhere."""
    return QFontMetricsF(painter.font()).boundingRect(text).adjusted(-5, -3, 5, 3)


def paint_label(painter: QPainter, text: str, box: QRectF) -> None:
    """Paint ``text`` in white on a dark box."""
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(0, 0, 0, 150))
    painter.drawRoundedRect(box, 3, 3)
    painter.setPen(QColor("white"))
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
