"""Stop here, keep this: a job that ends early gives a whole result at once, and says what it is made of."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from headland.engine import pipeline, stopped, stopping
from headland.engine.dip.educated import FitSettings
from headland.engine.dip.reference import ReferenceSettings
from headland.engine.job import Device, Job, Method, Preset, Sensor, can_end_early
from headland.tests.support.tiles import plan_small_tiles

pytestmark = pytest.mark.usefixtures("unquestioned_dip")

JOB = Job(Method.CHAIN, 2, Preset.FAST, Device.CPU, 0, Sensor.SENTINEL_2, ("B04", "B03", "B02"))
CORE_PX = 40
SIZE_PX = 2 * CORE_PX

Run = Callable[..., tuple[NDArray[np.float32], dict[str, Any], list[str]]]


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tiles, one above the other, and little work in each."""
    plan_small_tiles(monkeypatch, CORE_PX)
    monkeypatch.setitem(pipeline.FIT_SETTINGS, Preset.FAST, FitSettings(rounds=1, patch_px=24, patches=1))
    monkeypatch.setattr(pipeline, "REFERENCE_SETTINGS", ReferenceSettings(iterations=2))


@pytest.fixture
def run() -> Run:
    """Runs a job on blocky fields; ``stop_in`` is the beginning of the phase in which it is told to finish."""

    def run(
        job: Job, stop_in: str | None = None, columns_px: int = CORE_PX
    ) -> tuple[NDArray[np.float32], dict[str, Any], list[str]]:
        rng, bands = np.random.default_rng(4), len(job.band_names)
        numbers = rng.integers(400, 3000, (bands, SIZE_PX // 8, columns_px // 8)).repeat(8, 1).repeat(8, 2)
        numbers = (numbers + rng.normal(0, 8, numbers.shape)).round().astype(np.uint16)
        output = np.zeros((bands, SIZE_PX * job.scale, columns_px * job.scale), dtype=np.float32)
        phases: list[str] = []
        report = pipeline.enhance(
            job,
            numbers,
            np.ones(numbers.shape, dtype=bool),
            output,
            lambda phase, _fraction: phases.append(phase),
            lambda: False,
            is_to_finish=lambda: stop_in is not None and any(phase.startswith(stop_in) for phase in phases),
        )
        return output, report, phases

    return run


def first_stage_of(job: Job) -> str:
    return {Method.ANCHOR: "Sharpening", Method.DECRAPPIFY: "Enlarging"}.get(job.method, "Removing the pixels")


@pytest.mark.parametrize("rest", ["anchor", "enlarged"])
@pytest.mark.parametrize(
    "job",
    [
        *(pytest.param(replace(JOB, method=method), id=method.value) for method in Method if can_end_early(method)),
        pytest.param(replace(JOB, method=Method.DIP, preset=Preset.REFERENCE), id="reference"),
    ],
)
def test_the_tile_at_hand_is_finished_and_the_rest_is_made_quickly(
    run: Run, monkeypatch: pytest.MonkeyPatch, job: Job, rest: str
) -> None:
    if rest == "enlarged":
        monkeypatch.setattr(stopped, "MOST_FOR_ANCHOR_PX", 0)
    result, report, phases = run(job, stop_in=first_stage_of(job))
    assert report["stopped"] == {"share_done": 0.5, "rest": rest}
    assert json.loads(json.dumps(report["stopped"])) == {"share_done": 0.5, "rest": rest}
    assert not any(phase.endswith("2 of 2") and not phase.startswith("Filling the rest") for phase in phases)
    assert result.all()
    assert max(report["consistency"]["rmse_over_noise"]) < 1.5
    if job.preset is not Preset.REFERENCE:
        whole, _, _ = run(job)
        done = (CORE_PX - 8) * job.scale
        np.testing.assert_array_equal(result[:, :done], whole[:, :done])


def test_stopped_before_the_first_tile_all_of_it_is_the_anchor(run: Run) -> None:
    # Not the chain: Decrappify asks for a wider margin than the anchor.
    result, report, _ = run(replace(JOB, method=Method.DIP), stop_in="Measuring")
    assert report["stopped"] == {"share_done": 0.0, "rest": "anchor"}
    np.testing.assert_array_equal(result, run(replace(JOB, method=Method.ANCHOR))[0])


def test_stopped_in_the_last_tile_nothing_is_left_to_fill(run: Run) -> None:
    _, report, phases = run(JOB, stop_in="Restoring borders, tile 2")
    assert report["stopped"] == {"share_done": 1.0, "rest": None}
    assert not any(phase.startswith("Filling") for phase in phases)


def test_a_run_that_was_not_stopped_says_nothing_of_it(run: Run) -> None:
    assert "stopped" not in run(JOB)[1]


def test_a_large_rest_is_enlarged_only(run: Run) -> None:
    _, report, _ = run(replace(JOB, method=Method.DIP), stop_in="Measuring", columns_px=1200)
    assert report["stopped"]["rest"] == "enlarged"


def with_bands(job: Job, bands: int) -> Job:
    return replace(job, band_names=(*job.band_names, *(f"other {number}" for number in range(bands - 3))))


@pytest.mark.parametrize(("tile", "share_done"), [(1, 0.5), (2, 1.0)])
def test_all_bands_of_the_tile_at_hand_are_made_in_the_same_way(run: Run, tile: int, share_done: float) -> None:
    job = with_bands(replace(JOB, method=Method.DIP), 9)
    # It is told so among the first of two groups of bands.
    result, report, _ = run(job, stop_in=f"Removing the pixels, tile {tile}")
    assert report["stopped"]["share_done"] == share_done
    whole, _, _ = run(job)
    done = tile * CORE_PX * job.scale - 8 * job.scale
    np.testing.assert_array_equal(result[:, :done], whole[:, :done])


class ShortOfMemory:
    """How the rest is made, on a machine where only so many low-res pixels fit."""

    def __init__(self, most_px: int) -> None:
        self.most_px = most_px
        self.fitted = self.failed = 0
        self._make = stopping._filled

    def __call__(self, tile: pipeline.Tile, *how: Any) -> Any:
        if tile.low_res[0].numel() > self.most_px:
            self.failed += 1
            raise MemoryError
        self.fitted += 1
        return self._make(tile, *how)


@pytest.mark.parametrize("rest", ["anchor", "enlarged"])
def test_without_memory_for_the_rest_what_is_done_stays_and_the_rest_is_made_in_pieces(
    run: Run, monkeypatch: pytest.MonkeyPatch, rest: str
) -> None:
    job = replace(JOB, method=Method.DIP)
    if rest == "enlarged":
        monkeypatch.setattr(stopped, "MOST_FOR_ANCHOR_PX", 0)
    plentiful, _, _ = run(job, stop_in="Removing the pixels, tile 1")
    short = ShortOfMemory(CORE_PX * (CORE_PX + 24) - 1)
    monkeypatch.setattr(stopping, "_filled", short)
    monkeypatch.setattr(stopping, "PIECE_CORE_PX", 16)
    result, report, phases = run(job, stop_in="Removing the pixels, tile 1")
    assert (short.failed, short.fitted > 1) == (1, True)
    assert report["stopped"] == {"share_done": 0.5, "rest": rest}
    assert not any("smaller tiles" in phase for phase in phases)
    done = (CORE_PX - 8) * job.scale
    np.testing.assert_array_equal(result[:, :done], plentiful[:, :done])
    assert np.abs(result - plentiful).max() < 40.0


def test_without_memory_for_the_tile_at_hand_it_counts_as_part_of_the_rest(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = replace(JOB, method=Method.ANCHOR)
    stage = pipeline._anchor

    def fail_in_the_second(tile: pipeline.Tile, progress: pipeline.Progress) -> pipeline.Tile:
        if progress.is_to_finish():
            raise MemoryError
        return stage(tile, progress)

    monkeypatch.setattr(pipeline, "_anchor", fail_in_the_second)
    monkeypatch.setattr(stopped, "MOST_FOR_ANCHOR_PX", 0)
    result, report, _ = run(job, stop_in="Sharpening, tile 2")
    assert report["stopped"] == {"share_done": 0.5, "rest": "enlarged"}
    done = (CORE_PX - 8) * job.scale
    np.testing.assert_array_equal(result[:, :done], run(job)[0][:, :done])
