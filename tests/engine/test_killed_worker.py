"""A worker that is killed at whatever moment leaves no broken result, and the next one goes on where it was."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from headland.engine.client import WORKER_SCRIPT, run_worker
from headland.engine.events import Started, decode
from headland.engine.job import INPUT_FILE, OUTPUT_FILE, VALID_FILE, Device, Job, Method, Preset, Sensor
from headland.engine.tile_store import tile_folder
from headland.tests.engine.test_pipeline import farmland

SIZE_PX = (470, 690)
TILES = 12
# After so many kills all is finished, and further ones would say nothing.
KILLS_A_JOB = 4


@pytest.fixture
def job() -> Job:
    return Job(
        Method.ANCHOR,
        2,
        Preset.FAST,
        Device.CPU,
        0,
        Sensor.AUTO,
        ("red",),
        cache_folder=str(tile_folder()),
        cache_limit_bytes=10**9,
    )


def make_job_folder(parent: Path, job: Job) -> Path:
    """Make one as QGIS does for each run."""
    folder = parent / "job"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    job.save(folder)
    np.save(folder / INPUT_FILE, farmland(1, *SIZE_PX))
    np.save(folder / VALID_FILE, np.ones((1, *SIZE_PX), dtype=bool))
    return folder


def run(folder: Path) -> tuple[NDArray[np.float32], int, float]:
    """Run the worker; return the result, how many tiles came from the cache, and how long it worked."""
    began: list[float] = []
    finished = run_worker(
        Path(sys.executable), folder, lambda _event: began.append(time.monotonic()), is_cancelled=lambda: False
    )
    assert finished.report["tiles"] == TILES
    return np.load(folder / OUTPUT_FILE), finished.report["tiles_from_cache"], time.monotonic() - began[0]


def kill_after(folder: Path, delay_s: float) -> None:
    """Start the worker and kill it so long after it has begun to work."""
    command = [sys.executable, "-I", "-B", str(WORKER_SCRIPT), str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as worker:
        assert worker.stdout is not None
        try:
            assert isinstance(decode(worker.stdout.readline()), Started)
            time.sleep(delay_s)
        finally:
            worker.kill()


@pytest.mark.parametrize("kills", [KILLS_A_JOB, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_a_worker_killed_at_random_moments_goes_on_to_the_same_pixels(tmp_path: Path, job: Job, kills: int) -> None:
    expected, _, duration_s = run(make_job_folder(tmp_path, replace(job, cache_folder=None)))
    moments = random.Random(kills)
    for _ in range(kills // KILLS_A_JOB):
        shutil.rmtree(tile_folder(), ignore_errors=True)
        for _ in range(KILLS_A_JOB):
            folder = make_job_folder(tmp_path, job)
            kill_after(folder, moments.uniform(0.0, duration_s))
            if (folder / OUTPUT_FILE).exists():
                assert np.load(folder / OUTPUT_FILE).tobytes() == expected.tobytes()
        kept = len(list(tile_folder().glob("*.tile")))
        result, taken, _ = run(make_job_folder(tmp_path, job))
        assert taken == kept
        assert result.tobytes() == expected.tobytes()
