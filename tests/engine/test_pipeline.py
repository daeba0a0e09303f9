"""The whole method: every job gives a whole, finite, repeatable result that agrees with its input."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from headland.engine import pipeline, tile_loop, tiling
from headland.engine.dip.educated import FitSettings
from headland.engine.job import Device, Job, Method, Preset, Sensor
from headland.engine.preview import Preview
from headland.engine.progress import BadInput, Cancelled
from headland.tests.support.tiles import plan_small_tiles

pytestmark = pytest.mark.usefixtures("unquestioned_dip")

ANCHOR_JOB = Job(Method.ANCHOR, 2, Preset.FAST, Device.CPU, 0, Sensor.AUTO, ("red", "green", "blue"))


def farmland(bands: int = 3, rows_px: int = 40, columns_px: int = 53) -> NDArray[np.uint16]:
    """Digital numbers (band, row, column) of blocky fields with a little noise."""
    rng = np.random.default_rng(1)
    blocks = rng.integers(400, 3000, (bands, rows_px // 8 + 1, columns_px // 8 + 1)).repeat(8, 1).repeat(8, 2)
    noisy = blocks[:, :rows_px, :columns_px] + rng.normal(0, 8, (bands, rows_px, columns_px))
    return noisy.round().astype(np.uint16)


def enhanced(
    job: Job, numbers: NDArray[Any], valid: NDArray[np.bool_] | None = None
) -> tuple[NDArray[Any], dict[str, Any]]:
    """Run the job with a short fit."""
    valid = np.ones(numbers.shape, dtype=bool) if valid is None else valid
    output = np.zeros((numbers.shape[0], numbers.shape[1] * job.scale, numbers.shape[2] * job.scale), dtype=np.float32)
    report = pipeline.enhance(job, numbers, valid, output, lambda _phase, _fraction: None, lambda: False)
    return output, report


@pytest.fixture(autouse=True)
def short_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pipeline.FIT_SETTINGS, Preset.FAST, FitSettings(rounds=2, patch_px=24, patches=1))


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("method", [method for method in Method if method is not Method.BICUBIC])
def test_every_method_but_the_plain_enlargement_agrees_with_the_input_at_both_scales(
    method: Method, scale: int
) -> None:
    _, report = enhanced(replace(ANCHOR_JOB, method=method, scale=scale), farmland())
    figures = report["consistency"]
    assert max(figures["rmse_over_noise"]) < 1.2
    assert figures["spectral_angle_deg"] < 1.0
    assert figures["shift_px"] < 0.02


def test_the_same_seed_gives_the_same_pixels() -> None:
    job = replace(ANCHOR_JOB, method=Method.CHAIN)
    first, _ = enhanced(job, farmland())
    again, _ = enhanced(job, farmland())
    assert np.array_equal(first, again)


@pytest.mark.parametrize(
    ("method", "scale", "most"), [(Method.ANCHOR, 2, 4.0), (Method.DECRAPPIFY, 2, 0.2), (Method.DECRAPPIFY, 4, 0.2)]
)
def test_tiles_leave_no_seam(monkeypatch: pytest.MonkeyPatch, method: Method, scale: int, most: float) -> None:
    # Two tiles of 49 rows would begin between two pixels of the network's coarsest level.
    job, numbers = replace(ANCHOR_JOB, method=method, scale=scale), farmland(rows_px=98, columns_px=40)
    whole, _ = enhanced(job, numbers)
    cuttings = plan_small_tiles(monkeypatch, 56)
    tiled, _ = enhanced(job, numbers)
    assert len(cuttings[-1]) == 2
    assert np.abs(tiled - whole).max() < most


class Recorder:
    """An array that keeps how large the windows were that were read or written."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.largest = 0

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, window: Any) -> NDArray[Any]:
        self.largest = max(self.largest, self.array[window].size)
        return self.array[window].copy()

    def __setitem__(self, window: Any, values: Any) -> None:
        self.largest = max(self.largest, self.array[window].size)
        self.array[window] = values


@pytest.mark.parametrize("method", [Method.ANCHOR, Method.DIP])
def test_no_more_than_a_tile_of_some_bands_is_in_memory_at_a_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, method: Method
) -> None:
    plan_small_tiles(monkeypatch, 32)
    monkeypatch.setattr("headland.engine.levels.MEASURED_PX", 500)
    numbers = farmland(bands=10, rows_px=220, columns_px=40)
    low_res, valid = Recorder(numbers), Recorder(np.ones(numbers.shape, bool))
    output = Recorder(np.zeros((10, 440, 80), np.float32))
    job = replace(ANCHOR_JOB, method=method, band_names=("",) * 10)
    preview = Preview(tmp_path, (7, 3, 0), lambda: None)
    pipeline.enhance(job, low_res, valid, output, lambda _phase, _fraction: None, lambda: False, preview=preview)
    tile_px = (32 + 2 * 24) * 40
    assert max(low_res.largest, valid.largest) <= 6 * tile_px
    assert output.largest <= 6 * tile_px * 2**2
    assert np.isfinite(output.array).all()


@pytest.mark.parametrize("method", [Method.CHAIN, Method.DIP, Method.DECRAPPIFY])
def test_groups_of_bands_give_what_all_bands_at_once_give(monkeypatch: pytest.MonkeyPatch, method: Method) -> None:
    job, numbers = replace(ANCHOR_JOB, method=method, band_names=("",) * 7), farmland(bands=7)
    grouped, _ = enhanced(job, numbers)
    monkeypatch.setattr(tile_loop, "band_groups", lambda _bands: (slice(0, 7),))
    whole, _ = enhanced(job, numbers)
    # The seventh band is restored beside two others, which Decrappify then sees as Deep Image Prior left them there.
    assert np.abs(grouped - whole).max() < (4.0 if method is Method.CHAIN else 0.1)


def test_values_under_nodata_do_not_matter() -> None:
    numbers = farmland()
    valid = np.ones(numbers.shape, dtype=bool)
    valid[:, 10:20, 5:25] = False
    low, high = numbers.copy(), numbers.copy()
    low[~valid], high[~valid] = 0, 65535
    first, _ = enhanced(ANCHOR_JOB, low, valid)
    second, _ = enhanced(ANCHOR_JOB, high, valid)
    assert np.array_equal(first, second)


def test_not_a_number_under_nodata_never_comes_out() -> None:
    numbers = farmland().astype(np.float32)
    valid = np.ones(numbers.shape, dtype=bool)
    valid[:, :7] = False
    numbers[~valid] = np.nan
    result, _ = enhanced(replace(ANCHOR_JOB, method=Method.CHAIN), numbers, valid)
    assert np.isfinite(result).all()


@pytest.mark.parametrize("method", list(Method))
def test_a_constant_image_stays_constant(method: Method) -> None:
    result, _ = enhanced(replace(ANCHOR_JOB, method=method), np.full((3, 24, 24), 1234, dtype=np.uint16))
    assert np.abs(result - 1234).max() < 0.5


@pytest.mark.parametrize("method", list(Method))
def test_a_pixel_that_differs_by_one_from_all_others_is_not_blown_up(method: Method) -> None:
    numbers = np.full((3, 24, 24), 500, dtype=np.uint16)
    numbers[:, 10, 10] = 501
    result, _ = enhanced(replace(ANCHOR_JOB, method=method), numbers)
    assert result.min() > 499.5
    assert result.max() < 501.5


@pytest.mark.parametrize("method", list(Method))
def test_an_extent_without_valid_pixels_is_refused_in_words(method: Method) -> None:
    numbers = farmland()
    with pytest.raises(BadInput, match="no valid pixel"):
        enhanced(replace(ANCHOR_JOB, method=method), numbers, np.zeros(numbers.shape, dtype=bool))


@pytest.mark.parametrize("method", list(Method))
def test_a_band_without_valid_pixels_does_not_touch_the_others(method: Method) -> None:
    numbers = farmland()
    valid = np.ones(numbers.shape, dtype=bool)
    valid[-1] = False
    other = numbers.copy()
    other[-1] = 60000
    job = replace(ANCHOR_JOB, method=method)
    first, report = enhanced(job, numbers, valid)
    assert np.isfinite(first).all()
    assert np.isfinite(report["consistency"]["rmse_over_noise"]).all()
    assert np.array_equal(enhanced(job, other, valid)[0], first), "what is not valid does not count"


class ShortOfMemory:
    """The anchor on a machine where only tiles of up to so many low-res pixels fit."""

    def __init__(
        self, most_px: int, message: str = "DefaultCPUAllocator: can't allocate memory", lucky_tiles: int = 0
    ) -> None:
        self.most_px, self.message, self.lucky_tiles = most_px, message, lucky_tiles
        self.tried: list[int] = []
        self._stage = pipeline._anchor

    def __call__(self, tile: pipeline.Tile, progress: pipeline.Progress) -> pipeline.Tile:
        self.tried.append(tile.low_res[0].numel())
        if self.tried[-1] > self.most_px and len(self.tried) > self.lucky_tiles:
            raise RuntimeError(self.message)
        return self._stage(tile, progress)


def test_where_memory_runs_out_smaller_tiles_give_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = np.tile(farmland(), (1, 6, 6))
    whole, report = enhanced(ANCHOR_JOB, numbers)
    assert report["tiles"] == 4
    # The first tile still fits: what it left in the output must not count twice.
    short = ShortOfMemory(most_px=numbers[0].size // 4, lucky_tiles=1)
    monkeypatch.setattr(pipeline, "_anchor", short)
    result, report = enhanced(ANCHOR_JOB, numbers)
    assert report["tiles"] > 4
    assert np.abs(result - whole).max() < 1.0


def test_a_machine_without_memory_for_any_tile_is_not_tried_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    short = ShortOfMemory(most_px=0)
    monkeypatch.setattr(pipeline, "_anchor", short)
    with pytest.raises(RuntimeError, match="allocate memory"):
        enhanced(ANCHOR_JOB, np.tile(farmland(), (1, 6, 6)))
    assert len(short.tried) == 1 + tiling.MOST_HALVINGS


def test_where_half_a_core_leaves_the_tiles_as_they_are_they_are_not_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = ShortOfMemory(most_px=0)
    monkeypatch.setattr(pipeline, "_anchor", short)
    with pytest.raises(RuntimeError, match="allocate memory"):
        enhanced(ANCHOR_JOB, farmland())
    assert short.tried[0] == 40 * 53
    assert len(short.tried) == len(set(short.tried)) == 2


def test_another_error_is_not_taken_for_a_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    other = ShortOfMemory(most_px=0, message="a bug")
    monkeypatch.setattr(pipeline, "_anchor", other)
    with pytest.raises(RuntimeError, match="a bug"):
        enhanced(ANCHOR_JOB, farmland())
    assert len(other.tried) == 1


def test_a_cancelled_job_stops() -> None:
    numbers = farmland()
    output = np.zeros((3, 80, 106), dtype=np.float32)
    phases: list[str] = []
    with pytest.raises(Cancelled):
        pipeline.enhance(
            replace(ANCHOR_JOB, method=Method.CHAIN),
            numbers,
            np.ones(numbers.shape, dtype=bool),
            output,
            lambda phase, _fraction: phases.append(phase),
            lambda: any("Fitting" in phase for phase in phases),
        )
    assert not output.any()


def test_progress_only_rises_and_names_its_phases() -> None:
    numbers = farmland()
    told: list[tuple[str, float]] = []
    pipeline.enhance(
        replace(ANCHOR_JOB, method=Method.CHAIN),
        numbers,
        np.ones(numbers.shape, dtype=bool),
        np.zeros((3, 80, 106), dtype=np.float32),
        lambda phase, fraction: told.append((phase, fraction)),
        lambda: False,
    )
    fractions = [fraction for _, fraction in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] <= 1.0
    assert [phase for phase, _ in itertools.groupby(told, lambda event: event[0].split(",")[0])] == [
        "Measuring the input",
        "Asking held-out pixels",
        "Fitting the blur",
        "Removing the pixels",
        "Restoring borders",
        "Checking against the input",
        "Comparing the result with the input",
    ]
