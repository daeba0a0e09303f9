"""The plugin comes and goes without a trace."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsApplication, QgsProject, QgsTask
from qgis.PyQt.QtCore import QCoreApplication, QEvent
from qgis.PyQt.QtWidgets import QAction, QApplication, QDockWidget, QWidget

from headland import classFactory
from headland.bridge.leftovers import JOB_FOLDER_PREFIX
from headland.bridge.private_folder import LOCK_FILE
from headland.plugin import HeadlandPlugin
from headland.tests.support.fixtures import UseEngine
from headland.tests.support.person import Person
from headland.tests.support.window import Interface, Window
from headland.tests.ui.conftest import AddLayer
from headland.ui.dock_widget import EnhanceDock

IMPORT_EVERYTHING = """
import importlib, pathlib, sys
import headland
root = pathlib.Path(headland.__file__).parent
for folder in ("bridge", "ui", "processing"):
    for file in sorted((root / folder).glob("*.py")):
        importlib.import_module(f"headland.{folder}.{file.stem}")
importlib.import_module("headland.plugin")
headland.classFactory(None)
print(sorted({"torch", "onnxruntime"} & {name.partition(".")[0] for name in sys.modules}))
"""


@pytest.fixture
def plugin(window: Window) -> Iterator[HeadlandPlugin]:
    plugin = classFactory(Interface(window))
    plugin.initGui()
    yield plugin
    plugin.unload()


def let_go() -> None:
    """Let Qt delete what is to be deleted later."""
    for _ in range(3):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        QCoreApplication.processEvents()


def state(window: Window) -> dict[str, object]:
    """All that a plugin could leave behind."""
    return {
        "widgets": sorted(f"{type(widget).__name__} {widget.objectName()}" for widget in QApplication.allWidgets()),
        "docks": [dock.objectName() for dock in window.findChildren(QDockWidget)],
        "actions": sorted(action.objectName() or action.text() for action in window.findChildren(QAction)),
        "icons": len(window.raster_tool_bar.actions()),
        "menu": len(window.raster_menu.actions()),
        "providers": sorted(provider.id() for provider in QgsApplication.processingRegistry().providers()),
        "tool": type(window.canvas.mapTool()).__name__,
        "canvas items": len(window.canvas.scene().items()),
        "tasks": QgsApplication.taskManager().count(),
    }


def dock_in(window: Window) -> EnhanceDock:
    dock = window.findChild(QDockWidget, "HeadlandEnhanceDock")
    assert dock is not None
    return dock


def icon_in(window: Window) -> QWidget:
    (action,) = window.raster_tool_bar.actions()
    return window.raster_tool_bar.widgetForAction(action)


def test_it_brings_a_dock_an_icon_a_menu_entry_and_the_provider(plugin: HeadlandPlugin, window: Window) -> None:
    assert dock_in(window).isVisible()
    assert icon_in(window).isVisible()
    assert [action.text() for action in window.raster_menu.actions()] == ["Headland"]
    assert QgsApplication.processingRegistry().algorithmById("headland:enhanceextent") is not None


def test_what_a_killed_qgis_left_is_swept_up_when_the_plugin_comes(
    job_folders: Path, request: pytest.FixtureRequest, qtbot: QtBot
) -> None:
    left = job_folders / f"{JOB_FOLDER_PREFIX}left"
    left.mkdir(mode=0o700)
    (left / LOCK_FILE).touch()
    os.utime(left, (time.time() - 3600,) * 2)
    request.getfixturevalue("plugin")
    qtbot.waitUntil(lambda: not left.exists())


def test_the_icon_shows_and_hides_the_dock(plugin: HeadlandPlugin, window: Window, qtbot: QtBot) -> None:
    person, dock, icon = Person(qtbot), dock_in(window), icon_in(window)
    assert icon.isChecked()
    person.click(icon)
    assert not dock.isVisible()
    assert not icon.isChecked()
    person.click(icon)
    assert dock.isVisible()
    dock.close()
    assert not icon.isChecked()


def test_unloading_and_loading_again_leaves_nothing_behind(window: Window, qtbot: QtBot) -> None:
    # QGIS makes some helpers once and keeps them.
    _load_use_and_unload(window, qtbot)
    before = state(window)
    # Asked for by its id: a provider that was left behind has lost its Python side, and does not know its id any more.
    assert QgsApplication.processingRegistry().providerById("headland") is None
    assert before["docks"] == []
    assert (before["icons"], before["menu"]) == (0, 0)
    for _ in range(3):
        _load_use_and_unload(window, qtbot)
        assert state(window) == before


def _load_use_and_unload(window: Window, qtbot: QtBot) -> None:
    plugin = classFactory(Interface(window))
    plugin.initGui()
    Person(qtbot).choose_in_menu(dock_in(window).extent_row.button, "Draw on the map")
    assert window.canvas.mapTool() is not window.pan_tool
    plugin.unload()
    let_go()


def test_after_unloading_nobody_listens_to_the_project_or_the_map(
    window: Window, project: QgsProject, add_layer: AddLayer, qtbot: QtBot
) -> None:
    plugin = classFactory(Interface(window))
    plugin.initGui()
    plugin.unload()
    let_go()
    layer = add_layer()
    project.setCrs(layer.crs())
    window.canvas.zoomIn()
    project.clear()
    # pytest-qt lets the test fail if a slot does.
    qtbot.wait(300)


def test_unloading_twice_or_unloaded_is_harmless(window: Window) -> None:
    plugin = classFactory(Interface(window))
    plugin.unload()
    plugin.initGui()
    plugin.unload()
    plugin.unload()


def test_unloading_in_mid_run_ends_the_worker(
    window: Window, add_layer: AddLayer, use_engine: UseEngine, project: QgsProject, qtbot: QtBot
) -> None:
    engine = use_engine("hang")
    plugin = classFactory(Interface(window))
    plugin.initGui()
    layer = add_layer()
    dock = dock_in(window)
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    Person(qtbot).click(dock.enhance_button)
    engine.wait_for_worker()
    plugin.unload()
    assert not engine.is_worker_alive()
    let_go()
    qtbot.waitUntil(lambda: _running_tasks() == [])
    assert list(project.mapLayers().values()) == [layer]
    assert window.message_bar.items() == []


def _running_tasks() -> list[QgsTask]:
    return list(QgsApplication.taskManager().activeTasks())


def test_nothing_that_qgis_imports_loads_torch_or_onnxruntime(tmp_path: Path) -> None:
    # They are not installed here, so that an import would be missed; these stand for them.
    for name in ("torch", "onnxruntime"):
        (tmp_path / f"{name}.py").write_text("", encoding="utf-8")
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    run = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.strip() == "[]", run.stderr
    proof = [sys.executable, "-c", "import torch, onnxruntime"]
    assert subprocess.run(proof, cwd=tmp_path, env=environment, check=False).returncode == 0
