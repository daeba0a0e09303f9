"""The engine in the dock's advanced settings: what it computes on, and the way to its set-up."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtGui import QShowEvent
from qgis.PyQt.QtWidgets import QHBoxLayout, QPushButton, QWidget

from ..bridge.engine_setup import engine_state
from ..bridge.words import tr
from .elided_label import ElidedLabel


class EngineRow(QWidget):
    """Says what the engine was proved on, whenever it comes into sight or is told to."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.label = ElidedLabel()
        self.button = QPushButton(tr("Engine…"))
        self.button.setToolTip(tr("Set the engine up again, remove it, or make a page for a bug report"))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.label, 1)
        layout.addWidget(self.button)
        self.setFocusProxy(self.button)

    def refresh(self) -> None:
        """Say it anew."""
        state = engine_state()
        self.label.set_text(str(state.get("device", tr("Ready") if state else tr("Missing"))))
        self.label.setToolTip(str(state.get("reason", "")))

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802, the name is Qt's
        """Say it when it comes into sight."""
        super().showEvent(event)
        self.refresh()
