"""The fixtures of the tests of ui/ and plugin.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable

import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRasterLayer, QgsSettings
from qgis.PyQt.QtCore import Qt

from headland.bridge.controller import EnhanceController
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
from headland.tests.support.window import Window
from headland.ui.dock_widget import EnhanceDock

AddLayer = Callable[..., QgsRasterLayer]


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
