"""Saves the settings under a name, and brings them back."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QInputDialog, QMenu, QPushButton, QWidget

from ..bridge.request import EnhanceRequest
from ..bridge.words import tr
from .presets import load_preset, preset_names, remove_preset, save_preset


class PresetRow(QWidget):
    """Two buttons: one saves, one has a menu of what was saved.

    Signals:
        save_wanted: a name is to be asked for; ``save`` does it.
        chosen: EnhanceRequest without layer and extent, whose settings are to be taken.
    """

    save_wanted = pyqtSignal()
    chosen = pyqtSignal(object)

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._menu = QMenu(self)
        self.choose_button = QPushButton(tr("Choose"))
        self.choose_button.setMenu(self._menu)
        self.save_button = QPushButton(tr("Save"))
        tips = (
            (self.choose_button, tr("Choose a preset"), tr("Take method, scale and these settings from a preset")),
            (self.save_button, tr("Save as preset"), tr("Keep method, scale and these settings under a name")),
        )
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for button, name, tip in tips:
            button.setAutoDefault(False)
            button.setAccessibleName(name)
            button.setToolTip(tip)
            layout.addWidget(button)
        self._menu.aboutToShow.connect(self._fill_menu)
        self.save_button.clicked.connect(self.save_wanted)
        self._enable()

    def save(self, request: EnhanceRequest) -> None:
        """Ask for a name and keep the settings of ``request`` under it."""
        name, is_given = QInputDialog.getText(self, tr("Save as preset"), tr("Name of the preset"))
        if is_given and name.strip():
            save_preset(name, request)
            self._enable()

    def _fill_menu(self) -> None:
        self._menu.clear()
        names = preset_names()
        for name in names:
            # A single & would vanish and underline what follows it.
            self._menu.addAction(name.replace("&", "&&"), lambda name=name: self._choose(name))
        self._menu.addSeparator()
        removing = self._menu.addMenu(tr("Delete"))
        for name in names:
            removing.addAction(name.replace("&", "&&"), lambda name=name: self._remove(name))

    def _choose(self, name: str) -> None:
        request = load_preset(name)
        if request is not None:
            self.chosen.emit(request)

    def _remove(self, name: str) -> None:
        remove_preset(name)
        self._enable()

    def _enable(self) -> None:
        self.choose_button.setEnabled(bool(preset_names()))
