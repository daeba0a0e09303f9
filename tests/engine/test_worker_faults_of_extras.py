"""The real worker, broken while it makes more than the result: what it leaves is all of it, whole, or nothing."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headland.engine import client
from headland.engine.border_file import OFFSETS_FILE, POINTS_FILE, STRENGTHS_FILE
from headland.engine.client import WorkerFailed
from headland.engine.job import (
    CONFIDENCE_FILE,
    DIP_FILE,
    INPUT_FILE,
    OUTPUT_FILE,
    VALID_FILE,
    Device,
    Job,
    Method,
    Preset,
    Sensor,
)
from headland.engine.tile_store import tile_folder
from headland.tests.engine.test_pipeline import farmland
from headland.tests.engine.test_worker_faults import IS_ALL, once, workers  # noqa: F401

LEFT = (OUTPUT_FILE, DIP_FILE, CONFIDENCE_FILE, POINTS_FILE, OFFSETS_FILE, STRENGTHS_FILE)
SOME_PHASES = ("Adding up what is uncertain", "Tracing field borders")
"""What the extras add; all other phases are broken at night, too."""
SIZE_PX = (96, 120)
JOB = Job(
    Method.CHAIN,
    2,
    Preset.FAST,
    Device.CPU,
    0,
    Sensor.SENTINEL_2,
    ("B04",),
    cache_limit_bytes=10**9,
    traces_borders=True,
    maps_confidence=True,
    keeps_dip=True,
)


def make_job_folder(folder: Path, job: Job) -> Path:
    folder.mkdir()
    job.save(folder)
    np.save(folder / INPUT_FILE, farmland(1, *SIZE_PX))
    np.save(folder / VALID_FILE, np.ones((1, *SIZE_PX), dtype=bool))
    return folder


def run(folder: Path, on_phase: Callable[[str], object]) -> None:
    def on_event(event: Any) -> None:
        on_phase(getattr(event, "phase", ""))

    client.run_worker(Path(sys.executable), folder, on_event, is_cancelled=lambda: False, silence_limit_s=60.0)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """What a run leaves that nothing disturbs, and the phases that it tells of."""
    phases: list[str] = []
    folder = make_job_folder(tmp_path_factory.mktemp("undisturbed") / "job", replace(JOB, cache_folder=None))
    run(folder, phases.append)
    return {name: (folder / name).read_bytes() for name in LEFT}, tuple(filter(None, dict.fromkeys(phases)))


def broken_phases(phases: tuple[str, ...]) -> tuple[str, ...]:
    assert set(SOME_PHASES) <= set(phases)
    return phases if IS_ALL else SOME_PHASES


def break_it(folder: Path, job: Job, on_phase: Callable[[str], object]) -> WorkerFailed:
    with pytest.raises(WorkerFailed) as failure:
        run(make_job_folder(folder, job), on_phase)
    assert not {OUTPUT_FILE, DIP_FILE, CONFIDENCE_FILE} & {file.name for file in folder.iterdir()}
    assert failure.value.message.endswith(".")
    assert "unexpected" not in failure.value.message
    return failure.value


def test_a_worker_that_is_killed_leaves_no_part_and_the_next_run_makes_all(
    tmp_path: Path,
    workers: list[int],  # noqa: F811
    expected: tuple[dict[str, bytes], tuple[str, ...]],
) -> None:
    job = replace(JOB, cache_folder=str(tile_folder()))
    for number, phase in enumerate(broken_phases(expected[1])):
        break_it(tmp_path / f"job {number}", job, once(phase, lambda: os.kill(workers[-1], signal.SIGKILL)))
    folder = make_job_folder(tmp_path / "again", job)
    run(folder, lambda _phase: None)
    assert {name: (folder / name).read_bytes() for name in LEFT} == expected[0]


def test_a_disk_that_takes_no_larger_file_is_said_to_be_one(
    tmp_path: Path,
    workers: list[int],  # noqa: F811
    expected: tuple[dict[str, bytes], tuple[str, ...]],
) -> None:
    # Once the borders are written, no file grows any more.
    phases = [phase for phase in broken_phases(expected[1]) if phase not in expected[1][-1:]]
    assert "Tracing field borders" in phases
    for number, phase in enumerate(phases):
        limit = once(phase, lambda: resource.prlimit(workers[-1], resource.RLIMIT_FSIZE, (0, 0)))
        failure = break_it(tmp_path / f"job {number}", replace(JOB, cache_folder=None), limit)
        assert "takes no file as large" in failure.message
