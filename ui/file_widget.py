"""Placeholders that can be read in every theme."""

from __future__ import annotations

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtGui import QPalette

# Paler than what was typed, and still far from the background.
OPACITY = 0.8


class ReadableFileWidget(QgsFileWidget):
    """A file widget whose placeholder has the colour of its text, a little paler.

    Themes set colours for the text and the background but seldom for a placeholder, and an emptied field of QGIS shows
    it in a grey of its own, which is the background's in the dark theme.
    """

    def __init__(self, placeholder: str) -> None:
        super().__init__()
        self.lineEdit().setPlaceholderText(placeholder)
        self.lineEdit().textChanged.connect(self.restyle)
        self.restyle()

    def restyle(self, _text: str = "") -> None:
        """Take the colour from the theme."""
        field = self.lineEdit()
        field.setStyleSheet("")
        palette = field.palette()
        colour = palette.color(QPalette.ColorRole.Text)
        colour.setAlphaF(OPACITY)
        palette.setColor(QPalette.ColorRole.PlaceholderText, colour)
        field.setPalette(palette)
