"""What is said of a plan's cost, and what its runs teach."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

import pytest
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
)

from headland.bridge import estimating, free_memory
from headland.bridge.enhance import EnhanceCancelled, EnhanceFailed, enhance
from headland.bridge.estimating import NO_BREAK_SPACE, PlanEstimate, disk_needs, estimate_plan, in_words
from headland.bridge.outputs import StagedOutputs
from headland.bridge.plan import EnhancePlan
from headland.bridge.prepare import prepare
from headland.bridge.request import EnhanceRequest
from headland.engine import calibration
from headland.engine.calibration import this_machine
from headland.engine.job import Method, Preset
from headland.tests.support.engines import FakeEngine
from headland.tests.support.fixtures import MakeLayer, UseEngine
from headland.tests.support.rasters import read_raster
from headland.tests.support.web_server import WebServer

MakePlan = Callable[..., EnhancePlan]

MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86400.0


@pytest.fixture
def make_plan(make_layer: MakeLayer, folder: Path) -> MakePlan:
    def make(layer: Any = None, **wishes: Any) -> EnhancePlan:
        layer = make_layer(bands=2) if layer is None else layer
        return prepare(
            EnhanceRequest(layer, **{"output": folder / "schärfer.tif", **wishes}), QgsCoordinateTransformContext()
        )

    return make


def carry_out(plan: EnhancePlan, is_cancelled: Callable[[], bool] = lambda: False) -> dict[str, Any]:
    return enhance(plan, lambda _phase, _fraction: None, is_cancelled).summary


def an_estimate(**what: Any) -> PlanEstimate:
    return PlanEstimate(**{"seconds": 40.0, "memory_bytes": 1_100_000_000, "free_bytes": None, "disk_bytes": 12_000_000,
                           "device": "cpu", **what})  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "about 5 s"),
        (11.0, "about 10 s"),
        (43.0, "about 45 s"),
        (57.4, "about 55 s"),
        (57.6, "about 1 min"),
        (100.0, "about 2 min"),
        (9.4 * MINUTE_S, "about 9 min"),
        (9.6 * MINUTE_S, "about 10 min"),
        (57.4 * MINUTE_S, "about 55 min"),
        (57.6 * MINUTE_S, "about 1 h"),
        (78.0 * MINUTE_S, "about 1 h 20 min"),
        (9.89 * HOUR_S, "about 9 h 50 min"),
        (9.95 * HOUR_S, "about 10 h"),
        (47.4 * HOUR_S, "about 47 h"),
        (47.6 * HOUR_S, "about 2 days"),
        (30.4 * DAY_S, "about 30 days"),
    ],
)
def test_a_time_is_said_no_more_precisely_than_it_is_known(seconds: float, words: str) -> None:
    assert in_words(an_estimate(seconds=seconds)).split(" · ")[0] == words.replace(" ", NO_BREAK_SPACE)


def test_the_estimate_is_one_line_of_words() -> None:
    said = in_words(an_estimate()).replace(NO_BREAK_SPACE, " ")
    assert said == "about 40 s · 1.1 GB of memory · 12 MB on disk · on the processor"
    said = in_words(an_estimate(device="cuda", memory_bytes=423_000_000, disk_bytes=3_000)).replace(NO_BREAK_SPACE, " ")
    assert said == "about 40 s · 420 MB of memory · 1 MB on disk · on the graphics card"


def test_too_little_memory_is_said_and_enough_of_it_is_not() -> None:
    assert "(only 500 MB free" in in_words(an_estimate(free_bytes=500_000_000)).replace(NO_BREAK_SPACE, " ")
    assert "free" not in in_words(an_estimate(free_bytes=1_200_000_000))


def test_the_machine_says_how_much_memory_is_free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    free = free_memory.free_memory_bytes()
    assert free is not None
    assert 1e7 < free < 1e14
    monkeypatch.setattr(free_memory, "_MEMINFO", tmp_path / "missing")
    assert free_memory.free_memory_bytes() is None


def test_too_little_memory_stands_in_nobodys_way(
    fake_engine: FakeEngine, make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimating, "free_memory_bytes", lambda: 1)
    plan = make_plan()
    assert estimate_plan(plan).free_bytes == 1
    carry_out(plan)
    assert plan.output.exists()


def test_the_disk_that_is_foretold_is_the_disk_that_is_checked(
    fake_engine: FakeEngine, make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[tuple[Path, int]] = []
    monkeypatch.setattr("headland.bridge.prepare.check_room", lambda _what, needs: checked.extend(needs))
    plan = make_plan()
    needs = disk_needs(plan)
    assert [size for _, size in checked] == [needs.job_folder_bytes, needs.result_bytes]
    assert estimate_plan(plan).disk_bytes == needs.job_folder_bytes + needs.result_bytes
    checked.clear()
    cloud_plan = make_plan(is_cloud_optimised=True)
    assert checked[1][1] == pytest.approx(2 * needs.result_bytes, abs=1)
    assert estimate_plan(cloud_plan).disk_bytes == sum(size for _, size in checked)
    pixels = 2 * 40 * 32
    assert needs.job_folder_bytes == pixels * (2 + 1) + pixels * 16 * 4


def test_the_time_of_a_download_is_foretold_and_learned_from_what_the_server_took(
    fake_engine: FakeEngine, make_plan: MakePlan, web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    extent = QgsReferencedRectangle(
        QgsRectangle(441000, 4178000, 443000, 4179000), QgsCoordinateReferenceSystem("EPSG:32618")
    )
    plan = make_plan(web.wms_layer(), extent=extent, resolution=20.0)
    with monkeypatch.context() as unknown:
        unknown.setattr(calibration, "DOWNLOAD_S", 0.0)
        work_s = estimate_plan(plan).seconds
    pixels = plan.window.width_px * plan.window.height_px
    assert estimate_plan(plan).seconds == pytest.approx(work_s + calibration.DOWNLOAD_S * pixels / 1e6)
    web.behaviour, web.delay_s = "slow", 1.0
    took_s = carry_out(plan)["seconds"]["read"]
    assert took_s > 1.0
    (rate,) = this_machine().downloads.values()
    assert rate == pytest.approx(min(took_s / (pixels / 1e6), calibration.LONGEST_DOWNLOAD_S), rel=0.01)
    assert plan.source.server in this_machine().downloads


def test_the_report_holds_what_was_foretold_beside_what_it_took(fake_engine: FakeEngine, make_plan: MakePlan) -> None:
    plan = make_plan()
    foretold_s = estimate_plan(plan).seconds
    summary = carry_out(plan)
    report = json.loads(plan.report.read_text(encoding="utf-8"))
    assert report["estimated_s"] == summary["estimated_s"] == pytest.approx(foretold_s, abs=0.05)
    assert report["seconds"]["total"] > 0.0


def test_a_finished_run_corrects_the_next_estimate(
    scene: Path, make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if this machine had been taken for one that needs a hundred times as long for everything.
    monkeypatch.setattr(calibration, "SLOWEST", 0.001)
    monkeypatch.setattr(calibration, "_measured_speed", lambda: 0.01)
    plan = make_plan(QgsRasterLayer(str(scene), "Fields 2024"), method=Method.ANCHOR, scale=2)
    before = estimate_plan(plan).seconds
    real_s = carry_out(plan)["seconds"]["total"]
    after = estimate_plan(plan).seconds
    assert real_s < before
    assert abs(after - real_s) < abs(before - real_s)
    machine = this_machine()
    assert machine.automatic_device == "cpu"
    assert list(machine.ratios) == ["anchor, fast, x2, cpu"]


def test_a_cancelled_or_failed_run_teaches_nothing(use_engine: UseEngine, make_plan: MakePlan) -> None:
    before = this_machine()
    engine = use_engine("hang")
    plan, is_cancelled = make_plan(), threading.Event()
    threading.Thread(target=lambda: (engine.wait_for_worker(), is_cancelled.set())).start()
    with pytest.raises(EnhanceCancelled):
        carry_out(plan, is_cancelled.is_set)
    failures = {"out of memory": "ran out of memory", "no result": "without a result", "wrong size": "another size"}
    for behaviour, part in failures.items():
        use_engine(behaviour)
        with pytest.raises(EnhanceFailed, match=part):
            carry_out(make_plan())
    assert this_machine() == before


def test_a_run_that_was_stopped_early_teaches_nothing_either(use_engine: UseEngine, make_plan: MakePlan) -> None:
    before = this_machine()
    use_engine("obedient")
    result = enhance(make_plan(), lambda _phase, _fraction: None, lambda: False, lambda: True)
    assert result.summary["stopped"] == {"share_done": 0.375, "rest": "enlarged"}
    assert this_machine() == before


def test_a_run_whose_result_could_not_be_published_teaches_nothing(
    fake_engine: FakeEngine, make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = this_machine()
    monkeypatch.setattr(StagedOutputs, "publish", lambda _: (_ for _ in ()).throw(PermissionError(13, "no")))
    with pytest.raises(EnhanceFailed, match="may be open in a layer or another program"):
        carry_out(make_plan())
    assert this_machine() == before


def test_a_cache_that_cannot_be_written_stops_no_run(
    fake_engine: FakeEngine, make_plan: MakePlan, cache_folder: Path
) -> None:
    cache_folder.write_text("in the way")
    plan = make_plan()
    carry_out(plan)
    assert read_raster(plan.output).shape == (2, 128, 160)


def test_the_published_method_takes_days_for_a_large_extent(fake_engine: FakeEngine, make_plan: MakePlan) -> None:
    plan = make_plan(preset=Preset.REFERENCE)
    large = replace(plan, window=replace(plan.window, width_px=1000, height_px=1000))
    assert estimate_plan(large).seconds > DAY_S
