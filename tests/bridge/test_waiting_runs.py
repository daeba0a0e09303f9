"""Several enhancements one after another: what waits, what it waits for, and what becomes of it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsApplication, QgsProject, QgsRasterLayer, QgsReferencedRectangle, QgsTask

from headland.bridge.controller import EnhanceController
from headland.bridge.prepare import CannotEnhance
from headland.engine.job import Method
from headland.tests.support.controlled import TIMEOUT_MS, cancel, request
from headland.tests.support.engines import FakeEngine
from headland.tests.support.fixtures import UseEngine


def test_the_same_twice_is_refused_while_it_runs(
    controller: EnhanceController, source: QgsRasterLayer, folder: Path, blocked: FakeEngine, qtbot: QtBot
) -> None:
    with pytest.raises(CannotEnhance, match="being enhanced with these settings already"):
        controller.start(replace(request(source, folder), output=folder / "other.tif"))
    with pytest.raises(CannotEnhance, match="what another run in the queue writes; choose another file name"):
        controller.start(replace(request(source, folder), scale=4))
    with pytest.raises(CannotEnhance, match="still at work"):
        controller.look(request(source, folder), QgsReferencedRectangle(source.extent(), source.crs()))
    assert controller.waiting == ()
    cancel(controller, qtbot)


def test_what_is_started_meanwhile_waits_on_hold_in_the_task_manager_and_then_runs(
    controller: EnhanceController,
    source: QgsRasterLayer,
    folder: Path,
    fake_engine: FakeEngine,
    qtbot: QtBot,
    project: QgsProject,
) -> None:
    begun: list[str] = []
    controller.started.connect(lambda plan, _refusal: begun.append(plan.title))
    controller.start(request(source, folder))
    controller.start(replace(request(source, folder), scale=4, output=None))
    controller.start(replace(request(source, folder), method=Method.CHAIN, output=None))
    titles = [f"Fields 2024, 40 × 32 px, ×{scale}" for scale in (2, 4, 2)]
    assert [plan.title for plan in controller.waiting] == titles[1:]
    tasks = QgsApplication.taskManager().tasks()
    assert sorted(task.description() for task in tasks) == sorted(f"Enhance {title}" for title in titles)
    on_hold = [task for task in tasks if task.status() == QgsTask.TaskStatus.OnHold]
    assert len(on_hold) == 2
    with qtbot.waitSignals([controller.finished] * 3, timeout=TIMEOUT_MS):
        pass
    assert begun == titles
    assert len(project.mapLayers()) == 4
    assert not controller.is_running


def test_one_that_fails_or_is_cancelled_does_not_hold_up_the_next(
    controller: EnhanceController, source: QgsRasterLayer, folder: Path, use_engine: UseEngine, qtbot: QtBot
) -> None:
    engine = use_engine("out of memory")
    controller.start(request(source, folder))
    use_engine("hang")
    controller.start(replace(request(source, folder), scale=4, output=None))
    use_engine("repeat")
    controller.start(replace(request(source, folder), method=Method.CHAIN, output=None))
    with qtbot.waitSignal(controller.failed, timeout=TIMEOUT_MS):
        pass
    assert controller.is_running
    assert not engine.is_worker_alive()
    cancel(controller, qtbot)
    with qtbot.waitSignal(controller.finished, timeout=TIMEOUT_MS):
        pass
    assert not controller.is_running


@pytest.mark.parametrize("way", ["dock", "task manager"])
def test_one_that_waits_can_be_withdrawn_and_nothing_comes_of_it(
    controller: EnhanceController,
    source: QgsRasterLayer,
    folder: Path,
    blocked: FakeEngine,
    qtbot: QtBot,
    way: str,
) -> None:
    controller.start(replace(request(source, folder), scale=4, output=None))
    (plan,) = controller.waiting
    with qtbot.waitSignal(controller.queue_changed), qtbot.assertNotEmitted(controller.cancelled):
        if way == "dock":
            controller.withdraw(plan)
        else:
            tasks = QgsApplication.taskManager().tasks()
            next(task for task in tasks if task.status() == QgsTask.TaskStatus.OnHold).cancel()
    assert controller.waiting == ()
    cancel(controller, qtbot)
    assert not controller.is_running
    qtbot.waitUntil(lambda: QgsApplication.taskManager().count() == 0)


def test_what_the_disk_cannot_hold_by_its_turn_is_told_before_it_starts(
    controller: EnhanceController,
    source: QgsRasterLayer,
    folder: Path,
    fake_engine: FakeEngine,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    controller.start(request(source, folder))
    controller.start(replace(request(source, folder), scale=4, output=None))
    controller.start(replace(request(source, folder), method=Method.CHAIN, output=None))
    usage = shutil.disk_usage(folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=0))
    with qtbot.waitSignals([controller.finished, controller.failed, controller.failed], timeout=TIMEOUT_MS) as told:
        pass
    assert told.all_signals_and_args[1].args[0].startswith("A result of 160 × 128 pixels in 2 bands needs about")
    assert not controller.is_running
    assert controller.waiting == ()


def test_a_folder_that_is_gone_by_its_turn_is_told_and_the_next_one_runs(
    controller: EnhanceController, source: QgsRasterLayer, folder: Path, fake_engine: FakeEngine, qtbot: QtBot
) -> None:
    gone = folder / "stick"
    gone.mkdir()
    controller.start(request(source, folder))
    controller.start(replace(request(source, folder), scale=4, output=gone / "out.tif"))
    controller.start(replace(request(source, folder), method=Method.CHAIN, output=None))
    gone.rmdir()
    with qtbot.waitSignals([controller.finished, controller.failed, controller.finished], timeout=TIMEOUT_MS) as told:
        pass
    assert told.all_signals_and_args[1].args[0].startswith(f"The folder {gone} cannot be reached")
    assert not controller.is_running


def test_two_in_the_queue_never_write_the_same_extra(
    controller: EnhanceController, source: QgsRasterLayer, folder: Path, use_engine: UseEngine, qtbot: QtBot
) -> None:
    use_engine("hang")
    wish = replace(request(source, folder), method=Method.CHAIN, keeps_dip=True, output=folder / "a.tif")
    controller.start(wish)
    with pytest.raises(CannotEnhance, match="another run in the queue writes"):
        controller.start(replace(wish, output=folder / "a.tiff", report=folder / "b.json", scale=4))
    cancel(controller, qtbot)


def test_closing_ends_what_waits_as_well(
    controller: EnhanceController, source: QgsRasterLayer, folder: Path, blocked: FakeEngine, qtbot: QtBot
) -> None:
    controller.start(replace(request(source, folder), scale=4, output=None))
    blocked.wait_for_worker()
    with qtbot.assertNotEmitted(controller.started, wait=300):
        controller.close()
    assert not blocked.is_worker_alive()
    assert controller.waiting == ()
    qtbot.waitUntil(lambda: QgsApplication.taskManager().count() == 0)


def test_what_waits_when_its_project_is_closed_is_done_and_put_into_no_other(
    controller: EnhanceController,
    source: QgsRasterLayer,
    folder: Path,
    fake_engine: FakeEngine,
    qtbot: QtBot,
    project: QgsProject,
) -> None:
    refusals: list[str] = []
    controller.started.connect(lambda _plan, refusal: refusals.append(refusal))
    controller.start(request(source, folder))
    controller.start(replace(request(source, folder), scale=4, output=folder / "waiting.tif"), has_preview=True)
    with qtbot.waitSignals([controller.finished] * 2, timeout=TIMEOUT_MS) as told:
        project.clear()
    assert [signal.args[1] for signal in told.all_signals_and_args] == ["", ""]
    assert refusals == ["", "No preview: the layer is in another project."]
    assert (folder / "waiting.tif").exists()
    assert not project.mapLayers()
