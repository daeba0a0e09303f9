"""What a finished, cancelled or killed run leaves for the next one: tiles to go on from, and nothing else."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

import pytest
from qgis.core import QgsCoordinateTransformContext, QgsProcessingUtils

from headland.bridge import enhance as enhance_module
from headland.bridge import leftovers
from headland.bridge.enhance import EnhanceCancelled, EnhanceResult, enhance
from headland.bridge.leftovers import JOB_FOLDER_PREFIX, sweep_in_background, sweep_leftovers
from headland.bridge.plan import EnhancePlan
from headland.bridge.prepare import prepare
from headland.bridge.private_folder import LOCK_FILE, PrivateFolder
from headland.bridge.request import EnhanceRequest
from headland.bridge.staging import STAGING_PREFIX
from headland.engine.calibration import this_machine
from headland.engine.job import Method
from headland.engine.tile_store import tile_folder
from headland.tests.support.engines import FakeEngine
from headland.tests.support.fixtures import MakeLayer
from headland.tests.support.rasters import read_raster

TILES = 4


@pytest.fixture
def plan(make_layer: MakeLayer, folder: Path) -> EnhancePlan:
    """An extent of several tiles, without a network."""
    layer = make_layer(width_px=300, height_px=260)
    request = EnhanceRequest(layer, method=Method.ANCHOR, scale=2, output=folder / "schärfer.tif")
    return prepare(request, QgsCoordinateTransformContext())


def carry_out(plan: EnhancePlan, told: Any = None, is_cancelled: Callable[[], bool] = lambda: False) -> EnhanceResult:
    told = [] if told is None else told
    return enhance(plan, lambda phase, _fraction: told.append(phase), is_cancelled)


def test_tiles_are_kept_in_the_users_cache_folder_up_to_the_limit(plan: EnhancePlan, cache_folder: Path) -> None:
    assert plan.job.cache_folder == str(cache_folder / "tiles")
    assert plan.job.cache_limit_bytes == 5_000_000_000


def test_a_cancelled_request_goes_on_where_it_was_and_says_so(plan: EnhancePlan) -> None:
    undisturbed = carry_out(replace(plan, job=replace(plan.job, cache_folder=None)))
    expected = read_raster(undisturbed.output)
    phases: list[str] = []
    with pytest.raises(EnhanceCancelled):
        carry_out(plan, phases, lambda: any(f"tile 3 of {TILES}" in phase for phase in phases))
    kept = len(list(tile_folder().iterdir()))
    assert kept >= 2
    phases.clear()
    result = carry_out(plan, phases)
    assert f"Going on where it was, tile 2 of {TILES}" in phases
    assert result.summary["tiles_from_cache"] == kept
    assert (read_raster(result.output) == expected).all()


def test_a_run_that_took_tiles_from_the_cache_teaches_nothing(plan: EnhancePlan) -> None:
    carry_out(plan)
    learned = this_machine()
    assert learned.ratios
    again = carry_out(plan)
    assert again.summary["tiles_from_cache"] == TILES
    assert this_machine() == learned


def test_an_error_while_learning_takes_nobodys_result_away(
    fake_engine: FakeEngine, make_layer: MakeLayer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = EnhanceRequest(make_layer(), output=folder / "schärfer.tif")
    plan = prepare(request, QgsCoordinateTransformContext())
    monkeypatch.setattr(enhance_module, "learn_from", lambda *_: {}["surprise"])
    result = carry_out(plan)
    assert result.output.exists()
    assert result.report.exists()


def left_behind(parent: Path, prefix: str) -> Path:
    """Make a folder as a process leaves it that is gone."""
    folder = parent / f"{prefix}left"
    folder.mkdir(parents=True, mode=0o700)
    (folder / LOCK_FILE).touch()
    (folder / "output.npy").write_text("much")
    os.utime(folder, (time.time() - 3600,) * 2)
    return folder


def test_half_results_of_a_killed_qgis_are_swept_out_of_its_temporary_folder(tmp_path: Path) -> None:
    mine = tmp_path / "processing_abc"
    mine.mkdir()
    left = left_behind(tmp_path / "processing_def", STAGING_PREFIX)
    elsewhere = left_behind(tmp_path / "my results", STAGING_PREFIX)
    used = PrivateFolder(mine, STAGING_PREFIX)
    os.utime(used.path, (0, 0))
    sweep_leftovers([mine])
    assert [folder.exists() for folder in (left, elsewhere, used.path)] == [False, True, True]
    used.remove()


def test_qgis_sweeps_when_it_starts_without_waiting(
    job_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [left_behind(job_folders, JOB_FOLDER_PREFIX), left_behind(tmp_path / "processing_def", STAGING_PREFIX)]
    monkeypatch.setattr(QgsProcessingUtils, "tempFolder", lambda: str(tmp_path / "processing_abc"))
    is_free = threading.Event()
    sweep = leftovers.sweep
    monkeypatch.setattr(leftovers, "sweep", lambda *where: is_free.wait(10) and sweep(*where))
    sweep_in_background()
    is_free.set()
    deadline = time.monotonic() + 5.0
    while any(folder.exists() for folder in left):
        assert time.monotonic() < deadline
        time.sleep(0.02)
