"""The cache of finished tiles: how much it holds, with a button that clears it, and how much it may hold."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtCore import QLocale
from qgis.PyQt.QtGui import QShowEvent
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSpinBox, QWidget

from ..bridge.tile_cache import (
    LARGEST_LIMIT_GB,
    cache_limit_gb,
    cache_size_bytes,
    clear_cache,
    set_cache_limit_gb,
)
from ..bridge.words import tr
from ..engine.tile_store import tile_folder


class CacheRow(QWidget):
    """Says what is kept whenever it comes into sight, and after a run when told to."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.size_label = QLabel()
        self.clear_button = QPushButton(tr("Clear"))
        self.clear_button.setAccessibleName(tr("Clear the cache"))
        self.clear_button.setToolTip(tr("Remove all finished tiles"))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.size_label, 1)
        layout.addWidget(self.clear_button)
        self.setFocusProxy(self.clear_button)
        self.clear_button.clicked.connect(self._clear)

    def refresh(self) -> None:
        """Say how much is kept now, if anybody is looking."""
        if not self.isVisible():
            return
        size_bytes = cache_size_bytes()
        size = QLocale().formattedDataSize(size_bytes, 1, QLocale.DataSizeFormat.DataSizeSIFormat)
        self.size_label.setText(size if size_bytes else tr("Empty"))
        self.size_label.setToolTip(str(tile_folder()))
        self.clear_button.setEnabled(size_bytes > 0)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802, the name is Qt's
        """Say so when it comes into sight."""
        super().showEvent(event)
        self.refresh()

    def _clear(self) -> None:
        clear_cache()
        self.refresh()


class CacheLimitBox(QSpinBox):
    """The cache's limit in GB; what is set here holds at once, and for all runs to come, also in Processing."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setRange(0, LARGEST_LIMIT_GB)
        self.setSuffix(" GB")
        self.setSpecialValueText(tr("Keep nothing"))
        self.setKeyboardTracking(False)
        self.setValue(cache_limit_gb())
        self.valueChanged.connect(set_cache_limit_gb)
