"""One click on Enhance, from the dock to the map, with an engine that works or misbehaves as asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qgis.core import Qgis, QgsProject, QgsRasterLayer
from qgis.gui import QgsMessageBarItem, QgsMessageViewer
from qgis.PyQt.QtCore import QObject
from qgis.PyQt.QtWidgets import QApplication, QPushButton

from headland.engine import client
from headland.tests.support.engines import FakeEngine
from headland.tests.support.fixtures import UseEngine
from headland.tests.support.person import Person
from headland.tests.support.window import Window
from headland.tests.ui.conftest import AddLayer
from headland.ui.dock_widget import EnhanceDock

TIMEOUT_MS = 60_000


def files_in(folder: Path) -> list[Path]:
    """The files in it, without those in which QGIS keeps statistics."""
    return sorted(file for file in folder.iterdir() if file.suffix != ".xml")


def start(dock: EnhanceDock, qtbot: QtBot) -> None:
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    Person(qtbot).click(dock.enhance_button)
    assert dock.cancel_button.isVisible()


def wait_for_end(dock: EnhanceDock, qtbot: QtBot) -> None:
    qtbot.waitUntil(dock.run_box.isHidden, timeout=TIMEOUT_MS)


def only_message(window: Window) -> QgsMessageBarItem:
    (item,) = window.message_bar.items()
    return item


def in_group(project: QgsProject, layer: QgsRasterLayer) -> None:
    root = project.layerTreeRoot()
    node = root.findLayer(layer.id())
    root.addGroup("Virginia").addChildNode(node.clone())
    root.removeChildNode(node)


def test_one_click_puts_the_result_above_its_source_and_leaves_that_alone(
    dock: EnhanceDock,
    add_layer: AddLayer,
    project: QgsProject,
    window: Window,
    fake_engine: FakeEngine,
    qtbot: QtBot,
) -> None:
    layer = add_layer(bands=2)
    in_group(project, layer)
    pixels, style = Path(layer.source()).read_bytes(), layer.renderer().type()
    start(dock, qtbot)
    wait_for_end(dock, qtbot)
    group = project.layerTreeRoot().findGroup("Virginia")
    assert [child.name() for child in group.children()] == [
        "Fields 2024 ×4 DIP + Decrappify",
        "Fields 2024",
    ]
    result = group.children()[0].layer()
    assert (result.width(), result.height(), result.bandCount()) == (160, 128, 2)
    assert result.extent() == layer.extent()
    assert (Path(layer.source()).read_bytes(), layer.renderer().type()) == (pixels, style)
    assert only_message(window).level() == Qgis.MessageLevel.Success
    assert "“Fields 2024 ×4 DIP + Decrappify” is on the map" in only_message(window).text()
    # The next click would enhance the source again, and not the result.
    assert dock.layer_box.currentLayer() == layer


def test_meanwhile_the_phase_is_told_in_words_and_settings_can_be_chosen_for_the_next(
    dock: EnhanceDock, add_layer: AddLayer, use_engine: UseEngine, qtbot: QtBot
) -> None:
    use_engine("hang")
    add_layer()
    start(dock, qtbot)
    qtbot.waitUntil(lambda: dock.phase_label.text() == "Pretending, tile 2 of 2", timeout=TIMEOUT_MS)
    assert dock.run_box.title_label.whole_text == "Fields 2024, 40 × 32 px, ×4"
    assert dock.phase_label.isVisible()
    assert dock.progress_bar.isVisible()
    assert dock.progress_bar.value() == pytest.approx(dock.progress_bar.maximum() / 2, rel=0.05)
    assert not dock.notice.isVisible()
    assert not dock.look_button.isVisible()
    assert dock.enhance_button.text() == "Add to the queue"
    Person(qtbot).choose(dock.method_box, "Anchor (no network)")
    assert dock.run_box.title_label.isVisible()
    Person(qtbot).click(dock.cancel_button)
    wait_for_end(dock, qtbot)
    assert dock.enhance_button.text() == "Enhance extent"
    assert dock.look_button.isVisible()
    assert not dock.progress_bar.isVisible()


def test_cancel_ends_the_worker_within_two_seconds_and_leaves_nothing(
    dock: EnhanceDock,
    add_layer: AddLayer,
    folder: Path,
    window: Window,
    use_engine: UseEngine,
    qtbot: QtBot,
) -> None:
    engine = use_engine("hang")
    layer = add_layer()
    person = Person(qtbot)
    target = folder.parent / "sharper"
    target.mkdir()
    person.type(dock.output_box.lineEdit(), str(target / "out.tif"))
    before = files_in(folder)
    start(dock, qtbot)
    engine.wait_for_worker()
    began = time.monotonic()
    person.click(dock.cancel_button)
    assert dock.phase_label.text() == "Cancelling"
    assert not dock.cancel_button.isEnabled()
    wait_for_end(dock, qtbot)
    assert time.monotonic() - began < 2.0
    assert not engine.is_worker_alive()
    assert list(QgsProject.instance().mapLayers().values()) == [layer]
    assert files_in(folder) == before
    assert list(target.iterdir()) == []
    assert "Cancelled" in only_message(window).text()
    assert only_message(window).level() == Qgis.MessageLevel.Info


def test_stop_here_keep_this_gives_a_layer_and_says_what_it_is_made_of(
    dock: EnhanceDock, add_layer: AddLayer, project: QgsProject, window: Window, use_engine: UseEngine, qtbot: QtBot
) -> None:
    use_engine("obedient")
    add_layer()
    person = Person(qtbot)
    start(dock, qtbot)
    qtbot.waitUntil(lambda: dock.phase_label.text() == "Pretending, tile 2 of 2", timeout=TIMEOUT_MS)
    assert dock.run_box.finish_button.isVisible()
    person.click(dock.run_box.finish_button)
    assert dock.phase_label.text() == "Finishing what was begun"
    assert not dock.run_box.finish_button.isEnabled()
    assert dock.cancel_button.isEnabled()
    wait_for_end(dock, qtbot)
    assert not dock.run_box.finish_button.isVisible()
    names = sorted(layer.name() for layer in project.mapLayers().values())
    assert names == ["Fields 2024", "Fields 2024 ×4 anchor + Decrappify, stopped"]
    text = only_message(window).text()
    assert text.endswith("Stopped early: 38 % of the area is done, the rest is only enlarged.")


def test_a_run_that_is_being_stopped_can_still_be_cancelled(
    dock: EnhanceDock, add_layer: AddLayer, project: QgsProject, use_engine: UseEngine, qtbot: QtBot
) -> None:
    engine = use_engine("hang")
    layer = add_layer()
    start(dock, qtbot)
    engine.wait_for_worker()
    Person(qtbot).click(dock.run_box.finish_button)
    Person(qtbot).click(dock.cancel_button)
    wait_for_end(dock, qtbot)
    assert not engine.is_worker_alive()
    assert list(project.mapLayers().values()) == [layer]


@contextmanager
def patience(limit_s: float) -> Iterator[None]:
    """Let a worker count as hanging after so much silence."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(client.run_worker.__kwdefaults__, "silence_limit_s", limit_s)
        yield


@pytest.mark.parametrize(
    ("behaviour", "sentence"),
    [
        ("killed", "The system ended the engine, probably because memory ran out"),
        ("crash", "The engine crashed (SIGABRT)"),
        ("hang", "The engine was silent"),
        ("garbage", "The engine answers with something that Headland does not understand"),
        ("out of memory", "The engine ran out of memory; choose a smaller extent."),
        ("no result", "The engine finished without a result"),
        ("wrong size", "The engine returned a result of another size"),
    ],
)
def test_a_failure_is_told_in_one_sentence_and_the_next_click_works(
    dock: EnhanceDock,
    add_layer: AddLayer,
    use_engine: UseEngine,
    qtbot: QtBot,
    behaviour: str,
    sentence: str,
) -> None:
    engine = use_engine(behaviour)
    window, project = dock.parentWidget(), QgsProject.instance()
    layer = add_layer()
    # A worker that does speak may be slow to begin.
    with patience(1.0 if behaviour == "hang" else TIMEOUT_MS / 1000):
        start(dock, qtbot)
        wait_for_end(dock, qtbot)
    item = only_message(window)
    assert item.level() == Qgis.MessageLevel.Critical
    assert item.text().startswith(sentence)
    assert item.text().endswith(".")
    assert item.text().count(". ") == 0
    assert dock.notice.sentence == item.text()
    assert not engine.is_worker_alive()
    assert list(project.mapLayers().values()) == [layer]
    window.message_bar.clearWidgets()
    use_engine("repeat")
    start(dock, qtbot)
    wait_for_end(dock, qtbot)
    assert len(project.mapLayers()) == 2


@pytest.mark.usefixtures("fake_engine")
def test_the_next_run_does_not_write_over_the_last_ones_file(
    dock: EnhanceDock, add_layer: AddLayer, project: QgsProject, folder: Path, qtbot: QtBot
) -> None:
    add_layer()
    dock.output_box.setFilePath(str(folder / "first.tif"))
    start(dock, qtbot)
    wait_for_end(dock, qtbot)
    assert (folder / "first.tif").exists()
    assert dock.request().output is None
    written = (folder / "first.tif").stat().st_mtime_ns
    start(dock, qtbot)
    wait_for_end(dock, qtbot)
    assert len(project.mapLayers()) == 3
    assert (folder / "first.tif").stat().st_mtime_ns == written


@pytest.mark.usefixtures("fake_engine")
def test_a_result_for_a_project_that_was_closed_is_kept_and_can_be_added(
    dock: EnhanceDock, add_layer: AddLayer, project: QgsProject, window: Window, folder: Path, qtbot: QtBot
) -> None:
    add_layer()
    dock.output_box.setFilePath(str(folder / "kept.tif"))
    start(dock, qtbot)
    project.clear()
    wait_for_end(dock, qtbot)
    item = only_message(window)
    assert item.text() == f"The project was changed meanwhile; the result is kept in {folder / 'kept.tif'}."
    assert not project.mapLayers()
    (button,) = (button for button in item.findChildren(QPushButton) if button.text() == "Add to the map")
    Person(qtbot).click(button)
    (layer,) = project.mapLayers().values()
    assert layer.name() == "Fields 2024 ×4 DIP + Decrappify"
    assert layer.isValid()


@pytest.mark.parametrize("behaviour", ["killed", "garbage", "out of memory", "wrong size"])
def test_the_details_of_a_failure_are_a_click_away(
    dock: EnhanceDock, add_layer: AddLayer, window: Window, use_engine: UseEngine, qtbot: QtBot, behaviour: str
) -> None:
    use_engine(behaviour)
    add_layer()
    start(dock, qtbot)
    wait_for_end(dock, qtbot)
    item = only_message(window)
    (button,) = (button for button in item.findChildren(QPushButton) if button.text() == "Details")
    Person(qtbot).click(button)
    (viewer,) = (widget for widget in QApplication.topLevelWidgets() if isinstance(widget, QgsMessageViewer))
    assert viewer.isVisible()
    text = viewer.findChild(QObject, "txtMessage").toPlainText()
    assert text.startswith(item.text())
    assert len(text) > len(item.text()) + 10
    viewer.reject()
