"""Inside a running QGIS: load the scene, use the dock as a person would, and save what it looks like.

``screenshots.py`` starts QGIS with this file; HEADLAND_SCENE and HEADLAND_PICTURES say what to open and where to write.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Callable

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsContrastEnhancement,
    QgsMultiBandColorRenderer,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QElapsedTimer, QEventLoop, Qt, QTimer
from qgis.PyQt.QtWidgets import QDockWidget, QWidget
from qgis.utils import iface

PICTURES = Path(os.environ["HEADLAND_PICTURES"])
SCENE = Path(os.environ["HEADLAND_SCENE"])
# Fields along a road, on a part that is small enough for a run of seconds.
VIEW = QgsRectangle(444180, 4178080, 445020, 4178880)
WHOLE = QgsRectangle(443200, 4176400, 445900, 4179100)
# Digital numbers from black to white of B04, B03 and B02: fields fill the range, haze is taken off.
STRETCH = {3: (340, 1620), 2: (550, 1390), 1: (875, 1450)}
WINDOW_PX = (1280, 800)
LAYERS_WIDTH_PX = 300
DOCK_WIDTH_PX = 340
NARROW_PX, WIDE_PX, HEIGHT_PX = 320, 480, 640
TIMEOUT_S = 240
DARK_THEME = "Night Mapping"


class TookTooLong(RuntimeError):
    """What was waited for did not come."""


def wait_until(is_true: Callable[[], bool]) -> None:
    """Let QGIS live on until ``is_true``."""
    clock = QElapsedTimer()
    clock.start()
    while not is_true():
        if clock.hasExpired(TIMEOUT_S * 1000):
            raise TookTooLong(f"QGIS did not come so far in {TIMEOUT_S} s")
        wait(50)


def wait(milliseconds: int) -> None:
    """Let QGIS live on for so long."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def save(widget: QWidget, name: str) -> None:
    """Write what ``widget`` looks like once all is drawn."""
    wait(600)
    wait_until(lambda: not iface.mapCanvas().isDrawing())
    wait(200)
    if not widget.grab().save(str(PICTURES / f"{name}.png")):
        raise OSError(f"{name}.png could not be written")


def load_scene() -> QgsRasterLayer:
    """Put the scene on the map in natural colour."""
    layer = QgsRasterLayer(str(SCENE), "Sentinel-2")
    renderer = QgsMultiBandColorRenderer(layer.dataProvider(), *STRETCH)
    setters = (
        renderer.setRedContrastEnhancement,
        renderer.setGreenContrastEnhancement,
        renderer.setBlueContrastEnhancement,
    )
    for set_contrast, (black, white) in zip(setters, STRETCH.values()):
        contrast = QgsContrastEnhancement(Qgis.DataType.UInt16)
        contrast.setMinimumValue(black)
        contrast.setMaximumValue(white)
        contrast.setContrastEnhancementAlgorithm(
            QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum
        )
        set_contrast(contrast)
    layer.setRenderer(renderer)
    QgsProject.instance().addMapLayer(layer)
    QgsProject.instance().setCrs(layer.crs())
    wait(300)
    iface.mapCanvas().setExtent(VIEW)
    iface.mapCanvas().refresh()
    return layer


def arrange(dock: QDockWidget) -> None:
    """Show what a picture needs: map, layers, dock."""
    window = iface.mainWindow()
    window.resize(*WINDOW_PX)
    for other in window.findChildren(QDockWidget):
        other.setVisible(other is dock or other.objectName() == "Layers")
    dock.setUserVisible(True)
    docks = [window.findChild(QDockWidget, "Layers"), dock]
    window.resizeDocks(docks, [LAYERS_WIDTH_PX, DOCK_WIDTH_PX], Qt.Orientation.Horizontal)
    wait(300)


def run_and_picture(dock: QDockWidget) -> None:
    """Click Enhance and take a picture in the middle of the work and one afterwards."""
    window = iface.mainWindow()
    # Long enough to be caught in the middle, and to move from one tile to the next.
    iface.mapCanvas().setExtent(WHOLE)
    wait_until(dock.enhance_button.isEnabled)
    wait(600)
    dock.enhance_button.click()
    # Only while it runs there is something to cancel.
    is_running = dock.cancel_button.isVisible
    wait_until(lambda: dock.live_preview.has_picture or not is_running())
    save(window, "2_first_picture")
    wait_until(lambda: dock.progress_bar.value() > dock.progress_bar.maximum() * 0.4 or not is_running())
    save(window, "3_running")
    wait_until(lambda: not is_running())
    iface.mapCanvas().setExtent(VIEW)
    iface.mapCanvas().refresh()
    save(window, "4_done")
    iface.messageBar().clearWidgets()
    compare = dock.result_panel.compare_box
    compare.swipe_button.click()
    wait_until(lambda: compare.tool.item.has_picture)
    save(window, "4_done_compare")
    compare.swipe_button.click()


def look_and_picture(dock: QDockWidget) -> None:
    """Take a quick look at the middle of the map, and a picture of that."""
    iface.mapCanvas().setExtent(WHOLE)
    wait_until(dock.enhance_button.isEnabled)
    dock.look_button.click()
    wait_until(lambda: not dock.cancel_button.isVisible())
    save(iface.mainWindow(), "1_ready_quick_look")
    dock.look_button.click()
    iface.mapCanvas().setExtent(VIEW)


def picture_dock_alone(dock: QDockWidget) -> None:
    """Take pictures of the dock in all widths and states."""
    iface.messageBar().clearWidgets()
    dock.setFloating(True)
    dock.resize(NARROW_PX, HEIGHT_PX)
    for name, width_px in (("narrow", NARROW_PX), ("wide", WIDE_PX)):
        dock.resize(width_px, HEIGHT_PX)
        dock.advanced_box.setCollapsed(True)
        save(dock, f"5_dock_{name}")
        dock.advanced_box.setCollapsed(False)
        save(dock, f"6_dock_{name}_advanced")
    dock.advanced_box.setCollapsed(True)
    dock.resize(NARROW_PX, HEIGHT_PX)
    dock.output_box.setFilePath(str(PICTURES / "nowhere" / "sharper.tif"))
    save(dock, "7_dock_problem")
    dock.output_box.setFilePath("")
    QgsApplication.setUITheme(DARK_THEME)
    save(dock, "8_dock_dark")
    dock.advanced_box.setCollapsed(False)
    save(dock, "9_dock_dark_advanced")


def take_pictures() -> None:
    """Do it all, and end QGIS with an exit status that tells how it went."""
    status = 1
    try:
        iface.newProject()
        dock = iface.mainWindow().findChild(QDockWidget, "HeadlandEnhanceDock")
        load_scene()
        arrange(dock)
        iface.mapCanvas().setExtent(VIEW)
        wait_until(dock.enhance_button.isEnabled)
        save(iface.mainWindow(), "1_ready")
        look_and_picture(dock)
        run_and_picture(dock)
        picture_dock_alone(dock)
        status = 0
    except Exception:  # noqa: BLE001, an error inside a slot would only open a dialog that nobody sees
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    # Closing in the usual way would ask whether to save the project.
    os._exit(status)


QTimer.singleShot(3000, take_pictures)
