"""What QGIS loads: puts the dock and the Processing provider in place, and takes them away again."""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsApplication
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QCoreApplication, Qt
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction

from .bridge.controller import EnhanceController
from .bridge.leftovers import sweep_in_background
from .bridge.translation import load_translation
from .bridge.words import tr
from .processing.provider import HeadlandProvider
from .ui.dock_widget import ICON_FILE, EnhanceDock

MENU = "Headland"


class HeadlandPlugin:
    """The plugin; ``initGui``, ``initProcessing`` and ``unload`` are QGIS's names."""

    def __init__(self, iface: QgisInterface) -> None:
        self._iface = iface
        # QGIS keeps no translator alive; before anything has a text.
        self._translator = load_translation()
        self._provider: Optional[HeadlandProvider] = None
        self._controller: Optional[EnhanceController] = None
        self._dock: Optional[EnhanceDock] = None
        self._action: Optional[QAction] = None

    def initProcessing(self) -> None:  # noqa: N802
        """Register the algorithm; all that qgis_process needs."""
        self._provider = HeadlandProvider()
        QgsApplication.processingRegistry().addProvider(self._provider)

    def initGui(self) -> None:  # noqa: N802
        """Add the dock, and an action that shows and hides it; sweep up after a QGIS that crashed."""
        self.initProcessing()
        sweep_in_background()
        window = self._iface.mainWindow()
        self._controller = EnhanceController()
        self._dock = EnhanceDock(self._controller, self._iface.mapCanvas(), self._iface.messageBar(), window)
        self._iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self._dock)
        self._action = QAction(QIcon(str(ICON_FILE)), tr("Enhance extent"), window)
        self._action.setObjectName("headlandEnhanceExtent")
        self._action.setCheckable(True)
        self._dock.setToggleVisibilityAction(self._action)
        self._iface.addRasterToolBarIcon(self._action)
        self._iface.addPluginToRasterMenu(MENU, self._action)

    def unload(self) -> None:
        """Leave nothing behind, not even running work."""
        if self._translator is not None:
            QCoreApplication.removeTranslator(self._translator)
            self._translator = None
        if self._controller is not None:
            self._controller.close()
            self._controller = None
        if self._action is not None:
            self._iface.removePluginRasterMenu(MENU, self._action)
            self._iface.removeRasterToolBarIcon(self._action)
            self._action.deleteLater()
            self._action = None
        if self._dock is not None:
            self._dock.release()
            self._iface.removeDockWidget(self._dock)
            self._dock.deleteLater()
            self._dock = None
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
            self._provider = None
