"""Tiles that go through the stages together come out as they do one by one, whatever becomes of the job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from headland.engine import pipeline, tiling
from headland.engine.batches import MOST_TILES, batches, in_order_of, tiles_at_once
from headland.engine.decrappify import OnnxModel
from headland.engine.dip.educated import FitSettings
from headland.engine.job import Device, Job, Method, Preset, Sensor
from headland.engine.model_file import model_file
from headland.engine.progress import Cancelled
from headland.engine.scene import Tile
from headland.engine.tiling import TileWindow, plan_tiles
from headland.tests.engine.test_pipeline import farmland
from headland.tests.support.runs import Run

pytestmark = pytest.mark.usefixtures("unquestioned_dip")

JOB = Job(Method.ANCHOR, 2, Preset.FAST, Device.CPU, 0, Sensor.AUTO, ("red", "green", "blue"))
CORE_PX = 24
# Tiles of four sizes, so stacks of four begin at the tiles 1, 5, 9, 13 and 15.
SIZE_PX = (72, 144)
LARGEST_DIFFERENCE = 1e-5
"""In levels."""


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    def plan_small_tiles(rows_px: int, columns_px: int, core_px: int, _margin_px: int) -> tuple[TileWindow, ...]:
        is_halved = core_px < pipeline.Plan.largest_core_px
        return plan_tiles(rows_px, columns_px, 16 if is_halved else CORE_PX, 24)

    monkeypatch.setattr(tiling, "plan_tiles", plan_small_tiles)
    monkeypatch.setitem(pipeline.FIT_SETTINGS, Preset.FAST, FitSettings(rounds=1, patch_px=24, patches=1))


@pytest.fixture
def stacks_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "tiles_at_once", lambda *_: 4)


def largest_difference(one: NDArray[Any], other: NDArray[Any], numbers: NDArray[Any]) -> float:
    """Return how far two results are from each other, in levels: the range of the values is about one."""
    return float(np.abs(one - other).max() / np.ptp(numbers))


@pytest.mark.parametrize(
    "wishes",
    [
        {"method": Method.ANCHOR},
        {"method": Method.DIP},
        {"method": Method.DECRAPPIFY},
        {"method": Method.CHAIN, "keeps_dip": True, "maps_confidence": True},
    ],
    ids=lambda wishes: wishes["method"].value,
)
def test_stacked_tiles_come_out_as_they_do_one_by_one(monkeypatch: pytest.MonkeyPatch, wishes: dict[str, Any]) -> None:
    # Four bands make two triples that share some.
    job, numbers = replace(JOB, band_names=("",) * 4, **wishes), farmland(4, *SIZE_PX)
    valid = np.ones(numbers.shape, dtype=bool)
    valid[:, 20:40, 50:70] = False
    single = Run()
    expected = single.pictures(job, numbers, valid)
    assert single.report["tiles_at_once"] == 1
    monkeypatch.setattr(pipeline, "tiles_at_once", lambda *_: 4)
    stacked = Run()
    result = stacked.pictures(job, numbers, valid)
    assert stacked.report["tiles_at_once"] == 4
    assert largest_difference(result, expected, numbers) < LARGEST_DIFFERENCE
    assert expected[0].std() > 100.0


def test_all_eight_turns_are_made_of_a_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = FitSettings(rounds=1, patch_px=24, patches=1, turns=8)
    monkeypatch.setitem(pipeline.FIT_SETTINGS, Preset.FAST, settings)
    job, numbers = replace(JOB, method=Method.DIP), farmland(3, 48, 96)
    expected = Run()(job, numbers)
    monkeypatch.setattr(pipeline, "tiles_at_once", lambda *_: 4)
    assert largest_difference(Run()(job, numbers), expected, numbers) < LARGEST_DIFFERENCE


@pytest.mark.usefixtures("stacks_of_four")
def test_progress_only_rises_and_a_stage_is_told_of_once_a_stack() -> None:
    run = Run()
    run(replace(JOB, method=Method.DIP), farmland(3, *SIZE_PX))
    fractions = [fraction for _, fraction in run.told]
    assert fractions == sorted(fractions)
    stages = [phase for phase in dict.fromkeys(phase for phase, _ in run.told) if phase.startswith("Removing")]
    assert len(stages) < run.report["tiles"] == 18


@pytest.mark.usefixtures("stacks_of_four")
def test_what_is_finished_when_memory_runs_out_after_stop_here_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    run, anchor = Run(finish_at="made two"), pipeline._anchor
    calls: list[Tile] = []

    def out_of_memory(tile: Tile, progress: pipeline.Progress) -> Tile:
        calls.append(tile)
        if len(calls) in {1, 3, 4}:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")
        if len(calls) == 2:
            run.told.append(("made two", 0.0))
        return anchor(tile, progress)

    monkeypatch.setattr(pipeline, "_anchor", out_of_memory)
    result = run(JOB, farmland(3, *SIZE_PX))
    stopped = run.report["stopped"]
    assert stopped["share_done"] == pytest.approx(2 * CORE_PX**2 / (SIZE_PX[0] * SIZE_PX[1]))
    assert result[0].std() > 100.0


@pytest.mark.usefixtures("stacks_of_four")
def test_a_cancelled_job_goes_on_with_the_tiles_that_are_kept(tmp_path: Path) -> None:
    job, numbers = replace(JOB, cache_folder=str(tmp_path), cache_limit_bytes=10**9), farmland(3, *SIZE_PX)
    expected = Run()(replace(job, cache_folder=None), numbers)
    with pytest.raises(Cancelled):
        Run(cancel_at="tile 9 of")(job, numbers)
    again = Run()
    result = again(job, numbers)
    assert 0 < again.report["tiles_from_cache"] < again.report["tiles"]
    assert largest_difference(result, expected, numbers) < LARGEST_DIFFERENCE


@pytest.mark.usefixtures("stacks_of_four")
def test_who_stops_here_keeps_the_stacks_that_are_done() -> None:
    run = Run(finish_at="tile 9 of")
    run(replace(JOB, method=Method.DIP), farmland(3, *SIZE_PX))
    assert 0.0 < run.report["stopped"]["share_done"] < 1.0
    # What was left out, or blended twice, would not agree with the input.
    assert max(run.report["consistency"]["rmse_over_noise"]) < 1.2


class ShortOfMemory:
    """The anchor on a card where so many low-res pixels fit at a time."""

    def __init__(self, most_px: int) -> None:
        self.most_px = most_px
        self.tried: list[int] = []
        self._stage = pipeline._anchor

    def __call__(self, tile: Tile, progress: pipeline.Progress) -> Tile:
        self.tried.append(tile.low_res[..., 0, :, :].numel())
        if self.tried[-1] > self.most_px:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return self._stage(tile, progress)


@pytest.mark.usefixtures("stacks_of_four")
def test_where_memory_runs_out_fewer_tiles_go_together_and_then_smaller_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = farmland(3, *SIZE_PX)
    expected = Run()(JOB, numbers)
    # Room for two of the largest tiles, 72 x 72 pixels with their margins.
    short = ShortOfMemory(2 * 72 * 72)
    monkeypatch.setattr(pipeline, "_anchor", short)
    run = Run()
    result = run(JOB, numbers)
    assert "Going on with fewer tiles at a time, for lack of memory" in dict(run.told)
    assert run.report["tiles"] == 18
    assert largest_difference(result, expected, numbers) < LARGEST_DIFFERENCE
    # Once it is known that four are too many, they are not tried again.
    assert sum(px > short.most_px for px in short.tried) == 1
    monkeypatch.setattr(pipeline, "_anchor", ShortOfMemory(68 * 72))
    run = Run()
    run(JOB, numbers)
    assert "Going on with smaller tiles, for lack of memory" in dict(run.told)
    assert run.report["tiles"] > 18


def test_what_has_no_room_on_the_graphics_card_is_made_by_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = farmland(3, 48, 72)
    expected = Run()(JOB, numbers)
    # There is no card here: a device without memory of its own stands in for one.
    card = torch.device("meta")
    monkeypatch.setattr(pipeline, "choose_device", lambda _wish: card)
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda *_, **__: None)
    stage = pipeline._anchor

    def out_of_memory_on_the_card(tile: Tile, progress: pipeline.Progress) -> Tile:
        if tile.low_res.device == card:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return stage(tile, progress)

    monkeypatch.setattr(pipeline, "_anchor", out_of_memory_on_the_card)
    run = Run()
    result = run(JOB, numbers)
    assert "Going on with smaller tiles, for lack of memory" in dict(run.told)
    assert "Going on with the processor, for lack of graphics memory" in dict(run.told)
    assert run.report["left_graphics_card"]
    assert run.report["device"].startswith("cpu")
    np.testing.assert_array_equal(result, expected)


def test_batches_hold_every_tile_once_and_only_tiles_of_one_size() -> None:
    tiles = plan_tiles(500, 700, CORE_PX)
    stacks = list(batches(tiles, 8))
    assert sorted(map(str, in_order_of(stacks))) == sorted(map(str, tiles))
    assert all(len({tile.size_px for tile in stack}) == 1 for stack in stacks)
    assert max(map(len, stacks)) == 8
    assert len(stacks) < len(tiles) / 6
    assert in_order_of(batches(tiles, 1)) == tiles


def test_as_many_tiles_go_together_as_the_graphics_card_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (8_000_000_000, 12_000_000_000))
    card = torch.device("cuda")
    assert tiles_at_once(card, 1_500_000_000) == 2
    assert tiles_at_once(card, 9_000_000_000) == 1
    assert tiles_at_once(card, 1_000) == MOST_TILES
    assert tiles_at_once(torch.device("cpu"), 1_000) == 1


def test_a_network_made_for_one_image_gets_one_at_a_time() -> None:
    class ForOne:
        """A session whose batch is one."""

        def __init__(self, session: Any) -> None:
            self._session = session
            self.runs = 0

        def get_inputs(self) -> list[Any]:
            (node,) = self._session.get_inputs()
            return [type("Node", (), {"name": node.name, "shape": [1, *node.shape[1:]]})]

        def run(self, names: Any, inputs: dict[str, NDArray[Any]], settings: Any) -> Any:
            self.runs += 1
            assert all(len(image) == 1 for image in inputs.values())
            return self._session.run(names, inputs, settings)

    model = OnnxModel.load(model_file(None), 2, torch.device("cpu"))
    images = torch.rand(3, 3, 20, 24, generator=torch.Generator().manual_seed(0))
    session = ForOne(model.session)
    one_by_one = replace(model, session=session)(images)
    assert session.runs == 3
    torch.testing.assert_close(one_by_one, model(images), atol=1e-5, rtol=0.0)
