"""What the click is for: it starts a run, or queues one while another is at work."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QPushButton, QWidget

from ..bridge.words import tr


class EnhanceButton(QPushButton):
    """Stands out, and says what a click would do now."""

    def __init__(self, icon: QIcon, parent: Optional[QWidget] = None) -> None:
        super().__init__(icon, "", parent)
        self.setDefault(True)
        font = self.font()
        font.setBold(True)
        self.setFont(font)
        self.show_running(is_running=False)

    def show_running(self, *, is_running: bool) -> None:
        """Say what a click does while work is going on, or while there is none."""
        name, tip = (
            (tr("Add to the queue"), tr("Enhance this extent, too, once what is at work is done"))
            if is_running
            else (tr("Enhance extent"), tr("Make a sharper copy of the extent and add it to the map"))
        )
        self.setText(name)
        self.setAccessibleName(name)
        self.setToolTip(tip)
