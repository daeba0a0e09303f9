"""Inside a running QGIS: load the scene, use the dock as a person would, and save what it looks like.

``screenshots.py`` starts QGIS with this file; HEADLAND_SCENE and HEADLAND_PICTURES say what to open and where to write.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Callable

from qgis.core import (
    Qgis,
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
# For another theme, or a screen of twice as many pixels, the dock alone tells.
IS_DOCK_ENOUGH = os.environ.get("HEADLAND_DOCK_ENOUGH") == "yes"


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


def doubt_and_picture(dock: QDockWidget) -> None:
    """Map the errors of the whole, and take pictures of what is uncertain from afar and from nearby."""
    iface.mapCanvas().setExtent(WHOLE)
    dock.advanced_box.confidence_box.setChecked(True)
    wait_until(dock.enhance_button.isEnabled)
    wait(600)
    dock.enhance_button.click()
    wait_until(dock.run_box.isVisible)
    wait_until(dock.run_box.isHidden)
    for name, extent in (("5_uncertain_far", WHOLE), ("5_uncertain_near", VIEW)):
        iface.mapCanvas().setExtent(extent)
        iface.mapCanvas().refresh()
        save(iface.mainWindow(), name)
    dock.advanced_box.confidence_box.setChecked(False)


def picture_states(dock: QDockWidget) -> None:
    """Take pictures of the dock alone in every state, in both widths."""
    dock.setFloating(True)
    dock.advanced_box.setCollapsed(True)
    engine = os.environ["HEADLAND_ENGINE"]
    try:
        iface.newProject()
        picture_state(dock, "empty")
        load_scene()
        os.environ["HEADLAND_ENGINE"] = str(PICTURES / "no engine")
        wait_until(lambda: not dock.engine_offer.has_engine)
        picture_state(dock, "not_set_up")
    finally:
        os.environ["HEADLAND_ENGINE"] = engine
    iface.mapCanvas().setExtent(WHOLE)
    wait_until(dock.enhance_button.isEnabled)
    picture_state(dock, "ready")
    dock.advanced_box.setCollapsed(False)
    picture_state(dock, "ready_advanced")
    dock.advanced_box.setCollapsed(True)
    dock.output_box.setFilePath(str(PICTURES / "nowhere" / "sharper.tif"))
    picture_state(dock, "problem")
    dock.output_box.setFilePath("")
    picture_runs(dock)


def picture_runs(dock: QDockWidget) -> None:
    """Take pictures of the dock while it runs, and of each way for a run to end."""
    click_enhance(dock, seed=1)
    dock.advanced_box.seed_box.setValue(2)
    dock.enhance_button.click()
    wait_until(lambda: dock.progress_bar.value() > 0)
    picture_state(dock, "running")
    dock.queue_box.clear_button.click()
    # With the first signal that no program can refuse, as a system short of memory does it.
    (worker,) = workers()
    os.kill(worker, signal.SIGKILL)
    wait_until(dock.run_box.isHidden)
    picture_state(dock, "failed")
    click_enhance(dock, seed=3)
    wait_until(lambda: dock.live_preview.has_picture)
    dock.run_box.finish_button.click()
    wait_until(dock.run_box.isHidden)
    picture_state(dock, "stopped")
    iface.mapCanvas().setExtent(VIEW)
    wait(600)
    click_enhance(dock, seed=4)
    wait_until(dock.run_box.isHidden)
    picture_state(dock, "done")


def click_enhance(dock: QDockWidget, seed: int) -> None:
    """Enhance what no earlier run has left tiles of."""
    dock.advanced_box.seed_box.setValue(seed)
    wait(400)
    wait_until(dock.enhance_button.isEnabled)
    dock.enhance_button.click()
    wait_until(dock.run_box.isVisible)


def workers() -> list[int]:
    """Return the processes that do the work of this QGIS; Linux only."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b"worker.py" in (folder / "cmdline").read_bytes():
                parent = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]
                if int(parent) == os.getpid():
                    found.append(int(folder.name))
    return found


def picture_state(dock: QDockWidget, name: str) -> None:
    """Take pictures of the dock as it is now, in both widths."""
    iface.messageBar().clearWidgets()
    for width_px in (NARROW_PX, WIDE_PX):
        dock.resize(width_px, HEIGHT_PX)
        save(dock, f"dock_{name}_{width_px}")


def take_pictures() -> None:
    """Do it all, and end QGIS with an exit status that tells how it went."""
    status = 1
    try:
        iface.newProject()
        dock = iface.mainWindow().findChild(QDockWidget, "HeadlandEnhanceDock")
        arrange(dock)
        if not IS_DOCK_ENOUGH:
            load_scene()
            wait_until(dock.enhance_button.isEnabled)
            save(iface.mainWindow(), "1_ready")
            look_and_picture(dock)
            run_and_picture(dock)
            doubt_and_picture(dock)
        picture_states(dock)
        status = 0
    except Exception:  # noqa: BLE001, an error inside a slot would only open a dialog that nobody sees
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    # Closing in the usual way would ask whether to save the project.
    os._exit(status)


QTimer.singleShot(3000, take_pictures)
