"""Setting the engine up from the dock, as a person does: one button, then Enhance works without a restart."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsApplication
from qgis.PyQt.QtWidgets import QApplication, QMessageBox

from headland.engine.environment import READY_FILE, EnvironmentMissing, engine_python, requirements_hash
from headland.engine.installing import plan as planning
from headland.engine.installing.locks import Choice
from headland.engine.installing.pythons import PYTHON_VARIABLE
from headland.tests.support.engines import make_fake_engine, packages_of
from headland.tests.support.fixtures import UseEngine
from headland.tests.support.installations import beside, running_in
from headland.tests.support.person import Person
from headland.tests.support.wheelhouse import Wheelhouse, make_wheelhouse, spoil_hash
from headland.tests.ui.conftest import AddLayer
from headland.ui.dock_widget import EnhanceDock
from headland.ui.set_up_dialog import SetUpDialog

LONG_MS = 180_000
# Asked before a test names another engine.
REAL_PACKAGES = packages_of(engine_python())


@pytest.fixture
def wheelhouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheelhouse:
    """Tiny wheels in the place of what this computer would get; the real engine's packages do the work."""
    made = make_wheelhouse(tmp_path / "wheelhouse", REAL_PACKAGES)
    monkeypatch.setattr(planning, "choose_lock", lambda *_arguments: Choice(made.lock, "Computes on the processor."))
    return made


@pytest.fixture
def dock_without_engine(wheelhouse: Wheelhouse, engine: Path, dock: EnhanceDock) -> EnhanceDock:
    return dock


def open_dialog(dock: EnhanceDock, qtbot: QtBot) -> SetUpDialog:
    qtbot.waitUntil(dock.set_up_button.isVisible)
    Person(qtbot).click(dock.set_up_button)
    dialog = dock.set_up_button.dialog
    assert dialog is not None
    assert dialog.isVisible()
    return dialog


def take_wheels(dialog: SetUpDialog, folder: Path, qtbot: QtBot) -> None:
    person = Person(qtbot)
    dialog.options.setCollapsed(False)
    person.choose(dialog.options.source_box, "Folder of wheels")
    person.type(dialog.options.wheels_box.lineEdit(), str(folder))
    qtbot.waitUntil(lambda: "No download" in dialog.plan_label.text())
    qtbot.waitUntil(dialog.start_button.isEnabled)


def test_one_click_sets_the_engine_up_and_enhance_works_without_a_restart(
    dock_without_engine: EnhanceDock, add_layer: AddLayer, wheelhouse: Wheelhouse, engine: Path, qtbot: QtBot
) -> None:
    dock = dock_without_engine
    add_layer()
    qtbot.waitUntil(lambda: "is not set up" in dock.engine_offer.label.text() and dock.engine_offer.isVisible())
    dialog = open_dialog(dock, qtbot)
    qtbot.waitUntil(dialog.start_button.isEnabled)
    for expected in ("Download: about", "On the disk: about", "Folder: ", "Computes on the processor."):
        assert expected in dialog.plan_label.text()
    take_wheels(dialog, wheelhouse.folder, qtbot)
    Person(qtbot).click(dialog.start_button)
    qtbot.waitUntil(dialog.cancel_button.isVisible)
    assert dialog.progress_bar.isVisible()
    assert not dialog.options.isEnabled()
    qtbot.waitUntil(lambda: "The engine is ready" in dialog.state_label.text(), timeout=LONG_MS)
    assert engine_python().is_relative_to(engine)
    assert "Successfully installed" in dialog.log.toPlainText()
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    assert not dock.notice.isVisible()
    assert not dock.set_up_button.isVisible()
    dock.advanced_box.engine_row.refresh()
    assert dock.advanced_box.engine_row.label.whole_text.startswith("cpu")


def test_a_failure_says_what_to_do_and_keeps_the_log(
    dock_without_engine: EnhanceDock, wheelhouse: Wheelhouse, qtbot: QtBot
) -> None:
    dialog = open_dialog(dock_without_engine, qtbot)
    spoil_hash(wheelhouse.lock)
    take_wheels(dialog, wheelhouse.folder, qtbot)
    Person(qtbot).click(dialog.start_button)
    qtbot.waitUntil(lambda: "not the one that Headland was made with" in dialog.notice.sentence, timeout=LONG_MS)
    assert "DO NOT MATCH THE HASHES" in dialog.log.toPlainText()
    assert dialog.start_button.text() == "Try again"
    assert dialog.start_button.isEnabled()
    assert not dialog.progress_bar.isVisible()
    assert dock_without_engine.set_up_button.isVisible()
    Person(qtbot).click(dialog.diagnostics_button)
    Person(qtbot).click(dialog.copy_button)
    assert str(Path.home()) not in QApplication.clipboard().text()


def test_cancelling_leaves_nothing_half_made(
    dock_without_engine: EnhanceDock, wheelhouse: Wheelhouse, engine: Path, qtbot: QtBot
) -> None:
    dialog = open_dialog(dock_without_engine, qtbot)
    take_wheels(dialog, wheelhouse.folder, qtbot)
    Person(qtbot).click(dialog.start_button)
    qtbot.waitUntil(lambda: dialog.log.toPlainText() != "")
    Person(qtbot).click(dialog.cancel_button)
    qtbot.waitUntil(lambda: "Cancelled" in dialog.notice.sentence, timeout=LONG_MS)
    assert beside(engine) == {"engine.lock"}
    assert dialog.start_button.isEnabled()


def test_a_dock_that_goes_ends_the_set_up(
    dock_without_engine: EnhanceDock, wheelhouse: Wheelhouse, engine: Path, qtbot: QtBot
) -> None:
    dialog = open_dialog(dock_without_engine, qtbot)
    take_wheels(dialog, wheelhouse.folder, qtbot)
    Person(qtbot).click(dialog.start_button)
    qtbot.waitUntil(lambda: dialog.log.toPlainText() != "")
    dock_without_engine.set_up_button.release()
    assert not running_in(engine.parent)
    assert beside(engine) == {"engine.lock"}
    qtbot.waitUntil(lambda: QgsApplication.taskManager().countActiveTasks() == 0)


def test_without_a_suitable_python_the_dialog_says_so_until_one_is_named(
    dock_without_engine: EnhanceDock, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    monkeypatch.setenv(PYTHON_VARIABLE, "/no/python/here")
    dialog = open_dialog(dock_without_engine, qtbot)
    qtbot.waitUntil(lambda: "/no/python/here does not run" in dialog.notice.sentence)
    assert not dialog.start_button.isEnabled()
    assert not dialog.options.isCollapsed()
    Person(qtbot).type(dialog.options.python_box.lineEdit(), "/usr/bin/python3")
    qtbot.waitUntil(dialog.start_button.isEnabled)
    assert not dialog.notice.isVisible()


def test_an_index_of_pytorchs_builds_can_be_named_and_nonsense_there_is_told(
    dock_without_engine: EnhanceDock, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    monkeypatch.delenv("HEADLAND_TORCH_INDEX", raising=False)
    dialog = open_dialog(dock_without_engine, qtbot)
    qtbot.waitUntil(dialog.start_button.isEnabled)
    dialog.options.setCollapsed(False)
    field = dialog.options.torch_index_box
    assert field.accessibleName() == "Index of PyTorch’s builds"
    assert "PyTorch’s own pages name it; empty is fine" in field.toolTip()
    Person(qtbot).type(field, "the one for CUDA")
    qtbot.waitUntil(lambda: "is no address" in dialog.notice.sentence)
    assert not dialog.start_button.isEnabled()
    Person(qtbot).type(field, "https://builds.example/cu130")
    qtbot.waitUntil(dialog.start_button.isEnabled)
    assert not dialog.notice.isVisible()
    wishes = dialog.options.wishes(is_anew=False)
    assert wishes is not None
    assert wishes.sources.torch_index == "https://builds.example/cu130"
    Person(qtbot).choose(dialog.options.source_box, "Folder of wheels")
    assert not field.isEnabled()


def test_an_engine_of_another_version_is_offered_to_be_set_up_anew(
    dock_without_engine: EnhanceDock, engine: Path, add_layer: AddLayer, qtbot: QtBot
) -> None:
    add_layer()
    make_fake_engine(engine)
    ready = engine / READY_FILE
    ready.write_text(ready.read_text().replace(requirements_hash(), "of another version"))
    dock_without_engine.scale_buttons.button(2).click()
    qtbot.waitUntil(lambda: "for another version of Headland." in dock_without_engine.engine_offer.label.text())
    assert dock_without_engine.set_up_button.isVisible()


def test_newer_packages_are_offered_while_the_engine_works_on(
    dock_without_engine: EnhanceDock, engine: Path, add_layer: AddLayer, qtbot: QtBot
) -> None:
    dock = dock_without_engine
    make_fake_engine(engine)
    add_layer()
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    assert not dock.set_up_button.isVisible()
    ready = engine / READY_FILE
    state = {**json.loads(ready.read_text()), "lock": "linux-cpu", "lock_sha256": "of an older one"}
    ready.write_text(json.dumps(state))
    dock.scale_buttons.button(2).click()
    qtbot.waitUntil(dock.set_up_button.isVisible)
    assert dock.set_up_button.text() == "Update engine…"
    assert not dock.engine_offer.label.isVisible()
    assert dock.enhance_button.isEnabled()
    dialog = open_dialog(dock, qtbot)
    assert "newer packages" in dialog.state_label.text()
    assert dialog.start_button.text() == "Update engine"


def test_removing_takes_the_engine_away_and_the_dock_notices(
    dock_without_engine: EnhanceDock, engine: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    dock = dock_without_engine
    make_fake_engine(engine)
    dock.set_up_button.refresh()
    assert not dock.set_up_button.isVisible()
    dock.advanced_box.setCollapsed(False)
    Person(qtbot).click(dock.advanced_box.engine_row.button)
    dialog = dock.set_up_button.dialog
    assert dialog is not None
    assert "The engine is ready" in dialog.state_label.text()
    monkeypatch.setattr(QMessageBox, "question", lambda *_arguments: QMessageBox.StandardButton.Yes)
    Person(qtbot).click(dialog.remove_button)
    qtbot.waitUntil(dock.set_up_button.isVisible)
    with pytest.raises(EnvironmentMissing):
        engine_python()
    assert not engine.exists()


def test_an_engine_at_work_is_not_taken_away(
    dock: EnhanceDock, add_layer: AddLayer, use_engine: UseEngine, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    use_engine("hang")
    add_layer()
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    dock.advanced_box.setCollapsed(False)
    Person(qtbot).click(dock.advanced_box.engine_row.button)
    dialog = dock.set_up_button.dialog
    assert dialog is not None
    Person(qtbot).click(dock.enhance_button)
    qtbot.waitUntil(dock.cancel_button.isVisible)
    monkeypatch.setattr(QMessageBox, "question", lambda *_arguments: QMessageBox.StandardButton.Yes)
    Person(qtbot).click(dialog.remove_button)
    assert "An enhancement is running" in dialog.notice.sentence
    assert engine_python().exists()
    Person(qtbot).click(dock.cancel_button)
    qtbot.waitUntil(dock.run_box.isHidden, timeout=LONG_MS)


@pytest.mark.parametrize("width_px", [320, 480])
def test_it_fits_a_narrow_window(dock_without_engine: EnhanceDock, width_px: int, qtbot: QtBot) -> None:
    dialog = open_dialog(dock_without_engine, qtbot)
    qtbot.waitUntil(dialog.start_button.isEnabled)
    dialog.options.setCollapsed(False)
    dialog.resize(width_px, dialog.height())
    qtbot.wait(50)
    assert dialog.width() == width_px
    for widget in (
        dialog.plan_label,
        dialog.options,
        dialog.close_button,
        dialog.options.wheels_box,
        dialog.options.torch_index_box,
    ):
        right = widget.mapTo(dialog, widget.rect().topRight()).x()
        assert right <= width_px
    assert not re.search(r"\{\w*\}", dialog.plan_label.text())
