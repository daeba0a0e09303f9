"""A quick look shows what would come of the middle of the map, in seconds, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsProcessingUtils, QgsProject, QgsRectangle
from qgis.PyQt.QtGui import QImage

from headland.bridge.controller import EnhanceController
from headland.bridge.plan import EnhancePlan
from headland.tests.support.fixtures import UseEngine
from headland.tests.support.person import Person
from headland.tests.support.web_server import WebServer
from headland.tests.support.window import Window
from headland.tests.ui.conftest import AddLayer
from headland.ui.dock_widget import EnhanceDock
from headland.ui.extent_row import ExtentChoice, ExtentSource
from headland.ui.preview_item import PreviewItem

TIMEOUT_MS = 60_000


def previews(window: Window) -> list[PreviewItem]:
    return [item for item in window.canvas.scene().items() if isinstance(item, PreviewItem)]


def picture(window: Window) -> QImage:
    return window.canvas.viewport().grab().toImage()


@pytest.fixture
def plans(controller: EnhanceController) -> list[EnhancePlan]:
    """What was started, in order."""
    plans: list[EnhancePlan] = []
    controller.started.connect(lambda plan, _refusal: plans.append(plan))
    return plans


def look(dock: EnhanceDock, qtbot: QtBot) -> None:
    """Take a quick look with a worker that draws and waits, and end it with what there is."""
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    Person(qtbot).click(dock.look_button)
    assert dock.cancel_button.isVisible()
    qtbot.waitUntil(lambda: dock.live_preview.has_picture, timeout=TIMEOUT_MS)
    Person(qtbot).click(dock.run_box.finish_button)
    qtbot.waitUntil(dock.run_box.isHidden, timeout=TIMEOUT_MS)


def test_it_shows_the_patch_and_makes_neither_layer_nor_file(
    dock: EnhanceDock,
    window: Window,
    add_layer: AddLayer,
    plans: list[EnhancePlan],
    use_engine: UseEngine,
    qtbot: QtBot,
) -> None:
    use_engine("draw")
    layer = add_layer(bands=4)
    files = sorted(Path(QgsProcessingUtils.tempFolder()).rglob("*.*"))
    look(dock, qtbot)
    (item,) = previews(window)
    assert item.image is not None
    assert list(QgsProject.instance().mapLayers().values()) == [layer]
    assert sorted(Path(QgsProcessingUtils.tempFolder()).rglob("*.*")) == files
    assert [band.number for band in plans[0].bands] == [1, 2, 3]
    assert window.message_bar.items() == []
    # It goes with the map, and stays until it is dismissed.
    window.canvas.zoomIn()
    window.canvas.refresh()
    qtbot.wait(500)
    assert previews(window) == [item]
    assert dock.look_button.text() == "End quick look"
    Person(qtbot).click(dock.look_button)
    assert previews(window) == []
    assert dock.look_button.text() == "Quick look"


def test_its_outline_on_the_map_says_what_it_is(
    dock: EnhanceDock, window: Window, add_layer: AddLayer, use_engine: UseEngine, qtbot: QtBot
) -> None:
    use_engine("draw")
    add_layer(bands=3)
    look(dock, qtbot)
    (item,) = previews(window)
    assert item.caption == "Quick look"
    labelled = picture(window)
    item.caption = ""
    item.update()
    assert picture(window) != labelled
    # What is enhanced for good is called otherwise while it grows.
    Person(qtbot).click(dock.look_button)
    Person(qtbot).click(dock.enhance_button)
    qtbot.waitUntil(lambda: dock.live_preview.has_picture, timeout=TIMEOUT_MS)
    assert [item.caption for item in previews(window)] == ["Preview"]


def test_it_takes_no_more_than_the_middle_of_the_map(
    dock: EnhanceDock,
    window: Window,
    add_layer: AddLayer,
    plans: list[EnhancePlan],
    use_engine: UseEngine,
    qtbot: QtBot,
) -> None:
    use_engine("draw")
    layer = add_layer(width_px=600, height_px=300)
    look(dock, qtbot)
    window_px = plans[0].window
    assert (window_px.width_px, window_px.height_px) == (256, 256)
    assert abs(window_px.column_px + 128 - 300) <= 1
    assert abs(window_px.row_px + 128 - 150) <= 1
    extent = layer.extent()
    corner = QgsRectangle(extent.xMinimum() - 1000, extent.yMaximum() - 500, extent.xMinimum() + 800, extent.yMaximum())
    window.canvas.setExtent(corner)
    shown = window.canvas.extent()
    Person(qtbot).click(dock.look_button)
    assert previews(window) == []
    look(dock, qtbot)
    bounds = plans[1].grid.bounds_of(plans[1].window)
    assert bounds[0] == extent.xMinimum()
    assert shown.buffered(10).contains(QgsRectangle(*bounds))
    assert plans[1].window.width_px < 256


def test_of_a_web_layer_too(
    dock: EnhanceDock,
    window: Window,
    web: WebServer,
    plans: list[EnhancePlan],
    use_engine: UseEngine,
    qtbot: QtBot,
) -> None:
    use_engine("draw")
    layer = QgsProject.instance().addMapLayer(web.xyz_layer())
    window.canvas.setDestinationCrs(layer.crs())
    window.canvas.setExtent(QgsRectangle(0, 0, 4000, 4000))
    dock.layer_box.setLayer(layer)
    look(dock, qtbot)
    assert max(plans[0].window.width_px, plans[0].window.height_px) <= 256
    assert len(previews(window)) == 1


def test_where_the_map_does_not_show_the_layer_it_says_so(
    dock: EnhanceDock, window: Window, add_layer: AddLayer, use_engine: UseEngine, qtbot: QtBot
) -> None:
    use_engine("draw")
    add_layer()
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    dock.extent_row.choose(ExtentChoice(ExtentSource.LAYER))
    window.canvas.setExtent(QgsRectangle(0, 0, 1000, 1000))
    qtbot.wait(300)
    Person(qtbot).click(dock.look_button)
    assert dock.notice.isVisible()
    assert dock.notice.sentence == "The map does not show “Fields 2024”; move it there for a quick look."
    assert dock.run_box.isHidden()


@pytest.mark.parametrize("end", ["new run", "remove layer", "clear"])
def test_it_goes_with_its_layer_its_project_or_the_next_run(
    dock: EnhanceDock,
    window: Window,
    add_layer: AddLayer,
    use_engine: UseEngine,
    qtbot: QtBot,
    end: str,
) -> None:
    use_engine("draw")
    layer = add_layer(bands=3)
    look(dock, qtbot)
    (item,) = previews(window)
    if end == "new run":
        use_engine("repeat")
        Person(qtbot).click(dock.enhance_button)
        assert item not in previews(window)
        qtbot.waitUntil(dock.run_box.isHidden, timeout=TIMEOUT_MS)
        assert len(QgsProject.instance().mapLayers()) == 2
    elif end == "clear":
        QgsProject.instance().clear()
    else:
        window.canvas.setLayers([])
        QgsProject.instance().removeMapLayer(layer.id())
    window.canvas.refresh()
    qtbot.waitUntil(lambda: previews(window) == [])
    assert dock.look_button.text() == "Quick look"


def test_the_last_picture_is_never_left_out(
    dock: EnhanceDock, window: Window, add_layer: AddLayer, qtbot: QtBot, plans: list[EnhancePlan]
) -> None:
    """With the real worker: a small patch is done before the next picture would be due."""
    add_layer(bands=3)
    Person(qtbot).choose(dock.method_box, "Anchor (no network)")
    pictures: list[object] = []
    dock._controller.previewed.connect(pictures.append)
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    Person(qtbot).click(dock.look_button)
    qtbot.waitUntil(lambda: dock.look_button.text() == "End quick look", timeout=TIMEOUT_MS)
    assert len(pictures) >= 2
    assert (pictures[-1].width(), pictures[-1].height()) == (160, 128)
