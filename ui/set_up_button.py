"""The dock's way to the engine's set-up: a button that is there while the engine is missing, or could be newer."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QPushButton, QWidget

from ..bridge.engine_setup import EngineSetUp
from ..bridge.words import tr
from ..engine.environment import EnvironmentMissing, engine_python, location
from ..engine.installing.renewal import is_outdated
from .set_up_dialog import SetUpDialog


class SetUpButton(QPushButton):
    """Opens the set-up dialog, which lives as long as this button does.

    Signals:
        engine_changed: there is an engine now, or another one, or none any more.

    Attributes:
        problem: what was wrong with the engine when that was last looked up; "" if nothing.
    """

    engine_changed = pyqtSignal()

    def __init__(self, icon: QIcon, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.set_up = EngineSetUp(self)
        self.dialog: Optional[SetUpDialog] = None
        self.problem = ""
        self._icon = icon
        self.set_up.finished.connect(self._on_finished)
        self.clicked.connect(self.open)
        # Shown without a place in the dock it would be a window of its own.
        self.hide()

    def refresh(self) -> None:
        """Be there if the engine is missing or there are newer packages for it, and only then."""
        try:
            engine_python()
        except EnvironmentMissing as error:
            self.problem = error.reason
            self.setText(tr("Set up engine…"))
            self.setToolTip(tr("Download what Headland computes with; once for all profiles of QGIS"))
            self.setVisible(True)
        else:
            self.problem = ""
            self.setText(tr("Update engine…"))
            self.setToolTip(
                tr("This Headland has newer packages for its engine; the one that is there works until then")
            )
            self.setVisible(is_outdated(location()))

    def open(self) -> None:
        """Show the dialog."""
        if self.dialog is None:
            self.dialog = SetUpDialog(self.set_up, self._icon, self.window())
        if not self.set_up.is_running:
            self.dialog.look()
        self.dialog.show()
        self.dialog.raise_()
        self.dialog.activateWindow()

    def release(self) -> None:
        """End what runs, and close the dialog."""
        self.set_up.close()
        if self.dialog is not None:
            self.dialog.close()
            self.dialog.deleteLater()
            self.dialog = None

    def _on_finished(self) -> None:
        self.refresh()
        self.engine_changed.emit()
