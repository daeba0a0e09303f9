"""Headland in the Processing toolbox."""

from __future__ import annotations

import threading
from pathlib import Path

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .enhance_extent import EnhanceExtentAlgorithm

ICON_FILE = Path(__file__).resolve().parent.parent / "ui" / "icons" / "headland.svg"


class HeadlandProvider(QgsProcessingProvider):
    """Offers ``headland:enhanceextent``. The camel-case names are QGIS's."""

    def __init__(self) -> None:
        super().__init__()
        self._is_unloaded = threading.Event()

    def unload(self) -> None:
        """End what runs: nobody will load its result."""
        self._is_unloaded.set()

    def id(self) -> str:
        """Return the first part of the algorithms' ids."""
        return "headland"

    def name(self) -> str:
        """Return what the toolbox shows."""
        return "Headland"

    def icon(self) -> QIcon:
        """Return the plugin's icon, an empty one if its file is missing."""
        return QIcon(str(ICON_FILE))

    def svgIconPath(self) -> str:  # noqa: N802
        """Return the file of the icon."""
        return str(ICON_FILE)

    def loadAlgorithms(self) -> None:  # noqa: N802
        """Add the algorithms."""
        self.addAlgorithm(EnhanceExtentAlgorithm(self._is_unloaded))

    def supportedOutputRasterLayerExtensions(self) -> list[str]:  # noqa: N802
        """Return the file name extensions of results."""
        return ["tif", "tiff"]

    def supportsNonFileBasedOutput(self) -> bool:  # noqa: N802
        """Return False: a result is always a file."""
        return False
