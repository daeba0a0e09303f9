"""A web layer in the dock: its resolution is that of the map until another is typed."""

from __future__ import annotations

import time

import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRasterLayer, QgsRectangle

from headland.tests.support.person import Person
from headland.tests.support.web_server import WMS_BOUNDS, WMS_CRS, WebServer, resolution_of
from headland.tests.support.window import Window
from headland.tests.ui.conftest import AddLayer
from headland.ui.dock_widget import EnhanceDock

pytestmark = pytest.mark.usefixtures("fake_engine")


def show(layer: QgsRasterLayer, dock: EnhanceDock, window: Window, crs: str, pixel_size: float) -> QgsRasterLayer:
    """Put the layer into the project, choose it, and move the map to its middle so that pixels have that size."""
    QgsProject.instance().addMapLayer(layer)
    dock.layer_box.setLayer(layer)
    window.canvas.setDestinationCrs(QgsCoordinateReferenceSystem(crs))
    middle, size = layer.extent().center(), window.canvas.size()
    half_width, half_height = size.width() * pixel_size / 2, size.height() * pixel_size / 2
    x, y = (0.0, 0.0) if crs == "EPSG:4326" else (middle.x(), middle.y())
    window.canvas.setExtent(QgsRectangle(x - half_width, y - half_height, x + half_width, y + half_height))
    return layer


def test_the_row_is_there_for_web_layers_only(
    dock: EnhanceDock, add_layer: AddLayer, web: WebServer, project: QgsProject, person: Person
) -> None:
    assert not dock.resolution_box.isVisible()
    add_layer(name="A file")
    assert not dock.resolution_box.isVisible()
    assert dock.request().resolution is None
    project.addMapLayer(web.xyz_layer())
    person.choose(dock.layer_box, "Tiles")
    assert dock.resolution_box.isVisible()
    assert [dock.advanced_box.bands_box.itemText(row) for row in range(3)] == ["red", "green", "blue"]
    person.choose(dock.layer_box, "A file")
    assert not dock.resolution_box.isVisible()
    assert dock.request().resolution is None


def test_it_is_the_zoom_level_that_the_map_shows_and_follows_it(
    dock: EnhanceDock, web: WebServer, window: Window, qtbot: QtBot
) -> None:
    show(web.xyz_layer(), dock, window, "EPSG:3857", 30.0)
    assert dock.request().resolution == pytest.approx(resolution_of(12))
    assert dock.resolution_box.text() == "38.2185 m (map)"
    window.canvas.zoomByFactor(0.25)
    assert dock.request().resolution == pytest.approx(resolution_of(14))
    qtbot.waitUntil(lambda: "become" in dock.size_label.text())


def test_it_counts_in_the_layers_units_where_the_map_has_others(
    dock: EnhanceDock, web: WebServer, window: Window
) -> None:
    show(web.xyz_layer(), dock, window, "EPSG:4326", 38.2 / 111_320)
    assert dock.request().resolution == pytest.approx(resolution_of(12))


def test_a_map_server_gives_just_what_the_map_shows(dock: EnhanceDock, web: WebServer, window: Window) -> None:
    show(web.wms_layer(), dock, window, WMS_CRS, 7.5)
    assert dock.request().resolution == pytest.approx(window.canvas.mapUnitsPerPixel(), rel=1e-9)
    assert dock.request().resolution == pytest.approx(7.5, rel=0.01)


def test_a_number_that_was_typed_stays_until_it_is_taken_back(
    dock: EnhanceDock, web: WebServer, window: Window, person: Person, qtbot: QtBot
) -> None:
    show(web.wms_layer(), dock, window, WMS_CRS, 7.5)
    person.type(dock.resolution_box.lineEdit(), "5\r")
    assert dock.request().resolution == 5.0
    assert dock.resolution_box.text() == "5 m"
    window.canvas.zoomByFactor(0.5)
    assert dock.request().resolution == 5.0
    person.type(dock.resolution_box.lineEdit(), "0\r")
    assert dock.request().resolution == pytest.approx(window.canvas.mapUnitsPerPixel(), rel=1e-9)


def test_another_web_layer_begins_as_on_the_map(
    dock: EnhanceDock, web: WebServer, window: Window, person: Person
) -> None:
    show(web.wms_layer(), dock, window, WMS_CRS, 7.5)
    person.type(dock.resolution_box.lineEdit(), "5\r")
    show(web.xyz_layer(), dock, window, "EPSG:3857", 38.2)
    assert dock.request().resolution == pytest.approx(resolution_of(12))


def test_what_cannot_be_downloaded_is_said(
    dock: EnhanceDock, web: WebServer, window: Window, person: Person, qtbot: QtBot
) -> None:
    show(web.wms_layer(), dock, window, WMS_CRS, 7.5)
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    person.choose_in_menu(dock.extent_row.button, "The whole layer")
    qtbot.waitUntil(lambda: "choose an extent" in dock.notice.sentence)
    person.choose_in_menu(dock.extent_row.button, "What the map shows")
    person.type(dock.resolution_box.lineEdit(), "0.1\r")
    qtbot.waitUntil(lambda: "at most 25 million" in dock.notice.sentence)


def test_one_click_puts_the_result_on_the_map_while_the_window_stays_alive(
    dock: EnhanceDock, web: WebServer, window: Window, project: QgsProject, person: Person, qtbot: QtBot
) -> None:
    web.behaviour, web.delay_s = "slow", 0.5
    layer = show(web.wms_layer(), dock, window, WMS_CRS, 10.0)
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    person.click(dock.enhance_button)
    qtbot.waitUntil(lambda: dock.phase_label.text() == "Downloading the layer")
    qtbot.waitUntil(dock.run_box.isHidden, timeout=60_000)
    names = [node.name() for node in project.layerTreeRoot().children()]
    assert names == ["Map ×4 DIP + Decrappify", "Map"]
    (result,) = (other for other in project.mapLayers().values() if other != layer)
    assert result.renderer().type() == "multibandcolor"
    assert result.extent().xMaximum() <= WMS_BOUNDS[2]


def test_cancel_ends_a_download_at_once(
    dock: EnhanceDock, web: WebServer, window: Window, project: QgsProject, person: Person, qtbot: QtBot
) -> None:
    web.behaviour = "slow"
    layer = show(web.wms_layer(), dock, window, WMS_CRS, 10.0)
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    person.click(dock.enhance_button)
    qtbot.waitUntil(lambda: any("GetMap" in path for path in web.requests))
    began = time.monotonic()
    person.click(dock.cancel_button)
    qtbot.waitUntil(dock.run_box.isHidden)
    assert time.monotonic() - began < 2.0
    assert list(project.mapLayers().values()) == [layer]
