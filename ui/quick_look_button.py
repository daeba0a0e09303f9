"""The button that shows what would come of it, on the middle of the map, before the whole extent is enhanced."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QPushButton, QWidget

from ..bridge.controller import EnhanceController
from ..bridge.quick_look import LARGEST_SIDE_PX
from ..bridge.words import tr
from .live_preview import LivePreview


class QuickLookButton(QPushButton):
    """Asks for a quick look, and takes it off the map again.

    Signals:
        wanted: a quick look is to be made.
    """

    wanted = pyqtSignal()

    def __init__(
        self, controller: EnhanceController, live_preview: LivePreview, parent: Optional[QWidget] = None
    ) -> None:
        super().__init__(parent)
        self._live_preview = live_preview
        self._is_shown = False
        self.clicked.connect(self._on_clicked)
        controller.looked.connect(self._on_looked)
        live_preview.gone.connect(self._on_gone)
        self._say()

    def _on_clicked(self) -> None:
        if self._is_shown:
            self._live_preview.remove()
        else:
            self.wanted.emit()

    def _on_looked(self) -> None:
        # The layer may have been removed meanwhile, and the preview with it.
        self._is_shown = self._live_preview.has_picture
        self._say()

    def _on_gone(self) -> None:
        self._is_shown = False
        self._say()

    def _say(self) -> None:
        text = tr("End quick look") if self._is_shown else tr("Quick look")
        tip = (
            tr("Take the quick look off the map")
            if self._is_shown
            else tr("Enhance just the middle of the map, at most {side} × {side} pixels, to see what it gives").format(
                side=LARGEST_SIDE_PX
            )
        )
        self.setText(text)
        self.setAccessibleName(text)
        self.setToolTip(tip)
