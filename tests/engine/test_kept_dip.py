"""Deep Image Prior's own picture, kept beside the result of the chain that builds on it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from headland.engine import pipeline
from headland.engine.client import run_worker
from headland.engine.dip.educated import FitSettings
from headland.engine.job import (
    DIP_FILE,
    INPUT_FILE,
    OUTPUT_FILE,
    VALID_FILE,
    Device,
    Job,
    JobError,
    Method,
    Preset,
    Sensor,
)
from headland.engine.tiling import TileWindow
from headland.tests.engine.test_pipeline import farmland

JOB = Job(Method.CHAIN, 2, Preset.FAST, Device.CPU, 0, Sensor.AUTO, ("red", "green", "blue"), keeps_dip=True)
CORE_PX = 32


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    plan_tiles = pipeline.plan_tiles

    def plan_small_tiles(rows_px: int, columns_px: int, _core_px: int, margin_px: int) -> tuple[TileWindow, ...]:
        return plan_tiles(rows_px, columns_px, CORE_PX, margin_px)

    monkeypatch.setattr(pipeline, "plan_tiles", plan_small_tiles)
    monkeypatch.setitem(pipeline.FIT_SETTINGS, Preset.FAST, FitSettings(rounds=1, patch_px=24, patches=1))


def enhanced(job: Job, numbers: NDArray[Any], finish_at: str = "never") -> tuple[NDArray[Any], NDArray[Any], Any]:
    """Return the result, Deep Image Prior's picture (zero if it is not kept) and the report."""
    result, dip = np.zeros((2, len(numbers), numbers.shape[1] * 2, numbers.shape[2] * 2), np.float32)
    phases: list[str] = []
    report = pipeline.enhance(
        job,
        numbers,
        np.ones(numbers.shape, dtype=bool),
        result,
        lambda phase, _fraction: phases.append(phase),
        lambda: False,
        is_to_finish=lambda: any(finish_at in phase for phase in phases),
        dip_output=dip if job.keeps_dip else None,
    )
    return result, dip, report


def test_it_is_what_the_method_dip_gives_and_the_result_is_the_same_as_without_it() -> None:
    numbers = farmland(5, 40, 70)
    job = replace(JOB, band_names=("",) * 5)
    result, dip, report = enhanced(job, numbers)
    assert report["tiles"] == 6
    plain, nothing, _ = enhanced(replace(job, keeps_dip=False), numbers)
    assert not nothing.any()
    np.testing.assert_array_equal(result, plain)
    alone, _, _ = enhanced(replace(job, method=Method.DIP, keeps_dip=False), numbers)
    # The chain's tiles have wider margins, which changes the last digits.
    assert np.abs(dip - alone).max() < 0.1
    assert np.abs(dip - result).max() > 10.0


def test_what_is_taken_from_the_cache_gives_both_pictures_again(tmp_path: Path) -> None:
    numbers = farmland(3, 40, 70)
    job = replace(JOB, cache_folder=str(tmp_path), cache_limit_bytes=10**9)
    first = enhanced(job, numbers)
    again = enhanced(job, numbers)
    assert again[2]["tiles_from_cache"] == again[2]["tiles"] == 6
    for one, other in zip(first[:2], again[:2], strict=True):
        np.testing.assert_array_equal(one, other)
    # One without the other picture is another job.
    assert enhanced(replace(job, keeps_dip=False), numbers)[2]["tiles_from_cache"] == 0


def test_where_a_run_was_stopped_both_pictures_are_filled_in_the_same_way() -> None:
    result, dip, report = enhanced(JOB, farmland(3, 40, 70), finish_at="tile 2 of")
    assert report["stopped"]["share_done"] < 1.0
    assert (dip[:, -8:, -8:] > 0).all()
    np.testing.assert_array_equal(result[:, -8:, -8:], dip[:, -8:, -8:])


@pytest.mark.parametrize("method", [Method.DIP, Method.DECRAPPIFY, Method.ANCHOR])
def test_only_the_chain_has_one(method: Method) -> None:
    with pytest.raises(JobError, match="has no picture of Deep Image Prior beside its result"):
        replace(JOB, method=method)


def test_the_worker_leaves_both_files(tmp_path: Path) -> None:
    numbers = farmland(3, 24, 24)
    JOB.save(tmp_path)
    np.save(tmp_path / INPUT_FILE, numbers)
    np.save(tmp_path / VALID_FILE, np.ones(numbers.shape, dtype=bool))
    run_worker(Path(sys.executable), tmp_path, lambda _event: None, lambda: False)
    result, dip = (np.load(tmp_path / name) for name in (OUTPUT_FILE, DIP_FILE))
    assert result.shape == dip.shape == (3, 48, 48)
    assert sorted(path.name for path in tmp_path.glob("*.npy*")) == ["dip.npy", "input.npy", "output.npy", "valid.npy"]
