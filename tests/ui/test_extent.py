"""The row of the dock that says which extent is chosen, and its menu."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsCoordinateReferenceSystem, QgsFeature, QgsGeometry, QgsProject, QgsRectangle, QgsVectorLayer
from qgis.PyQt.QtCore import QPoint, Qt

from headland.tests.support.person import Person
from headland.tests.support.window import Window
from headland.tests.ui.conftest import AddLayer
from headland.ui.dock_widget import EnhanceDock

pytestmark = pytest.mark.usefixtures("fake_engine")


def shown(dock: EnhanceDock) -> str:
    return dock.extent_row.label.whole_text


def draw(dock: EnhanceDock, window: Window, person: Person) -> QgsRectangle:
    """Draw over the middle of the map and return what was drawn, in the map's units."""
    start, end = QPoint(150, 150), QPoint(320, 300)
    person.choose_in_menu(dock.extent_row.button, "Draw on the map")
    person.draw(window.canvas, start, end)
    to_map = window.canvas.getCoordinateTransform()
    return QgsRectangle(to_map.toMapCoordinates(start), to_map.toMapCoordinates(end))


def test_at_first_it_is_what_the_map_shows_and_follows_it(
    dock: EnhanceDock, add_layer: AddLayer, window: Window, qtbot: QtBot
) -> None:
    layer = add_layer(width_px=120, height_px=120)
    assert shown(dock) == "Map view"
    qtbot.waitUntil(lambda: dock.size_label.text() != "")
    before = dock.size_label.text()
    middle = layer.extent().buffered(-400)
    window.canvas.setExtent(middle)
    assert dock.request().extent == window.canvas.extent()
    assert dock.request().extent.crs() == layer.crs()
    qtbot.waitUntil(lambda: dock.size_label.text() not in ("", before))


def test_the_whole_layer(dock: EnhanceDock, add_layer: AddLayer, window: Window, person: Person, qtbot: QtBot) -> None:
    add_layer()
    window.canvas.setExtent(QgsRectangle(0, 0, 1, 1))
    qtbot.waitUntil(lambda: "does not touch" in dock.notice.sentence)
    person.choose_in_menu(dock.extent_row.button, "The whole layer")
    assert shown(dock) == "Whole layer"
    assert dock.request().extent is None
    qtbot.waitUntil(dock.enhance_button.isEnabled)


def test_back_to_what_the_map_shows(dock: EnhanceDock, add_layer: AddLayer, window: Window, person: Person) -> None:
    add_layer()
    person.choose_in_menu(dock.extent_row.button, "The whole layer")
    person.choose_in_menu(dock.extent_row.button, "What the map shows")
    assert shown(dock) == "Map view"
    assert dock.request().extent == window.canvas.extent()


def test_another_layer_in_its_own_crs(
    dock: EnhanceDock, add_layer: AddLayer, project: QgsProject, person: Person
) -> None:
    raster = add_layer()
    parcels = QgsVectorLayer("Polygon?crs=EPSG:4326", "Parcels & paths", "memory")
    feature_area = QgsRectangle(-75.64, 37.758, -75.63, 37.757)
    _add_rectangle(parcels, feature_area)
    project.addMapLayer(parcels)
    person.choose_in_menu(dock.extent_row.button, "Another layer", "Parcels && paths")
    extent = dock.request().extent
    assert shown(dock) == "Parcels & paths"
    assert extent == parcels.extent()
    assert extent.crs() == QgsCoordinateReferenceSystem("EPSG:4326") != raster.crs()


def _add_rectangle(layer: QgsVectorLayer, rectangle: QgsRectangle) -> None:
    feature = QgsFeature()
    feature.setGeometry(QgsGeometry.fromRect(rectangle))
    layer.dataProvider().addFeature(feature)
    layer.updateExtents()


def test_a_rectangle_drawn_with_the_mouse(
    dock: EnhanceDock, add_layer: AddLayer, window: Window, person: Person, qtbot: QtBot
) -> None:
    layer = add_layer()
    drawn = draw(dock, window, person)
    assert shown(dock) == "Drawn"
    extent = dock.request().extent
    assert extent.crs() == layer.crs()
    assert extent.center().distance(drawn.center()) < 2 * window.canvas.mapUnitsPerPixel()
    assert extent.width() == pytest.approx(drawn.width(), rel=0.05)
    window.canvas.setExtent(QgsRectangle(0, 0, 1, 1))
    assert dock.request().extent == extent


def test_drawing_gives_the_map_tool_back_that_was_in_use(
    dock: EnhanceDock, add_layer: AddLayer, window: Window, person: Person
) -> None:
    add_layer()
    for _ in range(2):
        draw(dock, window, person)
        assert window.canvas.mapTool() is window.pan_tool


def test_choosing_otherwise_while_drawing_gives_the_map_tool_back(
    dock: EnhanceDock, add_layer: AddLayer, window: Window, person: Person
) -> None:
    add_layer()
    person.choose_in_menu(dock.extent_row.button, "Draw on the map")
    assert window.canvas.mapTool() is not window.pan_tool
    person.choose_in_menu(dock.extent_row.button, "The whole layer")
    assert window.canvas.mapTool() is window.pan_tool
    assert shown(dock) == "Whole layer"


def test_escape_ends_the_drawing_and_keeps_the_extent(
    dock: EnhanceDock, add_layer: AddLayer, window: Window, person: Person, qtbot: QtBot
) -> None:
    add_layer()
    person.choose_in_menu(dock.extent_row.button, "Draw on the map")
    qtbot.keyClick(window.canvas, Qt.Key.Key_Escape)
    assert window.canvas.mapTool() is window.pan_tool
    assert shown(dock) == "Map view"


def test_a_click_that_draws_nothing_leaves_the_tool_for_another_try(
    dock: EnhanceDock, add_layer: AddLayer, window: Window, person: Person, qtbot: QtBot
) -> None:
    add_layer()
    person.choose_in_menu(dock.extent_row.button, "Draw on the map")
    tool = window.canvas.mapTool()
    person.draw(window.canvas, QPoint(200, 200), QPoint(200, 200))
    assert window.canvas.mapTool() is tool
    assert shown(dock) == "Map view"


def test_a_drawn_extent_is_what_the_result_covers(
    dock: EnhanceDock, add_layer: AddLayer, window: Window, project: QgsProject, person: Person, qtbot: QtBot
) -> None:
    layer = add_layer(width_px=120, height_px=120)
    drawn = draw(dock, window, person)
    qtbot.waitUntil(lambda: dock.enhance_button.isEnabled() and dock.size_label.text() != "")
    person.click(dock.enhance_button)
    qtbot.waitUntil(lambda: len(project.mapLayers()) == 2, timeout=60_000)
    (result,) = (other for other in project.mapLayers().values() if other != layer)
    pixel_m = layer.rasterUnitsPerPixelX()
    assert result.extent().contains(drawn.buffered(-2 * pixel_m))
    assert drawn.buffered(2 * pixel_m).contains(result.extent())
