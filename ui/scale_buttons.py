"""The choice of a scale factor: one button each."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QButtonGroup, QHBoxLayout, QRadioButton, QWidget

from ..bridge.words import tr
from ..engine.job import SCALE_FACTORS


class ScaleButtons(QWidget):
    """Holds the scale factor.

    Signals:
        changed: somebody chose another one.
    """

    changed = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._group = QButtonGroup(self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for factor in SCALE_FACTORS:
            button = QRadioButton(f"×{factor}")
            button.setAccessibleName(tr("{} times finer").format(factor))
            button.setToolTip(tr("Pixels of the result are {} times smaller").format(factor))
            self._group.addButton(button, factor)
            layout.addWidget(button)
        layout.addStretch(1)
        self._group.buttonToggled.connect(self._let_tab_key_in)
        self._group.idClicked.connect(self.changed)
        self.choose(SCALE_FACTORS[-1])

    @property
    def factor(self) -> int:
        """What is chosen."""
        return int(self._group.checkedId())

    def choose(self, factor: int) -> None:
        """Take ``factor`` from now on."""
        self.button(factor).setChecked(True)

    def button(self, factor: int) -> QRadioButton:
        """Return the button of ``factor``."""
        return self._group.button(factor)

    def _let_tab_key_in(self) -> None:
        """Have the Tab key find the button that is on; Qt takes it to the first one, and arrows go on from there."""
        for button in self._group.buttons():
            policy = Qt.FocusPolicy.StrongFocus if button.isChecked() else Qt.FocusPolicy.ClickFocus
            button.setFocusPolicy(policy)
