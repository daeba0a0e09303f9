"""Settings are kept under a name, and come back in the next session."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QApplication, QInputDialog

from headland.bridge.cloud_optimised import can_cloud_optimise
from headland.bridge.request import EnhanceRequest
from headland.engine.job import Device, Method, Preset, Sensor
from headland.tests.support.engines import FakeEngine
from headland.tests.support.person import Person
from headland.tests.ui.conftest import AddLayer
from headland.ui.dock_widget import EnhanceDock
from headland.ui.presets import load_preset, preset_names, remove_preset, save_preset

SETTINGS = EnhanceRequest(
    layer=None,
    method=Method.DIP,
    scale=2,
    preset=Preset.BALANCED,
    sensor=Sensor.CUSTOM,
    mtf_at_nyquist=0.31,
    seed=7,
    device=Device.CPU,
    model=Path("models") / "my own.onnx",
    is_cloud_optimised=True,
    keeps_dip=True,
    maps_confidence=True,
    traces_borders=True,
)


@pytest.fixture(autouse=True)
def no_presets() -> Iterator[None]:
    QgsSettings().remove("headland/presets")
    yield
    QgsSettings().remove("headland/presets")


def test_what_is_saved_comes_back_as_it_was() -> None:
    name = save_preset("Landsat 7, 8/9", SETTINGS)
    assert preset_names() == [name]
    assert load_preset(name) == SETTINGS
    remove_preset(name)
    assert preset_names() == []


@pytest.mark.parametrize("choice", ["is_cloud_optimised", "keeps_dip", "maps_confidence", "traces_borders"])
def test_a_preset_of_before_there_was_a_choice_does_not_make_it(choice: str) -> None:
    save_preset("old", SETTINGS)
    content = json.loads(QgsSettings().value("headland/presets/old"))
    del content[choice]
    QgsSettings().setValue("headland/presets/old", json.dumps(content))
    assert load_preset("old") == replace(SETTINGS, **{choice: False})


@pytest.mark.parametrize("content", ["", "{", "[]", '{"scale": 3}', '{"scale": 4, "method": "magic"}'])
def test_a_preset_of_another_headland_is_left_alone(content: str) -> None:
    QgsSettings().setValue("headland/presets/old", content)
    assert load_preset("old") is None


def type_into_dialog(text: str) -> None:
    dialog = QApplication.activeModalWidget()
    assert isinstance(dialog, QInputDialog)
    dialog.setTextValue(text)
    dialog.accept()


def test_a_person_saves_the_settings_and_has_them_back(
    dock: EnhanceDock, add_layer: AddLayer, fake_engine: FakeEngine, qtbot: QtBot
) -> None:
    person, box = Person(qtbot), dock.advanced_box
    add_layer()
    box.setCollapsed(False)
    assert not box.preset_row.choose_button.isEnabled()
    person.choose(dock.method_box, "Anchor (no network)")
    person.click(dock.scale_buttons.button(2))
    box.seed_box.setValue(42)
    box.cloud_box.setChecked(can_cloud_optimise())
    person.click(box.borders_box)
    QTimer.singleShot(200, lambda: type_into_dialog("Fields & woods"))
    person.click(box.preset_row.save_button)
    wished = dock.request()
    person.choose(dock.method_box, "DIP, then Decrappify")
    dock.scale_buttons.button(4).setChecked(True)
    box.seed_box.setValue(0)
    box.cloud_box.setChecked(False)
    person.click(box.borders_box)
    assert dock.request() != wished
    person.choose_in_menu(box.preset_row.choose_button, "Fields && woods")
    assert dock.request() == wished
    person.choose_in_menu(box.preset_row.choose_button, "Delete", "Fields && woods")
    assert preset_names() == []
    assert not box.preset_row.choose_button.isEnabled()
