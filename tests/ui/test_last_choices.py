"""The last choices come back: the user's in the next session, the project's with the project."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsProject
from qgis.PyQt.QtCore import QPoint

from headland.bridge.controller import EnhanceController
from headland.engine.job import Method, Preset, Sensor
from headland.tests.support.person import Person
from headland.tests.support.window import Window
from headland.tests.ui.conftest import AddLayer
from headland.ui.dock_widget import EnhanceDock
from headland.ui.last_choices import choices_of_project, remember

TIMEOUT_MS = 60_000

pytestmark = pytest.mark.usefixtures("fake_engine")


def choose_much(dock: EnhanceDock, window: Window, person: Person) -> None:
    person.choose_in_menu(dock.extent_row.button, "Draw on the map")
    person.draw(window.canvas, QPoint(250, 200), QPoint(400, 400))
    person.choose(dock.method_box, "Deep Image Prior (DIP)")
    person.click(dock.scale_buttons.button(2))
    dock.advanced_box.setCollapsed(False)
    person.tick(dock.advanced_box.bands_box, 1)
    person.choose(dock.advanced_box.preset_box, "Balanced")
    person.choose(dock.advanced_box.sensor_box, "Custom MTF")
    person.type(dock.advanced_box.mtf_box.lineEdit(), "0.31")


def enhance(dock: EnhanceDock, person: Person, qtbot: QtBot) -> None:
    qtbot.wait(300)
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    person.click(dock.enhance_button)
    qtbot.waitUntil(dock.run_box.isHidden, timeout=TIMEOUT_MS)


def test_the_next_session_begins_with_the_settings_of_the_last_run_but_not_with_its_place(
    dock: EnhanceDock,
    controller: EnhanceController,
    add_layer: AddLayer,
    folder: Path,
    person: Person,
    qtbot: QtBot,
) -> None:
    window, project = dock.parentWidget(), QgsProject.instance()
    add_layer(width_px=120, height_px=120, bands=3)
    choose_much(dock, window, person)
    dock.output_box.setFilePath(str(folder / "once.tif"))
    enhance(dock, person, qtbot)
    project.clear()
    later = EnhanceDock(controller, window.canvas, window.message_bar, window)
    request = later.request()
    later.release()
    assert (request.method, request.scale, request.preset) == (Method.DIP, 2, Preset.BALANCED)
    assert (request.sensor, request.mtf_at_nyquist) == (Sensor.CUSTOM, pytest.approx(0.31))
    assert (request.layer, request.bands, request.output) == (None, (), None)
    assert later.extent_row.label.whole_text == "Map view"


def test_a_project_that_is_opened_again_brings_its_layer_extent_and_settings(
    dock: EnhanceDock, window: Window, add_layer: AddLayer, folder: Path, person: Person, qtbot: QtBot
) -> None:
    project = QgsProject.instance()
    add_layer(name="A decoy")
    add_layer(name="Zealand", width_px=120, height_px=120, bands=3)
    person.choose(dock.layer_box, "Zealand")
    choose_much(dock, window, person)
    enhance(dock, person, qtbot)
    before = dock.request()
    assert project.write(str(folder / "project.qgz"))
    project.clear()
    assert dock.extent_row.label.whole_text == "Map view"
    person.choose(dock.method_box, "Anchor (no network)")
    assert project.read(str(folder / "project.qgz"))
    after = dock.request()
    assert after.layer.name() == "Zealand"
    assert replace(after, layer=None, extent=None) == replace(before, layer=None, extent=None)
    assert after.bands == (2,)
    assert after.extent == before.extent
    assert after.extent.crs() == before.extent.crs()
    assert dock.extent_row.label.whole_text == "Drawn"


def test_a_project_whose_layer_is_gone_brings_its_extent_and_settings_all_the_same(
    dock: EnhanceDock, add_layer: AddLayer, folder: Path, person: Person, qtbot: QtBot, project: QgsProject
) -> None:
    layer = add_layer(name="Gone")
    person.choose_in_menu(dock.extent_row.button, "The whole layer")
    person.choose(dock.method_box, "Anchor (no network)")
    enhance(dock, person, qtbot)
    project.removeMapLayer(layer.id())
    assert project.write(str(folder / "project.qgz"))
    project.clear()
    person.choose(dock.method_box, "Decrappify only")
    assert project.read(str(folder / "project.qgz"))
    assert dock.extent_row.label.whole_text == "Whole layer"
    assert dock.request().method is Method.ANCHOR


def test_choices_of_another_headland_change_nothing(
    dock: EnhanceDock, folder: Path, person: Person, project: QgsProject
) -> None:
    project.writeEntry("headland", "last_choices", '{"method": "of tomorrow"}')
    assert project.write(str(folder / "project.qgz"))
    project.clear()
    person.choose(dock.method_box, "Decrappify only")
    before = dock.request()
    assert project.read(str(folder / "project.qgz"))
    assert project.readEntry("headland", "last_choices")[1]
    assert dock.request() == before
    assert before.method is Method.DECRAPPIFY


def test_the_same_choices_once_more_do_not_ask_to_save_the_project_again(
    dock: EnhanceDock, add_layer: AddLayer, folder: Path, person: Person, qtbot: QtBot, project: QgsProject
) -> None:
    add_layer()
    person.choose_in_menu(dock.extent_row.button, "The whole layer")
    enhance(dock, person, qtbot)
    project.write(str(folder / "project.qgz"))
    assert not project.isDirty()
    # What makes it dirty is the new layer, and not that the same is remembered again.
    remember(dock.request(), dock.extent_row.choice, project)
    assert not project.isDirty()
    person.choose(dock.method_box, "Decrappify only")
    remember(dock.request(), dock.extent_row.choice, project)
    assert project.isDirty()


@pytest.mark.parametrize(
    "damage",
    [
        {"seed": float("inf")},
        {"seed": 10**30},
        {"mtf_at_nyquist": "much"},
        {"mtf_at_nyquist": 7.0},
        {"scale": 2.0},
        {"method": 3},
        {"model": 5},
        {"bands": "all"},
        {"extent": {"source": "DRAWN", "bounds": [1, 2], "crs": "", "name": ""}},
        {"extent": None},
    ],
    ids=str,
)
def test_damaged_choices_are_none(dock: EnhanceDock, add_layer: AddLayer, project: QgsProject, damage: Any) -> None:
    add_layer()
    remember(dock.request(), dock.extent_row.choice, project)
    content = json.loads(project.readEntry("headland", "last_choices")[0])
    assert choices_of_project(project) is not None
    project.writeEntry("headland", "last_choices", json.dumps({**content, **damage}))
    assert choices_of_project(project) is None
