"""Placeholders that can be read in every theme."""

from __future__ import annotations

from qgis.gui import QgsFilterLineEdit
from qgis.PyQt.QtCore import QObject
from qgis.PyQt.QtGui import QPalette

# Paler than what was typed, and still far from the background.
OPACITY = 0.8


class ReadablePlaceholder(QObject):
    """Gives the placeholder of a field the colour of its text, a little paler; belongs to the field.

    Themes set colours for the text and the background but seldom for a placeholder, and an emptied field of QGIS shows
    it in a grey of its own, which is the background's in the dark theme.
    """

    def __init__(self, field: QgsFilterLineEdit) -> None:
        super().__init__(field)
        self._field = field
        field.textChanged.connect(self.restyle)
        self.restyle()

    def restyle(self, _text: str = "") -> None:
        """Take the colour from the field's theme."""
        self._field.setStyleSheet("")
        palette = self._field.palette()
        colour = palette.color(QPalette.ColorRole.Text)
        colour.setAlphaF(OPACITY)
        palette.setColor(QPalette.ColorRole.PlaceholderText, colour)
        self._field.setPalette(palette)
