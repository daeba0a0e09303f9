"""One click: the task in QGIS's task manager, and what the controller makes of its end."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from osgeo import gdal
from pytestqt.qtbot import QtBot
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsProject,
    QgsRasterLayer,
    QgsRasterRange,
    QgsSingleBandGrayRenderer,
)

from headland.bridge import controller as controller_module
from headland.bridge.controller import EnhanceController
from headland.bridge.enhance import EnhanceResult
from headland.bridge.prepare import CannotEnhance
from headland.bridge.preview import PreviewPainter
from headland.tests.support.controlled import TIMEOUT_MS, request
from headland.tests.support.engines import FakeEngine
from headland.tests.support.fixtures import UseEngine


def files_in(folder: Path) -> list[Path]:
    """The files in it, without those in which QGIS keeps statistics."""
    return sorted(file for file in folder.iterdir() if file.suffix != ".xml")


def test_one_click_ends_with_a_layer_on_the_map(
    controller: EnhanceController, source: QgsRasterLayer, folder: Path, qtbot: QtBot, project: QgsProject
) -> None:
    told: list[tuple[str, float]] = []
    threads: set[threading.Thread] = set()
    controller.progressed.connect(lambda phase, fraction: told.append((phase, fraction)))
    controller.progressed.connect(lambda _phase, _fraction: threads.add(threading.current_thread()))
    with qtbot.waitSignal(controller.finished, timeout=TIMEOUT_MS) as finished:
        controller.start(request(source, folder))
        assert controller.is_running
    result, layer_id = finished.args
    assert isinstance(result, EnhanceResult)
    assert result.summary["method"] == "anchor"
    layer = project.mapLayer(layer_id)
    assert (layer.name(), layer.width(), layer.extent()) == ("Fields 2024 ×2 anchor", 80, source.extent())
    assert not controller.is_running
    assert told[-1] == ("Writing the result", 1.0)
    assert threads == {threading.main_thread()}


def test_a_bad_request_is_refused_before_anything_starts(controller: EnhanceController, folder: Path) -> None:
    with pytest.raises(CannotEnhance, match="choose a raster layer"):
        controller.start(request(None, folder))
    assert not controller.is_running
    assert QgsApplication.taskManager().count() == 0


@pytest.fixture(params=[MemoryError, EOFError, AttributeError, OSError])
def failed_to_draw(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once a preview was to be drawn, which fails."""
    is_failed = threading.Event()

    def fail(_painter: PreviewPainter, _file: Path) -> None:
        is_failed.set()
        raise request.param

    monkeypatch.setattr(PreviewPainter, "paint", fail)
    return is_failed


def test_a_preview_that_cannot_be_drawn_is_a_picture_less_and_the_work_goes_on(
    controller: EnhanceController,
    source: QgsRasterLayer,
    folder: Path,
    use_engine: UseEngine,
    failed_to_draw: threading.Event,
    qtbot: QtBot,
) -> None:
    use_engine("draw")
    with qtbot.waitSignal(controller.finished, timeout=TIMEOUT_MS), qtbot.assertNotEmitted(controller.previewed):
        controller.start(request(source, folder), has_preview=True)
        qtbot.waitUntil(failed_to_draw.is_set, timeout=TIMEOUT_MS)
        controller.finish()


def test_after_cancel_the_worker_is_gone_within_two_seconds_and_nothing_is_left(
    controller: EnhanceController,
    source: QgsRasterLayer,
    folder: Path,
    use_engine: UseEngine,
    qtbot: QtBot,
    project: QgsProject,
) -> None:
    engine = use_engine("hang")
    before = files_in(folder)
    controller.start(request(source, folder))
    engine.wait_for_worker()
    began = time.monotonic()
    with qtbot.waitSignal(controller.cancelled, timeout=TIMEOUT_MS), qtbot.assertNotEmitted(controller.failed):
        controller.cancel()
    assert time.monotonic() - began < 2.0
    assert not engine.is_worker_alive()
    assert files_in(folder) == before
    assert list(project.mapLayers().values()) == [source]
    assert not controller.is_running


def test_a_failing_worker_is_told_with_details_and_the_next_run_works(
    controller: EnhanceController,
    source: QgsRasterLayer,
    folder: Path,
    use_engine: UseEngine,
    qtbot: QtBot,
    project: QgsProject,
) -> None:
    use_engine("out of memory")
    with qtbot.waitSignal(controller.failed, timeout=TIMEOUT_MS) as failed:
        controller.start(request(source, folder))
    sentence, details = failed.args
    assert sentence == "The engine ran out of memory; choose a smaller extent."
    assert "MemoryError" in details
    assert list(project.mapLayers().values()) == [source]
    use_engine("repeat")
    with qtbot.waitSignal(controller.finished, timeout=TIMEOUT_MS):
        controller.start(request(source, folder))


def test_closing_ends_the_worker_at_once_and_nothing_follows(
    controller: EnhanceController,
    source: QgsRasterLayer,
    folder: Path,
    use_engine: UseEngine,
    qtbot: QtBot,
    project: QgsProject,
) -> None:
    engine = use_engine("hang")
    before = files_in(folder)
    controller.start(request(source, folder))
    engine.wait_for_worker()
    with (
        qtbot.assertNotEmitted(controller.finished, wait=300),
        qtbot.assertNotEmitted(controller.failed),
        qtbot.assertNotEmitted(controller.cancelled),
    ):
        controller.close()
        assert not engine.is_worker_alive()
    assert files_in(folder) == before
    qtbot.waitUntil(lambda: QgsApplication.taskManager().count() == 0)


def test_closing_without_work_is_quiet(controller: EnhanceController) -> None:
    controller.close()
    assert not controller.is_running


def test_a_source_layer_removed_meanwhile_does_not_matter(
    controller: EnhanceController,
    source: QgsRasterLayer,
    folder: Path,
    fake_engine: FakeEngine,
    qtbot: QtBot,
    project: QgsProject,
) -> None:
    with qtbot.waitSignal(controller.finished, timeout=TIMEOUT_MS) as finished:
        controller.start(request(source, folder))
        project.removeMapLayer(source.id())
    assert project.mapLayer(finished.args[1]).isValid()


def test_a_source_layer_that_is_edited_meanwhile_gives_what_it_was_when_the_run_began(
    controller: EnhanceController,
    source: QgsRasterLayer,
    folder: Path,
    use_engine: UseEngine,
    qtbot: QtBot,
    project: QgsProject,
) -> None:
    engine = use_engine("obedient")
    extent = source.extent()
    controller.start(request(source, folder), has_preview=True)
    engine.wait_for_worker()
    source.setName("Renamed")
    source.setCrs(QgsCoordinateReferenceSystem("EPSG:32633"))
    source.dataProvider().setUserNoDataValue(1, [QgsRasterRange(0, 70000)])
    source.setRenderer(QgsSingleBandGrayRenderer(source.dataProvider(), 2))
    source.setOpacity(0.4)
    with qtbot.waitSignal(controller.finished, timeout=TIMEOUT_MS) as finished:
        controller.finish()
    layer = project.mapLayer(finished.args[1])
    assert layer.name() == "Fields 2024 ×2 anchor, stopped"
    assert layer.extent() == extent
    # The layer lies where its source does now, and looks like it now.
    assert layer.renderer().type() == "singlebandgray"
    assert gdal.Open(layer.source()).GetSpatialRef().GetAuthorityCode(None) == "32618"
    assert gdal.Open(layer.source()).ReadAsArray().any()


def test_a_result_is_not_put_into_another_project(
    controller: EnhanceController,
    source: QgsRasterLayer,
    folder: Path,
    fake_engine: FakeEngine,
    qtbot: QtBot,
    project: QgsProject,
) -> None:
    with qtbot.waitSignal(controller.finished, timeout=TIMEOUT_MS) as finished:
        controller.start(request(source, folder))
        project.clear()
    result, layer_id = finished.args
    assert layer_id == ""
    assert result.output.exists()
    assert not project.mapLayers()


def test_a_result_that_cannot_be_shown_is_kept_and_the_next_run_works(
    controller: EnhanceController,
    source: QgsRasterLayer,
    folder: Path,
    fake_engine: FakeEngine,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_arguments: Any) -> None:
        raise RuntimeError("no layer tree")

    with monkeypatch.context() as broken:
        broken.setattr(controller_module, "add_result", fail)
        with qtbot.waitSignal(controller.failed, timeout=TIMEOUT_MS) as failed:
            controller.start(request(source, folder))
    sentence, details = failed.args
    assert str(folder / "schärfer.tif") in sentence
    assert "no layer tree" in details
    assert (folder / "schärfer.tif").exists()
    assert not controller.is_running
    with qtbot.waitSignal(controller.finished, timeout=TIMEOUT_MS):
        controller.start(request(source, folder))


def test_the_result_may_replace_a_file_that_is_on_the_map(
    controller: EnhanceController,
    source: QgsRasterLayer,
    folder: Path,
    fake_engine: FakeEngine,
    qtbot: QtBot,
) -> None:
    for _ in range(2):
        with qtbot.waitSignal(controller.finished, timeout=TIMEOUT_MS):
            controller.start(request(source, folder))
