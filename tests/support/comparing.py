"""What a person sees of a result and its source on the map."""

from __future__ import annotations

from pytestqt.qtbot import QtBot
from qgis.PyQt.QtGui import QColor

from headland.ui.dock_widget import EnhanceDock
from headland.ui.swipe_item import SwipeItem

from .person import Person
from .window import Window, wait_for_map

BLACK, WHITE = "#000000", "#ffffff"
LONGEST_DRAWING_MS = 60_000


def swipes(window: Window) -> list[SwipeItem]:
    return [item for item in window.canvas.scene().items() if isinstance(item, SwipeItem)]


def colours(window: Window) -> list[str]:
    """What a person sees at a tenth, four tenths, six tenths and nine tenths of the map, a little below its middle."""
    picture = window.canvas.viewport().grab().toImage()
    row = int(0.7 * picture.height())
    return [QColor(picture.pixel(int(share * picture.width()), row)).name() for share in (0.2, 0.4, 0.6, 0.8)]


def compare(dock: EnhanceDock, window: Window, qtbot: QtBot) -> SwipeItem:
    Person(qtbot).click(dock.result_panel.compare_box.swipe_button)
    wait_for_map(window, qtbot)
    (item,) = swipes(window)
    qtbot.waitUntil(lambda: item.has_picture, timeout=LONGEST_DRAWING_MS)
    return item
