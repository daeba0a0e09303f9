"""A label whose text wraps, and which is as high as the text then needs: no more, no less."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtCore import QSize, Qt
from qgis.PyQt.QtGui import QResizeEvent
from qgis.PyQt.QtWidgets import QLabel, QSizePolicy, QWidget


class WrappingLabel(QLabel):
    """Never forces a wide dock.

    Form layouts guess the height of a wrapping QLabel from a width that it does not get; this one asks for the
    height that goes with the width that it has.
    """

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        # After the text flags: QLabel sets a policy of its own with them.
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:  # noqa: N802, Qt's name
        """Return the size that shows all of the text at the label's width."""
        return QSize(0, self.heightForWidth(self.width()) if self.text() else 0)

    def minimumSizeHint(self) -> QSize:  # noqa: N802, Qt's name
        """Return the same: less would cut the text off."""
        return self.sizeHint()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802, Qt's name
        """Ask for another height when the width has changed."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self.updateGeometry()
