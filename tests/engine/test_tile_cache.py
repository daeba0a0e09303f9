"""A job that was stopped goes on where it was, and comes to the same pixels as one that was not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from headland.engine import pipeline, tile_cache, tiling
from headland.engine.dip.educated import FitSettings
from headland.engine.dip.reference import ReferenceSettings
from headland.engine.job import Device, Job, Method, Preset, Sensor
from headland.engine.progress import Cancelled
from headland.engine.tiling import ALIGNMENT_PX, LARGEST_CORE_PX
from headland.tests.engine.test_pipeline import ShortOfMemory, farmland
from headland.tests.support.runs import Run
from headland.tests.support.tiles import plan_small_tiles

pytestmark = pytest.mark.usefixtures("unquestioned_dip")

CORE_PX = 24
TILES = 6
SIZE_PX = (40, 56)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "tiles"


@pytest.fixture
def job(folder: Path) -> Job:
    names = ("red", "green", "blue")
    return Job(
        Method.ANCHOR,
        2,
        Preset.FAST,
        Device.CPU,
        0,
        Sensor.AUTO,
        names,
        cache_folder=str(folder),
        cache_limit_bytes=10**9,
    )


@pytest.fixture(autouse=True)
def short_work_in_small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = (LARGEST_CORE_PX, pipeline.REFERENCE_CORE_PX)
    plan_small_tiles(monkeypatch, lambda core_px: CORE_PX if core_px in whole else ALIGNMENT_PX)
    monkeypatch.setitem(pipeline.FIT_SETTINGS, Preset.FAST, FitSettings(rounds=1, patch_px=24, patches=1))
    monkeypatch.setattr(pipeline, "REFERENCE_SETTINGS", ReferenceSettings(iterations=1))


def undisturbed(job: Job, numbers: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> NDArray[Any]:
    """Return the result of the job where nothing was kept and nothing stopped it."""
    return Run()(replace(job, cache_folder=None), numbers, valid)


def image() -> NDArray[np.uint16]:
    return farmland(3, *SIZE_PX)


@pytest.mark.parametrize(
    "wishes",
    [
        {"method": Method.ANCHOR},
        {"method": Method.ANCHOR, "scale": 4},
        {"method": Method.DECRAPPIFY},
        {"method": Method.DIP},
        {"method": Method.CHAIN},
    ],
    ids=lambda wishes: ", ".join(str(getattr(wish, "value", wish)) for wish in wishes.values()),
)
def test_a_cancelled_job_goes_on_where_it_was_to_the_same_pixels(job: Job, wishes: dict[str, Any]) -> None:
    job = replace(job, **wishes)
    numbers, valid = image(), np.ones((3, *SIZE_PX), dtype=bool)
    valid[:, 5:12, 20:45] = False
    with pytest.raises(Cancelled):
        Run(cancel_at=f"tile 4 of {TILES}")(job, numbers, valid)
    again = Run()
    result = again(job, numbers, valid)
    assert again.found == 3
    assert (f"Going on where it was, tile 3 of {TILES}") in dict(again.told)
    fractions = [fraction for _, fraction in again.told]
    assert fractions == sorted(fractions)
    assert result.tobytes() == undisturbed(job, numbers, valid).tobytes()


def test_the_published_method_which_draws_noise_goes_on_to_the_same_pixels(job: Job) -> None:
    job, numbers = replace(job, method=Method.DIP, preset=Preset.REFERENCE), farmland(1, 16, 40)
    job = replace(job, band_names=("red",))
    with pytest.raises(Cancelled):
        Run(cancel_at="tile 2 of 2")(job, numbers)
    again = Run()
    assert again(job, numbers).tobytes() == undisturbed(job, numbers).tobytes()
    assert again.found == 1


def test_the_same_request_once_more_takes_every_tile_from_the_cache(job: Job) -> None:
    first, second = Run(), Run()
    assert first(job, image()).tobytes() == second(job, image()).tobytes()
    assert (first.found, second.found) == (0, TILES)
    assert first.report["consistency"] == second.report["consistency"]
    assert not {"anchor"} & set(second.report["seconds"])


def test_a_job_without_a_folder_or_with_a_limit_of_nothing_keeps_nothing(job: Job, folder: Path) -> None:
    undisturbed(job, image())
    Run()(replace(job, cache_limit_bytes=0), image())
    assert not folder.exists()


def shifted() -> NDArray[np.uint16]:
    return np.roll(image(), 1, axis=2)


def with_another_range() -> NDArray[np.uint16]:
    """Return an image whose last tile is brighter: the levels of all tiles are others."""
    numbers = image()
    numbers[:, -10:, -10:] += 4000
    return numbers


@pytest.mark.parametrize(
    ("wishes", "numbers"),
    [
        ({"seed": 1}, image),
        ({"scale": 4}, image),
        ({"method": Method.DECRAPPIFY}, image),
        ({"preset": Preset.BALANCED}, image),
        ({"sensor": Sensor.LANDSAT}, image),
        ({"sensor": Sensor.CUSTOM, "mtf_at_nyquist": 0.31}, image),
        ({"band_names": ("B02", "B03", "B04")}, image),
        ({"pixel_size_m": (30.0, 30.0)}, image),
        ({}, shifted),
        ({}, with_another_range),
        ({}, lambda: image().astype(np.float32)),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_another_request_finds_nothing(
    job: Job, wishes: dict[str, Any], numbers: Callable[[], NDArray[np.uint16]]
) -> None:
    Run()(job, image())
    other, other_job = Run(), replace(job, **wishes)
    result = other(other_job, numbers())
    assert other.found == 0
    assert result.tobytes() == undisturbed(other_job, numbers()).tobytes()


@pytest.mark.parametrize("what", ["a pixel", "its validity"])
def test_where_the_input_has_changed_the_tile_is_made_anew(
    job: Job, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    # All that is measured on the whole extent is to stay as it was.
    measured = tile_cache.Scene.measure(image(), np.ones((3, *SIZE_PX), bool), (0.25,) * 3, 2, "cpu")
    monkeypatch.setattr(
        pipeline.Scene,
        "measure",
        lambda numbers, valid, *_: replace(measured, digital_numbers=numbers, valid=valid),
    )
    Run()(job, image())
    numbers, valid = image(), np.ones((3, *SIZE_PX), dtype=bool)
    if what == "a pixel":
        numbers[1, 1, 1] += 1
    else:
        valid[1, 1, 1] = False
    other = Run()
    result = other(job, numbers, valid)
    # The tiles in whose margin it lies are others too.
    plan = tiling.plan_tiles(*SIZE_PX, LARGEST_CORE_PX, 24)
    assert other.found == sum(window.rows.start > 1 or window.columns.start > 1 for window in plan)
    assert 0 < other.found < TILES
    assert result.tobytes() == undisturbed(job, numbers, valid).tobytes()


@pytest.mark.parametrize("what", ["_code_sha256", "describe"])
def test_tiles_of_another_version_or_device_are_not_taken(job: Job, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    Run()(job, image())
    monkeypatch.setattr(tile_cache, what, lambda *_: "another")
    other = Run()
    other(job, image())
    assert other.found == 0


def test_tiles_of_another_model_are_not_taken(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    job = replace(job, method=Method.DIP)
    Run()(job, image())
    monkeypatch.setattr(pipeline, "file_sha256", lambda _path: "another")
    other = Run()
    other(job, image())
    assert other.found == 0


def test_a_changed_line_of_code_is_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for room in ("engine", "models"):
        (tmp_path / room / "part").mkdir(parents=True)
        (tmp_path / room / "part" / "code.py").write_text(f"{room} = 1")
    monkeypatch.setattr(tile_cache, "_ROOT", tmp_path)
    seen = {tile_cache._code_sha256.__wrapped__()}
    (tmp_path / "models" / "part" / "code.py").write_text("models = 2")
    seen.add(tile_cache._code_sha256.__wrapped__())
    (tmp_path / "models" / "part" / "code.py").rename(tmp_path / "models" / "part" / "other.py")
    seen.add(tile_cache._code_sha256.__wrapped__())
    assert len(seen) == 3


def test_damaged_tiles_are_made_anew(job: Job, folder: Path) -> None:
    expected = Run()(job, image())
    for number, file in enumerate(sorted(folder.iterdir())):
        content = bytearray(file.read_bytes())
        content[number * 1000] ^= 0x40
        file.write_bytes(content if number % 2 else content[:-7])
    again = Run()
    assert again(job, image()).tobytes() == expected.tobytes()
    assert again.found == 0


def test_a_tile_that_was_ended_early_is_not_kept(job: Job, folder: Path) -> None:
    job, numbers = replace(job, method=Method.DIP, preset=Preset.REFERENCE), farmland(1, 16, 40)
    job = replace(job, band_names=("red",))
    Run(finish_at="tile 2 of 2")(job, numbers)
    assert len(list(folder.iterdir())) == 1


def test_smaller_tiles_for_lack_of_memory_are_kept_as_what_they_are(
    job: Job, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first one of the usual size still fits, and is kept; the others do not.
    monkeypatch.setattr(pipeline, "_anchor", ShortOfMemory(most_px=1500))
    numbers = farmland(3, 24, 120)
    expected = undisturbed(job, numbers)
    with pytest.raises(Cancelled):
        Run(cancel_at="tile 3 of 45")(job, numbers)
    assert len(list(folder.iterdir())) == 3
    again, once_more = Run(), Run()
    for run in (again, once_more):
        assert run(job, numbers).tobytes() == expected.tobytes()
        assert run.report["tiles"] == 45
    assert (again.found, once_more.found) == (2, 45)


class Failing:
    """The anchor, which fails once."""

    def __init__(self, at_call: int, error: Exception) -> None:
        self.at_call, self.error, self.calls = at_call, error, 0
        self._stage = pipeline._anchor

    def __call__(self, tile: pipeline.Tile, progress: pipeline.Progress) -> pipeline.Tile:
        self.calls += 1
        if self.calls == self.at_call:
            raise self.error
        return self._stage(tile, progress)


def test_what_this_run_has_kept_itself_does_not_count_as_taken_from_the_cache(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "tilings", lambda *_: iter([tiling.plan_tiles(*SIZE_PX, LARGEST_CORE_PX, 24)] * 2))
    stage = Failing(TILES - 1, MemoryError())
    monkeypatch.setattr(pipeline, "_anchor", stage)
    run = Run()
    run(job, image())
    assert stage.calls == TILES + 1, "the second try took what the first had finished"
    assert run.found == 0


def test_a_tile_of_which_some_bands_were_kept_counts_as_taken_from_the_cache(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, numbers = replace(job, band_names=("",) * 9), farmland(9, *SIZE_PX)
    monkeypatch.setattr(pipeline, "_anchor", Failing(2, Cancelled()))
    with pytest.raises(Cancelled):
        Run()(job, numbers)
    again = Run()
    assert again(job, numbers).tobytes() == undisturbed(job, numbers).tobytes()
    assert again.found == 1


@pytest.mark.parametrize("bands", [3, 9])
def test_what_is_kept_is_taken_after_a_stop_as_well(job: Job, bands: int) -> None:
    job, numbers = replace(job, method=Method.DIP, band_names=("",) * bands), farmland(bands, *SIZE_PX)
    with pytest.raises(Cancelled):
        Run(cancel_at=f"tile 5 of {TILES}")(job, numbers)
    stopped = Run(finish_at="Measuring")
    result, whole = stopped(job, numbers), undisturbed(job, numbers)
    assert stopped.found == 4
    # The last two of six tiles, in a grid of two rows of three.
    last_px = sum(
        (window.rows.core_stop - window.rows.core_start) * (window.columns.core_stop - window.columns.core_start)
        for window in tiling.plan_tiles(*SIZE_PX, LARGEST_CORE_PX, 24)[-2:]
    )
    share_done = pytest.approx(1.0 - last_px / (SIZE_PX[0] * SIZE_PX[1]))
    assert stopped.report["stopped"] == {"share_done": share_done, "rest": "anchor"}
    # Up to where the upper row of tiles is mixed with the lower one.
    np.testing.assert_array_equal(result[:, :16], whole[:, :16])
    assert (result != whole).any()


def test_a_stop_takes_nothing_from_a_job_that_is_all_kept(job: Job) -> None:
    numbers = image()
    whole = Run()(job, numbers)
    stopped = Run(finish_at="Measuring")
    assert stopped(job, numbers).tobytes() == whole.tobytes()
    assert "stopped" not in stopped.report


def test_after_a_stop_a_tile_of_which_some_bands_are_kept_is_made_in_one_way(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, numbers = replace(job, band_names=("",) * 9), farmland(9, *SIZE_PX)
    monkeypatch.setattr(pipeline, "_anchor", Failing(2, Cancelled()))
    with pytest.raises(Cancelled):
        Run()(job, numbers)
    stopped = Run(finish_at="Measuring")
    stopped(job, numbers)
    assert stopped.found == 0
    assert stopped.report["stopped"]["share_done"] == 0.0


def test_a_cache_that_cannot_be_used_is_no_reason_to_fail(job: Job, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    run = Run()
    result = run(replace(job, cache_folder=str(tmp_path / "file")), image())
    assert run.found == 0
    assert result.tobytes() == undisturbed(job, image()).tobytes()


def test_only_what_has_a_weight_in_the_result_is_kept(job: Job, folder: Path) -> None:
    Run()(job, image())
    kept = sum(file.stat().st_size for file in folder.iterdir())
    whole = sum(3 * 4 * window.blending_weights(2).size for window in tiling.plan_tiles(*SIZE_PX, LARGEST_CORE_PX, 24))
    assert kept < 0.6 * whole


def test_who_asks_for_borders_afterwards_gets_all_tiles_from_the_cache(job: Job) -> None:
    expected = Run()(job, image())
    again = Run()
    np.testing.assert_array_equal(again(replace(job, traces_borders=True), image()), expected)
    assert again.found == again.report["tiles"]
