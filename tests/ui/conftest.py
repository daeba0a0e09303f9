"""The fixtures of the tests of ui/ and plugin.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable

import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRasterLayer, QgsSettings
from qgis.PyQt.QtCore import Qt

from headland.bridge.controller import EnhanceController
from headland.tests.support.engines import FakeEngine
from headland.tests.support.fixtures import (  # noqa: F401
    MakeLayer,
    UseEngine,
    fake_engine,
    folder,
    job_folders,
    make_layer,
    make_raster,
    project,
    scene,
    use_engine,
    web,
)
from headland.tests.support.installations import engine  # noqa: F401
from headland.tests.support.person import Person
from headland.tests.support.window import Window, wait_for_map
from headland.ui.dock_widget import EnhanceDock

AddLayer = Callable[..., QgsRasterLayer]
LONGEST_RUN_MS = 60_000


def enhance(dock: EnhanceDock, qtbot: QtBot) -> None:
    """Click as soon as that can be done, and wait for the end."""
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    Person(qtbot).click(dock.enhance_button)
    qtbot.waitUntil(dock.run_box.isHidden, timeout=LONGEST_RUN_MS)


@pytest.fixture
def window(project: QgsProject, qtbot: QtBot) -> Window:  # noqa: F811
    """A window on the screen."""
    window = Window()
    qtbot.addWidget(window)
    with qtbot.waitExposed(window):
        window.show()
    return window


@pytest.fixture
def controller(project: QgsProject) -> Iterator[EnhanceController]:  # noqa: F811
    controller = EnhanceController()
    yield controller
    controller.close()


@pytest.fixture
def person(qtbot: QtBot) -> Person:
    return Person(qtbot)


@pytest.fixture(autouse=True)
def no_last_choices() -> None:
    """A user who has chosen nothing before."""
    QgsSettings().remove("headland/last_choices")


@pytest.fixture
def dock(window: Window, controller: EnhanceController, qtbot: QtBot) -> Iterator[EnhanceDock]:
    """The dock in the window, as ``plugin.py`` puts it there."""
    dock = EnhanceDock(controller, window.canvas, window.message_bar, window)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
    dock.show()
    yield dock
    dock.release()


@pytest.fixture
def busy_dock(
    dock: EnhanceDock,
    add_layer: AddLayer,
    use_engine: UseEngine,  # noqa: F811
    person: Person,
    qtbot: QtBot,
) -> EnhanceDock:
    """The dock with a layer and a run at work on it, which goes on until the controller is closed at the latest."""
    use_engine("hang")
    add_layer()
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    person.click(dock.enhance_button)
    return dock


@pytest.fixture
def add_layer(make_layer: MakeLayer, window: Window, project: QgsProject) -> AddLayer:  # noqa: F811
    """Makes a raster layer as ``make_layer`` does, puts it on the map and moves the map to it."""

    def add(*arguments: object, crs: str = "EPSG:32618", **properties: object) -> QgsRasterLayer:
        layer = make_layer(*arguments, crs=crs, **properties)
        assert layer.isValid()
        project.addMapLayer(layer)
        window.canvas.setDestinationCrs(QgsCoordinateReferenceSystem(crs))
        window.canvas.setLayers([layer])
        window.canvas.setExtent(layer.extent())
        return layer

    return add


@pytest.fixture
def result(
    dock: EnhanceDock,
    window: Window,
    add_layer: AddLayer,
    fake_engine: FakeEngine,  # noqa: F811
    qtbot: QtBot,
) -> QgsRasterLayer:
    """A result, drawn all black so that it differs from its source, and the map of both."""
    source = add_layer(bands=3)
    enhance(dock, qtbot)
    (result,) = (layer for layer in QgsProject.instance().mapLayers().values() if layer is not source)
    result.brightnessFilter().setBrightness(-255)
    window.canvas.setLayers([result, source])
    extent = source.extent()
    extent.scale(0.8)
    window.canvas.setExtent(extent)
    wait_for_map(window, qtbot)
    return result


@pytest.fixture
def earlier(dock: EnhanceDock, result: QgsRasterLayer, qtbot: QtBot) -> QgsRasterLayer:
    """A result with a newer one above it."""
    Person(qtbot).click(dock.scale_buttons.button(2))
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    Person(qtbot).click(dock.enhance_button)
    qtbot.waitUntil(lambda: dock.result_panel.compare_box.layer_id != result.id(), timeout=LONGEST_RUN_MS)
    return result
