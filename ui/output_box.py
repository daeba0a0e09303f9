"""Where the result goes."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from qgis.gui import QgsFileWidget

from ..bridge.words import tr
from .file_widget import ReadableFileWidget


class OutputBox(ReadableFileWidget):
    """Takes the name of a GeoTIFF; empty for a temporary file."""

    def __init__(self) -> None:
        super().__init__(tr("Temporary file"))
        self.setStorageMode(QgsFileWidget.StorageMode.SaveFile)
        self.setFilter("GeoTIFF (*.tif *.tiff)")
        self.setDialogTitle(tr("Save the enhanced layer as"))

    @property
    def path(self) -> Optional[Path]:
        """The file, as a GeoTIFF if no ending was given; None for a temporary one."""
        text = self.filePath().strip()
        if not text:
            return None
        path = Path(text)
        return path if path.suffix else path.with_suffix(".tif")
