"""What a field says while it is empty can be read in every theme, also after something was typed and taken away."""

from __future__ import annotations

import gc
from collections import Counter

import pytest
from pytestqt.qtbot import QtBot
from qgis.PyQt.QtGui import QColor, QPalette
from qgis.PyQt.QtWidgets import QLineEdit, QWidget

from headland.tests.support.person import Person
from headland.ui.dock_widget import EnhanceDock

# Of WCAG 2.1, for large text and signs.
LEAST_CONTRAST = 3.0


def luminance(colour: QColor) -> float:
    parts = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.getRgbF()[:3]]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast_in(widget: QWidget) -> float:
    """Contrast between the background of what is drawn and what stands out most from it."""
    image = widget.grab().toImage()
    inside = [QColor(image.pixel(x, y)) for x in range(4, image.width() - 30) for y in range(5, image.height() - 5)]
    background = QColor(Counter(colour.name() for colour in inside).most_common(1)[0][0])
    ground = luminance(background)
    return max((max(ground, one) + 0.05) / (min(ground, one) + 0.05) for one in map(luminance, inside))


def dress_in_the_dark(dock: EnhanceDock) -> None:
    """The colours that QGIS's theme Night Mapping gives a field."""
    palette = dock.palette()
    for role, name in ((QPalette.ColorRole.Text, "#111111"), (QPalette.ColorRole.PlaceholderText, "#535353")):
        palette.setColor(role, QColor(name))
    dock.setPalette(palette)
    dock.setStyleSheet("QLineEdit { background-color: #888; border: 1px solid #111; }")


@pytest.mark.parametrize("is_dark", [False, True])
@pytest.mark.parametrize("is_emptied", [False, True])
def test_the_placeholder_stands_out(dock: EnhanceDock, qtbot: QtBot, is_dark: bool, is_emptied: bool) -> None:
    if is_dark:
        dress_in_the_dark(dock)
    dock.advanced_box.setCollapsed(False)
    dock.layer_box.setFocus()
    qtbot.wait(100)
    # What only Python's side of a widget holds would be gone by now.
    gc.collect()
    for field in (dock.output_box.lineEdit(), dock.advanced_box.model_box.lineEdit()):
        if is_emptied:
            Person(qtbot).type(field, "x")
            Person(qtbot).type(field, "")
            dock.layer_box.setFocus()
            qtbot.wait(50)
        assert isinstance(field, QLineEdit)
        assert not field.font().italic()
        assert field.text() == ""
        assert contrast_in(field) > LEAST_CONTRAST
