"""The controls of the dock, and how they reach the request."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsProject
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtWidgets import QRadioButton

from headland.engine.job import Device, Method, Preset, Sensor
from headland.tests.support.person import Person
from headland.tests.support.rasters import read_raster
from headland.tests.ui.conftest import AddLayer
from headland.ui.advanced_box import AdvancedBox
from headland.ui.dock_widget import EnhanceDock

pytestmark = pytest.mark.usefixtures("fake_engine")


@pytest.fixture
def advanced(dock: EnhanceDock, person: Person) -> AdvancedBox:
    """The advanced settings, unfolded."""
    box = dock.advanced_box
    assert box.isCollapsed()
    box.setCollapsed(False)
    return box


def names(box: AdvancedBox) -> list[str]:
    return [box.bands_box.itemText(row) for row in range(box.bands_box.count())]


def test_the_defaults_ask_for_the_chain_at_four_times(dock: EnhanceDock, add_layer: AddLayer) -> None:
    layer = add_layer()
    request = dock.request()
    assert (request.layer, request.method, request.scale) == (layer, Method.CHAIN, 4)
    assert (request.preset, request.sensor, request.device) == (Preset.FAST, Sensor.AUTO, Device.AUTO)
    assert (request.bands, request.mtf_at_nyquist, request.seed, request.output) == ((), None, 0, None)


def test_a_raster_that_comes_onto_the_map_is_chosen_unless_one_is(dock: EnhanceDock, add_layer: AddLayer) -> None:
    first = add_layer(name="Zealand")
    assert dock.layer_box.currentLayer() == first
    add_layer(name="Aland")
    assert dock.layer_box.currentLayer() == first


def test_the_layer_is_the_one_that_was_chosen(dock: EnhanceDock, add_layer: AddLayer, person: Person) -> None:
    first, second = add_layer(name="A"), add_layer(name="B")
    person.choose(dock.layer_box, "B")
    assert dock.request().layer == second
    person.choose(dock.layer_box, "A")
    assert dock.request().layer == first


def test_the_method_is_explained(dock: EnhanceDock, person: Person) -> None:
    told = set()
    for row in range(dock.method_box.count()):
        person.choose(dock.method_box, dock.method_box.itemText(row))
        told.add(dock.method_label.text())
    assert len(told) == len(Method)
    assert dock.request().method is Method.BICUBIC


def test_a_model_of_ones_own(advanced: AdvancedBox, dock: EnhanceDock, add_layer: AddLayer, person: Person) -> None:
    add_layer()
    assert dock.request().model is None
    person.type(advanced.model_box.lineEdit(), "/nowhere/mine.onnx")
    assert dock.request().model == Path("/nowhere/mine.onnx")


def test_the_result_may_be_cloud_optimised(
    advanced: AdvancedBox, dock: EnhanceDock, add_layer: AddLayer, qtbot: QtBot
) -> None:
    add_layer()
    assert not dock.request().is_cloud_optimised
    qtbot.mouseClick(advanced.cloud_box, Qt.MouseButton.LeftButton, pos=QPoint(8, advanced.cloud_box.height() // 2))
    assert dock.request().is_cloud_optimised


def test_the_scale(dock: EnhanceDock, add_layer: AddLayer, person: Person, qtbot: QtBot) -> None:
    add_layer()
    qtbot.mouseClick(dock.scale_buttons.button(2), Qt.MouseButton.LeftButton, pos=_left(dock.scale_buttons.button(2)))
    assert dock.request().scale == 2
    qtbot.waitUntil(lambda: dock.size_label.text().endswith("of\N{NO-BREAK SPACE}5\N{NO-BREAK SPACE}m"))


def _left(button: QRadioButton) -> QPoint:
    return QPoint(8, button.height() // 2)


def test_the_bands_follow_the_layer(
    dock: EnhanceDock, add_layer: AddLayer, advanced: AdvancedBox, person: Person
) -> None:
    add_layer(name="A", bands=2, names=("Blue", "Green"))
    assert [name.split(": ")[-1] for name in names(advanced)] == ["Blue", "Green"]
    person.tick(advanced.bands_box, 1)
    assert dock.request().bands == (2,)
    add_layer(name="B", bands=3)
    assert dock.request().bands == (2,)
    person.choose(dock.layer_box, "B")
    assert len(names(advanced)) == 3
    assert dock.request().bands == ()


def test_only_the_ticked_bands_are_in_the_result(
    dock: EnhanceDock, add_layer: AddLayer, advanced: AdvancedBox, project: QgsProject, person: Person, qtbot: QtBot
) -> None:
    layer = add_layer(bands=3)
    person.tick(advanced.bands_box, 0)
    person.tick(advanced.bands_box, 2)
    assert dock.request().bands == (1, 3)
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    person.click(dock.enhance_button)
    qtbot.waitUntil(lambda: len(project.mapLayers()) == 2, timeout=60_000)
    (result,) = (other for other in project.mapLayers().values() if other != layer)
    source, enhanced = read_raster(Path(layer.source())), read_raster(Path(result.source()))
    assert (enhanced[:, ::4, ::4] == source[[0, 2]]).all()


def test_the_mtf_can_be_set_for_a_custom_sensor_only(dock: EnhanceDock, advanced: AdvancedBox, person: Person) -> None:
    assert not advanced.mtf_box.isEnabled()
    person.choose(advanced.sensor_box, "Custom MTF")
    assert advanced.mtf_box.isEnabled()
    person.type(advanced.mtf_box.lineEdit(), "0.31")
    assert (dock.request().sensor, dock.request().mtf_at_nyquist) == (Sensor.CUSTOM, 0.31)
    person.choose(advanced.sensor_box, "Landsat")
    assert not advanced.mtf_box.isEnabled()
    assert (dock.request().sensor, dock.request().mtf_at_nyquist) == (Sensor.LANDSAT, None)


def test_effort_seed_and_device(dock: EnhanceDock, advanced: AdvancedBox, person: Person) -> None:
    person.choose(advanced.preset_box, "Balanced")
    person.choose(advanced.device_box, "Processor")
    person.type(advanced.seed_box.lineEdit(), "7")
    request = dock.request()
    assert (request.preset, request.device, request.seed) == (Preset.BALANCED, Device.CPU, 7)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("sharper", "sharper.tif"),
        ("sharper.tif", "sharper.tif"),
        ("sharper.TIFF", "sharper.TIFF"),
        (" sharper ", "sharper.tif"),
    ],
)
def test_an_output_file_without_an_ending_becomes_a_geotiff(
    dock: EnhanceDock, person: Person, typed: str, name: str
) -> None:
    person.type(dock.output_box.lineEdit(), f"/somewhere/{typed}".replace("/ ", "/"))
    assert dock.request().output == Path("/somewhere") / name


def test_the_result_goes_where_it_was_asked_to_go(
    dock: EnhanceDock, add_layer: AddLayer, person: Person, tmp_path: Path, project: QgsProject, qtbot: QtBot
) -> None:
    add_layer()
    person.type(dock.output_box.lineEdit(), str(tmp_path / "sharper"))
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    person.click(dock.enhance_button)
    qtbot.waitUntil(lambda: len(project.mapLayers()) == 2, timeout=60_000)
    assert (tmp_path / "sharper.tif").is_file()
    assert (tmp_path / "sharper.report.json").is_file()
