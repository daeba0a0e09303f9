"""The preview shows what is done so far: early, in its place, no finer and no oftener than a person can see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from headland.engine import pipeline
from headland.engine import sketch as sketch_module
from headland.engine.dip.educated import FitSettings
from headland.engine.forward_model import ForwardModel
from headland.engine.job import PREVIEW_FILE, Device, Job, JobError, Method, Preset, Sensor
from headland.engine.preview import INTERVAL_S, LARGEST_SIDE_PX, Preview
from headland.engine.progress import Cancelled
from headland.tests.support.tiles import plan_small_tiles

pytestmark = pytest.mark.usefixtures("unquestioned_dip")

JOB = Job(Method.CHAIN, 2, Preset.FAST, Device.CPU, 0, Sensor.SENTINEL_2, ("B04", "B03", "B02"))


def fields(rows_px: int, columns_px: int) -> NDArray[np.uint16]:
    rng = np.random.default_rng(4)
    numbers = rng.integers(400, 3000, (3, rows_px // 8 + 1, columns_px // 8 + 1)).repeat(8, 1).repeat(8, 2)
    numbers = numbers[:, :rows_px, :columns_px]
    return (numbers + rng.normal(0, 8, numbers.shape)).round().astype(np.uint16)


class Watch:
    """Runs jobs with a preview and keeps every picture with the phase in which it came."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.phases: list[str] = []
        self.pictures: list[tuple[str, NDArray[np.float32]]] = []
        # So fast that no picture is left out.
        self.now_s = 0.0

    def run(
        self,
        job: Job,
        numbers: NDArray[Any],
        *,
        bands: tuple[int, ...] = (0, 1, 2),
        valid: NDArray[np.bool_] | None = None,
        pace_s: float = 1.0,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> NDArray[np.float32]:
        """Return the result; each look at the clock takes ``pace_s``."""

        def clock() -> float:
            self.now_s += pace_s
            return self.now_s

        preview = Preview(self.folder, bands, self._keep, clock)
        output = np.zeros((len(numbers), *(side * job.scale for side in numbers.shape[1:])), dtype=np.float32)
        valid = np.ones(numbers.shape, dtype=bool) if valid is None else valid

        def tell(phase: str, _fraction: float) -> None:
            self.phases.append(phase)
            preview.flush()

        pipeline.enhance(job, numbers, valid, output, tell, is_cancelled, preview=preview)
        return output

    def _keep(self) -> None:
        self.pictures.append((self.phases[-1], np.load(self.folder / PREVIEW_FILE)))


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path)


@pytest.fixture(autouse=True)
def short_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pipeline.FIT_SETTINGS, Preset.FAST, FitSettings(rounds=1, patch_px=24, patches=1))


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles with cores of 40 pixels."""
    plan_small_tiles(monkeypatch, 40)


def test_the_first_picture_is_the_anchor_of_the_whole_extent(watch: Watch, tmp_path: Path) -> None:
    numbers = fields(40, 48)
    watch.run(JOB, numbers)
    phase, first = watch.pictures[0]
    assert phase == "Drawing a first picture"
    anchor = Watch(tmp_path).run(replace(JOB, method=Method.ANCHOR), numbers)
    np.testing.assert_allclose(first, anchor, atol=0.1)


def test_then_each_tile_takes_its_place_as_it_leaves_a_stage(watch: Watch, small_tiles: None) -> None:
    result = watch.run(JOB, fields(80, 40))
    phases = [phase.partition(",")[0] for phase, _ in watch.pictures]
    stages = ["Removing the pixels", "Restoring borders", "Checking against the input"]
    assert phases == ["Drawing a first picture", *stages, *stages]
    dip, decrappified = watch.pictures[1][1], watch.pictures[2][1]
    assert (dip[:, :80] != decrappified[:, :80]).any()
    np.testing.assert_array_equal(watch.pictures[3][1][:, 80:], watch.pictures[0][1][:, 80:])
    # But for the seam, where the result is mixed of both tiles.
    apart = np.abs(watch.pictures[-1][1] - result)
    assert apart[:, :64].max() < 0.01
    assert apart[:, 96:].max() < 0.01


def test_it_shows_the_bands_that_were_asked_for_in_their_order(watch: Watch) -> None:
    result = watch.run(replace(JOB, method=Method.ANCHOR), fields(24, 32), bands=(2, 0))
    np.testing.assert_allclose(watch.pictures[-1][1], result[[2, 0]], atol=0.01)


def test_what_is_not_valid_is_no_number(watch: Watch) -> None:
    valid = np.ones((3, 24, 32), dtype=bool)
    valid[1, :5, 10:] = False
    watch.run(JOB, fields(24, 32), valid=valid)
    for _, picture in watch.pictures:
        np.testing.assert_array_equal(np.isfinite(picture), valid.repeat(2, 1).repeat(2, 2))


def test_a_large_extent_is_shown_no_finer_than_a_screen(watch: Watch) -> None:
    numbers = fields(16, LARGEST_SIDE_PX + 200)
    result = watch.run(replace(JOB, method=Method.ANCHOR), numbers)
    _, last = watch.pictures[-1]
    assert last.shape == (3, round(32 * LARGEST_SIDE_PX / result.shape[2]), LARGEST_SIDE_PX)
    # No anchor first: the layer itself shows more.
    assert watch.pictures[0][0].startswith("Sharpening")
    means = result.reshape(3, -1, result.shape[2]).mean(axis=(1, 2))
    np.testing.assert_allclose(last.mean(axis=(1, 2)), means, rtol=0.01)


def test_an_extent_of_middle_size_has_an_anchor_of_what_fits(watch: Watch) -> None:
    numbers = fields(8, 300)
    watch.run(replace(JOB, scale=4, method=Method.DIP), numbers)
    phase, first = watch.pictures[0]
    assert phase == "Drawing a first picture"
    assert first.shape == (3, round(32 * LARGEST_SIDE_PX / 1200), LARGEST_SIDE_PX)
    np.testing.assert_allclose(first.mean(axis=(1, 2)), numbers.mean(axis=(1, 2)), rtol=0.01)


def test_it_is_written_seldom_and_only_if_it_has_changed(watch: Watch, small_tiles: None) -> None:
    watch.run(JOB, fields(120, 40), pace_s=INTERVAL_S / 10)
    assert len(watch.pictures) < 6
    for (_, one), (_, other) in zip(watch.pictures, watch.pictures[1:]):
        assert not np.array_equal(one, other, equal_nan=True)
    before = len(watch.pictures)
    assert (watch.folder / PREVIEW_FILE).exists()
    assert before >= 2


@pytest.mark.parametrize(("side_px", "is_anchored"), [(48, True), (200, False)])
def test_the_first_picture_asks_the_anchor_for_no_more_than_a_moments_work(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, side_px: int, *, is_anchored: bool
) -> None:
    asked_px: list[int] = []
    anchor = sketch_module.anchor

    def spy(low_res: torch.Tensor, model: ForwardModel, *rest: Any) -> torch.Tensor:
        asked_px.append(low_res.numel() * model.scale**2)
        return anchor(low_res, model, *rest)

    monkeypatch.setattr(sketch_module, "anchor", spy)
    with pytest.raises(Cancelled):
        watch.run(replace(JOB, scale=4), fields(side_px, side_px), is_cancelled=lambda: bool(watch.pictures))
    assert bool(asked_px) == is_anchored
    assert all(pixels <= sketch_module.MOST_FOR_ANCHOR_PX for pixels in asked_px)


def test_without_memory_for_the_first_picture_the_job_goes_on(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(sketch_module, "anchor", fail)
    result = watch.run(JOB, fields(24, 32))
    assert result.all()
    assert watch.pictures[0][0].startswith("Removing the pixels")


def test_a_picture_that_cannot_be_written_does_not_stop_the_job(watch: Watch) -> None:
    (watch.folder / PREVIEW_FILE).mkdir()
    assert watch.run(JOB, fields(24, 32)).all()
    assert watch.pictures == []


def test_a_job_cannot_ask_for_bands_that_it_does_not_have() -> None:
    with pytest.raises(JobError, match="preview"):
        replace(JOB, preview_bands=(0, 3))
