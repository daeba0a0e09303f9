"""A combo box of choices that explains the one that is chosen."""

from __future__ import annotations

from enum import Enum
from typing import Optional

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QComboBox, QSizePolicy, QWidget

from .choices import Choice


class ChoiceBox(QComboBox):
    """Shows names, gives values; each entry's tooltip is its explanation."""

    def __init__(self, choices: tuple[Choice, ...], parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._choices = choices
        for row, choice in enumerate(choices):
            self.addItem(choice.name)
            self.setItemData(row, choice.explanation, Qt.ItemDataRole.ToolTipRole)
        # A long name must not force a wide dock.
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    @property
    def chosen(self) -> Choice:
        """The entry that is chosen."""
        return self._choices[self.currentIndex()]

    def choose(self, value: Enum) -> None:
        """Choose the entry of ``value``."""
        self.setCurrentIndex([choice.value for choice in self._choices].index(value))
