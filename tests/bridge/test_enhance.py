"""From the plan to the file: with the real worker, and with fakes that fail in every way a worker can."""

from __future__ import annotations

import functools
import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal, osr
from qgis.core import QgsApplication, QgsRasterLayer, QgsRasterRange, QgsRectangle, QgsReferencedRectangle

from headland.bridge import enhance as enhance_module
from headland.bridge.enhance import EnhanceCancelled, EnhanceFailed, enhance
from headland.bridge.leftovers import JOB_FOLDER_PREFIX
from headland.bridge.staging import STAGING_PREFIX
from headland.engine.client import run_worker
from headland.tests.support.engines import FakeEngine
from headland.tests.support.fixtures import MakeLayer, UseEngine
from headland.tests.support.plans import MakePlan, carry_out
from headland.tests.support.rasters import CUSTOM_CRS, read_raster, read_valid


def test_the_real_worker_sharpens_a_window_of_the_real_scene(scene: Path, make_plan: MakePlan) -> None:
    layer = QgsRasterLayer(str(scene), "Fields 2024")
    wish = QgsReferencedRectangle(QgsRectangle(443500, 4177000, 443980, 4177400), layer.crs())
    plan = make_plan(layer, extent=wish, bands=(4, 3), scale=4)
    told = carry_out(plan)
    output = gdal.Open(str(plan.output))
    assert output.GetGeoTransform() == (443500.0, 2.5, 0.0, 4177400.0, 0.0, -2.5)
    assert (output.RasterXSize, output.RasterYSize) == (192, 160)
    assert [output.GetRasterBand(number).GetDescription() for number in (1, 2)] == ["B08", "B04"]
    # What the sensor measured comes back when the result is made coarse again.
    before = read_raster(scene)[[3, 2], 186:226, 45:93].astype(float)
    after = read_raster(plan.output).reshape(2, 40, 4, 48, 4).mean(axis=(2, 4))
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.97
    assert after.mean() == pytest.approx(before.mean(), rel=0.005)
    fractions = [fraction for _, fraction in told]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    report = json.loads(plan.report.read_text(encoding="utf-8"))
    assert set(report) >= {"input", "window", "bands", "method", "scale", "preset", "sensor", "seed", "device"}
    assert report["bands"] == [{"number": 4, "name": "B08"}, {"number": 3, "name": "B04"}]
    assert report["window"]["column_px"] == 45
    assert set(report["versions"]) >= {"headland", "qgis", "gdal", "worker"}
    assert {"read", "write", "total", "anchor"} <= set(report["seconds"])
    assert report["consistency"]["shift_px"] < 0.05


def test_the_real_worker_keeps_nodata_corners_and_a_custom_crs(make_layer: MakeLayer, make_plan: MakePlan) -> None:
    values = np.full((1, 40, 48), 500, np.int16)
    values[0, 20:] = 900
    values[0, :10, :12] = values[0, -3:, -4:] = -9999
    plan = make_plan(make_layer(values, nodata=-9999, crs=CUSTOM_CRS, scale=0.001))
    carry_out(plan)
    np.testing.assert_array_equal(
        read_raster(plan.output) == -9999, (values == -9999).repeat(2, axis=1).repeat(2, axis=2)
    )
    dataset = gdal.Open(str(plan.output))
    expected = osr.SpatialReference()
    expected.SetFromUserInput(CUSTOM_CRS)
    assert dataset.GetSpatialRef().IsSame(expected, ["IGNORE_DATA_AXIS_TO_SRS_AXIS_MAPPING=YES"])
    assert dataset.GetRasterBand(1).GetScale() == 0.001


def test_what_the_user_declared_invalid_in_one_band_alone_is_invalid_there_alone(
    fake_engine: FakeEngine, make_plan: MakePlan, make_layer: MakeLayer
) -> None:
    values = np.full((2, 20, 20), 500, np.uint16)
    values[:, 3, 4] = 7
    layer = make_layer(values)
    layer.dataProvider().setUserNoDataValue(2, [QgsRasterRange(7, 7)])
    plan = make_plan(layer)
    carry_out(plan)
    assert np.argwhere(~read_valid(plan.output)).tolist() == [[1, 6, 8], [1, 6, 9], [1, 7, 8], [1, 7, 9]]


def test_a_fill_value_that_the_file_does_not_declare_becomes_nodata_like_what_is_no_number(
    make_plan: MakePlan, make_layer: MakeLayer
) -> None:
    values = np.full((1, 24, 24), 0.4, np.float32)
    values[0, 12:] = 0.2
    values[0, :3, :3] = -3.4e38
    values[0, -1, -1] = np.nan
    plan = make_plan(make_layer(values))
    carry_out(plan)
    expected = (values > 0).repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_array_equal(read_valid(plan.output), expected)
    sharper = read_raster(plan.output)[expected]
    assert 0.1 < sharper.min() < sharper.max() < 0.5
    json.loads(plan.report.read_text(encoding="utf-8"), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_every_phase_is_told_in_words_and_in_order(fake_engine: FakeEngine, make_plan: MakePlan) -> None:
    told = carry_out(make_plan())
    assert list(dict.fromkeys(phase for phase, _ in told)) == [
        "Reading the layer",
        "Starting the engine",
        "Pretending, tile 1 of 2",
        "Pretending, tile 2 of 2",
        "Writing the result",
    ]
    assert ("Pretending, tile 2 of 2", 0.5) in told


def test_the_job_folder_is_for_this_user_only(use_engine: UseEngine, make_plan: MakePlan, job_folders: Path) -> None:
    use_engine("repeat")
    modes: set[int] = set()

    def look(_phase: str, _fraction: float) -> None:
        modes.update(stat.S_IMODE(folder.stat().st_mode) for folder in job_folders.iterdir())

    enhance(make_plan(), look, lambda: False)
    assert modes == {0o700}


@pytest.mark.parametrize(
    ("behaviour", "part"),
    [
        ("killed", "memory ran out"),
        ("crash", "crashed (SIGABRT)"),
        ("garbage", "does not understand"),
        ("out of memory", "choose a smaller extent"),
        ("no result", "without a result"),
        ("wrong size", "another size"),
        ("no numbers", "no numbers"),
    ],
)
def test_a_failing_worker_is_a_sentence_and_leaves_nothing(
    use_engine: UseEngine, make_plan: MakePlan, folder: Path, behaviour: str, part: str
) -> None:
    engine = use_engine(behaviour)
    plan = make_plan()
    before = sorted(folder.iterdir())
    with pytest.raises(EnhanceFailed) as failure:
        carry_out(plan)
    assert part in failure.value.sentence
    assert failure.value.sentence.endswith(".")
    assert not engine.is_worker_alive()
    assert sorted(folder.iterdir()) == before


def test_a_hanging_worker_is_ended(use_engine: UseEngine, make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = use_engine("hang")
    monkeypatch.setattr(enhance_module, "run_worker", functools.partial(run_worker, silence_limit_s=1.0))
    with pytest.raises(EnhanceFailed, match="silent"):
        carry_out(make_plan())
    assert not engine.is_worker_alive()


@pytest.fixture
def logged() -> Iterator[list[tuple[str, str]]]:
    """What QGIS's message log gets: text and tag."""
    messages: list[tuple[str, str]] = []

    def keep(text: str, tag: str, _level: Any) -> None:
        messages.append((text, tag))

    log = QgsApplication.messageLog()
    log.messageReceived.connect(keep)
    yield messages
    # QGIS's log outlives the test, and would call what is gone.
    log.messageReceived.disconnect(keep)


def test_what_a_run_teaches_is_learned_lesson_by_lesson(
    fake_engine: FakeEngine, make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch, logged: list[tuple[str, str]]
) -> None:
    learned: list[str] = []
    monkeypatch.setattr(enhance_module, "learn_download_from", lambda *_arguments: learned.append("download"))
    monkeypatch.setattr(enhance_module, "learn_from", lambda *_arguments: learned.append("work"))
    carry_out(make_plan())
    assert learned == ["download", "work"]
    assert logged == []


@pytest.mark.parametrize(
    ("failing", "other"), [("learn_download_from", "learn_from"), ("learn_from", "learn_download_from")]
)
def test_a_lesson_that_fails_is_logged_and_the_other_one_is_learned(
    fake_engine: FakeEngine,
    make_plan: MakePlan,
    monkeypatch: pytest.MonkeyPatch,
    logged: list[tuple[str, str]],
    failing: str,
    other: str,
) -> None:
    learned: list[str] = []
    monkeypatch.setattr(enhance_module, failing, lambda *_arguments: {}["surprise"])
    monkeypatch.setattr(enhance_module, other, lambda *_arguments: learned.append(other))
    plan = make_plan()
    carry_out(plan)
    assert plan.output.exists()
    assert learned == [other]
    ((text, tag),) = logged
    assert tag == "Headland"
    assert "surprise" in text


def test_a_cancelled_worker_is_gone_within_two_seconds_and_nothing_is_left(
    use_engine: UseEngine, make_plan: MakePlan, folder: Path
) -> None:
    engine = use_engine("hang")
    plan = make_plan()
    before = sorted(folder.iterdir())
    cancelled = threading.Event()
    asked_at: list[float] = []

    def cancel() -> None:
        engine.wait_for_worker()
        asked_at.append(time.monotonic())
        cancelled.set()

    threading.Thread(target=cancel).start()
    with pytest.raises(EnhanceCancelled):
        enhance(plan, lambda _phase, _fraction: None, cancelled.is_set)
    assert time.monotonic() - asked_at[0] < 2.0
    assert not engine.is_worker_alive()
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("phase", ["Reading the layer", "Starting the engine", "Writing the result"])
def test_every_phase_can_be_cancelled(fake_engine: FakeEngine, make_plan: MakePlan, folder: Path, phase: str) -> None:
    plan = make_plan()
    before = sorted(folder.iterdir())
    phases: list[str] = []
    with pytest.raises(EnhanceCancelled):
        enhance(plan, lambda now, _fraction: phases.append(now), lambda: phase in phases)
    assert sorted(folder.iterdir()) == before


def test_what_a_crash_left_is_swept_up_by_the_next_run(
    fake_engine: FakeEngine, make_plan: MakePlan, folder: Path, job_folders: Path
) -> None:
    left = [leave_behind(job_folders, JOB_FOLDER_PREFIX), leave_behind(folder, STAGING_PREFIX)]
    carry_out(make_plan())
    assert [path.exists() for path in left] == [False, False]


def leave_behind(parent: Path, prefix: str) -> Path:
    """Leave a folder as a process does that was killed two days ago."""
    code = f"import os; from headland.bridge.private_folder import PrivateFolder; from pathlib import Path; \
print(PrivateFolder(Path({str(parent)!r}), {prefix!r}).path, flush=True); os._exit(1)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    folder = Path(run.stdout.strip())
    os.utime(folder, (time.time() - 2 * 86400,) * 2)
    return folder


def test_a_source_that_goes_away_after_the_check_is_a_sentence(fake_engine: FakeEngine, make_plan: MakePlan) -> None:
    plan = make_plan()
    Path(plan.source.dataset).unlink()
    with pytest.raises(EnhanceFailed, match="changed, replaced or removed"):
        carry_out(plan)


def test_a_full_temporary_folder_is_a_sentence(
    fake_engine: FakeEngine, make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(enhance_module, "read_window", no_room)
    with pytest.raises(EnhanceFailed, match="disk is full"):
        carry_out(make_plan())


def test_what_nobody_foresaw_is_a_sentence_with_details(
    fake_engine: FakeEngine, make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enhance_module, "read_window", lambda *_arguments: {}["surprise"])
    with pytest.raises(EnhanceFailed, match="unexpected error") as failure:
        carry_out(make_plan())
    assert "surprise" in failure.value.details
