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
from typing import Any, Callable

import numpy as np
import pytest
from osgeo import gdal, osr
from qgis.core import (
    QgsApplication,
    QgsCoordinateTransformContext,
    QgsRasterLayer,
    QgsRasterRange,
    QgsRectangle,
    QgsReferencedRectangle,
)

from headland.bridge import enhance as enhance_module
from headland.bridge.enhance import EnhanceCancelled, EnhanceFailed, enhance
from headland.bridge.leftovers import JOB_FOLDER_PREFIX
from headland.bridge.prepare import EnhancePlan, prepare
from headland.bridge.request import EnhanceRequest
from headland.bridge.staging import STAGING_PREFIX
from headland.engine.client import run_worker
from headland.engine.job import Method, Preset
from headland.tests.support.engines import FakeEngine
from headland.tests.support.fixtures import MakeLayer, UseEngine
from headland.tests.support.rasters import CUSTOM_CRS, read_raster, read_valid

MakePlan = Callable[..., EnhancePlan]


@pytest.fixture
def make_plan(make_layer: MakeLayer, folder: Path) -> MakePlan:
    """Makes a plan for a small raster, or for the given layer."""

    def make(layer: Any = None, **wishes: Any) -> EnhancePlan:
        wishes = {"method": Method.ANCHOR, "scale": 2, "output": folder / "schärfer.tif", **wishes}
        layer = make_layer(bands=2, nodata=0) if layer is None else layer
        return prepare(EnhanceRequest(layer, **wishes), QgsCoordinateTransformContext())

    return make


def carry_out(plan: EnhancePlan) -> list[tuple[str, float]]:
    told: list[tuple[str, float]] = []
    enhance(plan, lambda phase, fraction: told.append((phase, fraction)), lambda: False)
    return told


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


def test_an_old_result_stands_until_the_new_one_is_whole(
    fake_engine: FakeEngine, make_plan: MakePlan, folder: Path
) -> None:
    plan = make_plan()
    for file in (plan.output, plan.report):
        file.write_text("old")
    seen: list[tuple[str, str]] = []
    enhance(plan, lambda _p, _f: seen.append((plan.output.read_text(), plan.report.read_text())), lambda: False)
    assert set(seen) == {("old", "old")}
    assert gdal.Open(str(plan.output)) is not None
    assert json.loads(plan.report.read_text())["method"] == "anchor"


def test_a_report_that_cannot_be_written_leaves_no_result_either(
    fake_engine: FakeEngine, make_plan: MakePlan, folder: Path
) -> None:
    reports = folder / "reports"
    reports.mkdir()
    plan = make_plan(report=reports / "report.json")
    before = sorted(folder.rglob("*"))

    def block(phase: str, fraction: float) -> None:
        if fraction == 1.0:
            reports.rename(folder / "elsewhere")

    with pytest.raises(EnhanceFailed, match="could not be read or written"):
        enhance(plan, block, lambda: False)
    (folder / "elsewhere").rename(reports)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("blocked", ["output", "report"])
@pytest.mark.parametrize("is_there_an_old_one", [False, True])
def test_result_and_report_get_their_names_together_or_not_at_all(
    fake_engine: FakeEngine,
    make_plan: MakePlan,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    blocked: str,
    is_there_an_old_one: bool,
) -> None:
    plan = make_plan()
    if is_there_an_old_one:
        for file in (plan.output, plan.report):
            file.write_text("old")
    before = {file: file.read_bytes() for file in folder.iterdir()}
    replace, target = Path.replace, getattr(plan, blocked)

    def refuse(self: Path, path: Path) -> Path:
        # As Windows does while another program has the file open.
        if path == target and self.suffix == target.suffix:
            raise PermissionError(13, "Permission denied", str(self), None, str(path))
        return replace(self, path)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(EnhanceFailed, match="may be open in a layer or another program"):
        carry_out(plan)
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


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


def test_deep_image_priors_own_picture_stands_beside_the_result_and_says_what_it_is(
    fake_engine: FakeEngine, make_plan: MakePlan
) -> None:
    plan = make_plan(method=Method.CHAIN, keeps_dip=True)
    carry_out(plan)
    assert plan.dip_output == plan.output.with_name("schärfer_dip.tif")
    result, dip = gdal.Open(str(plan.output)), gdal.Open(str(plan.dip_output))
    assert dip.GetGeoTransform() == result.GetGeoTransform()
    np.testing.assert_allclose(2.0 * dip.ReadAsArray(), result.ReadAsArray(), atol=1.0)
    assert dip.GetMetadataItem("HEADLAND_METHOD") == "dip"
    assert dip.GetMetadataItem("HEADLAND_NATURE") == "enhanced, not measured"
    assert dip.GetMetadataItem("HEADLAND_RMSE_OVER_NOISE") is None
    assert json.loads(plan.report.read_text(encoding="utf-8"))["dip_output"] == str(plan.dip_output)
    # The next one takes another name, as a layer may show this one.
    assert make_plan(method=Method.CHAIN, keeps_dip=True).dip_output.name == "schärfer_dip_2.tif"


def test_where_the_result_cannot_get_its_name_its_other_picture_gets_none_either(
    fake_engine: FakeEngine, make_plan: MakePlan, folder: Path
) -> None:
    plan = make_plan(method=Method.CHAIN, keeps_dip=True)
    # A folder came there while it worked.
    plan.output.mkdir()
    before = sorted(folder.iterdir())
    with pytest.raises(EnhanceFailed):
        carry_out(plan)
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("method", [Method.DIP, Method.ANCHOR])
def test_methods_other_than_the_chain_keep_no_other_picture(
    fake_engine: FakeEngine, make_plan: MakePlan, method: Method
) -> None:
    assert make_plan(method=method, keeps_dip=True).dip_output is None


def test_how_far_off_the_result_may_be_is_a_raster_in_its_units_without_its_offset(
    fake_engine: FakeEngine, make_plan: MakePlan, make_layer: MakeLayer
) -> None:
    layer = make_layer(bands=2, nodata=0, scale=0.0001, offset=-0.1, names=("B04", "B08"))
    plan = make_plan(layer, method=Method.CHAIN, maps_confidence=True)
    carry_out(plan)
    assert plan.confidence == plan.output.with_name("schärfer_confidence.tif")
    result, bound = gdal.Open(str(plan.output)), gdal.Open(str(plan.confidence))
    assert bound.GetGeoTransform() == result.GetGeoTransform()
    band = bound.GetRasterBand(2)
    assert (band.GetDescription(), band.DataType) == ("B08 error", gdal.GDT_Float32)
    assert (band.GetScale(), band.GetOffset() or 0.0) == (0.0001, 0.0)
    np.testing.assert_allclose(bound.ReadAsArray(), result.ReadAsArray() / 50.0, atol=0.02)
    assert bound.GetMetadataItem("HEADLAND_CONFIDENCE") == "nine pixels of ten are off by less than this"
    # Its numbers are no picture that could be enhanced once more.
    assert bound.GetMetadataItem("HEADLAND_NATURE") is None
    report = json.loads(plan.report.read_text(encoding="utf-8"))
    assert report["confidence_output"] == str(plan.confidence)


@pytest.mark.parametrize(
    "wishes", [{"method": Method.DECRAPPIFY}, {"method": Method.ANCHOR}, {"preset": Preset.REFERENCE}], ids=str
)
def test_it_is_not_mapped_where_it_is_not_known(
    fake_engine: FakeEngine, make_plan: MakePlan, wishes: dict[str, Any]
) -> None:
    assert make_plan(**{"method": Method.CHAIN, **wishes}, maps_confidence=True).confidence is None


@pytest.mark.parametrize("extra", ["dip_output", "confidence", "uncertain_areas"])
def test_a_file_that_came_where_an_extra_was_to_be_stays_and_nothing_else_appears(
    fake_engine: FakeEngine, make_plan: MakePlan, folder: Path, extra: str
) -> None:
    plan = make_plan(method=Method.CHAIN, keeps_dip=True, maps_confidence=True)
    getattr(plan, extra).write_text("somebody's", encoding="utf-8")
    before = sorted(folder.iterdir())
    with pytest.raises(EnhanceFailed, match="it came there meanwhile"):
        carry_out(plan)
    assert getattr(plan, extra).read_text(encoding="utf-8") == "somebody's"
    assert sorted(folder.iterdir()) == before
