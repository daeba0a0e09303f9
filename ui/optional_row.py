"""A row of a form that is there only at times.

QFormLayout.setRowVisible came with Qt 6.4; before, a hidden row leaves its spacing behind. This goes once that is the
oldest Qt.
"""

from __future__ import annotations

from qgis.PyQt.QtWidgets import QFormLayout, QLabel, QWidget


class OptionalRow:
    """The row of ``field``, which is not shown at first.

    Args:
        index: where it goes; no row above it may come and go.
    """

    def __init__(self, form: QFormLayout, index: int, text: str, field: QWidget) -> None:
        self._form, self._index, self._field = form, index, field
        self._label = QLabel(text)
        self._label.setBuddy(field)
        self._label.hide()
        field.hide()
        self._is_shown = False

    def set_shown(self, *, is_shown: bool) -> None:
        """Put the row into the form or take it out."""
        if is_shown == self._is_shown:
            return
        self._is_shown = is_shown
        if is_shown:
            self._form.insertRow(self._index, self._label, self._field)
        else:
            self._form.takeRow(self._field)
        self._label.setVisible(is_shown)
        self._field.setVisible(is_shown)
