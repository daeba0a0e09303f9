"""What may be wished for beside the result: Deep Image Prior's own picture, and how far off the result may be."""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray

from headland.engine import pipeline
from headland.engine.client import run_worker
from headland.engine.dip.educated import FitSettings
from headland.engine.job import (
    CONFIDENCE_FILE,
    CONFIDENCE_METHODS,
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
from headland.engine.pictures import uncertain_share
from headland.engine.scene import Scene, Tile
from headland.tests.engine.test_pipeline import farmland
from headland.tests.support.tiles import plan_small_tiles

pytestmark = pytest.mark.usefixtures("unquestioned_dip")

SCENE = Path(__file__).resolve().parents[1] / "data" / "s2_farmland_virginia.tif"
PLAIN_JOB = Job(Method.CHAIN, 2, Preset.FAST, Device.CPU, 0, Sensor.AUTO, ("red", "green", "blue"))
JOB = replace(PLAIN_JOB, keeps_dip=True)
CONFIDENCE_JOB = replace(PLAIN_JOB, maps_confidence=True)
CORE_PX = 32


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    plan_small_tiles(monkeypatch, CORE_PX)
    monkeypatch.setitem(pipeline.FIT_SETTINGS, Preset.FAST, FitSettings(rounds=1, patch_px=24, patches=1))


@dataclass(frozen=True)
class Made:
    """What came of a job: its pictures, zero where one was not wished for, and the report."""

    result: NDArray[Any]
    dip: NDArray[Any]
    bound: NDArray[Any]
    report: Any


def make(job: Job, numbers: NDArray[Any], valid: NDArray[np.bool_] | None = None, finish_at: str = "never") -> Made:
    shape = (3, len(numbers), numbers.shape[1] * 2, numbers.shape[2] * 2)
    result, dip, bound = np.zeros(shape, np.float32)
    phases: list[str] = []
    report = pipeline.enhance(
        job,
        numbers,
        np.ones(numbers.shape, dtype=bool) if valid is None else valid,
        result,
        lambda phase, _fraction: phases.append(phase),
        lambda: False,
        is_to_finish=lambda: any(finish_at in phase for phase in phases),
        dip_output=dip if job.keeps_dip else None,
        bound_output=bound if job.maps_confidence else None,
    )
    return Made(result, dip, bound, report)


def enhanced(job: Job, numbers: NDArray[Any], finish_at: str = "never") -> tuple[NDArray[Any], NDArray[Any], Any]:
    """Return the result, Deep Image Prior's picture and the report."""
    made = make(job, numbers, finish_at=finish_at)
    return made.result, made.dip, made.report


def test_it_is_what_the_method_dip_gives_and_the_result_is_the_same_as_without_it() -> None:
    numbers = farmland(5, 40, 70)
    job = replace(JOB, band_names=("",) * 5)
    result, dip, report = enhanced(job, numbers)
    assert report["tiles"] == 6
    plain, _, _ = enhanced(replace(job, keeps_dip=False), numbers)
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


def mapped(
    job: Job, numbers: NDArray[Any], valid: NDArray[np.bool_] | None = None, finish_at: str = "never"
) -> tuple[NDArray[Any], NDArray[Any], Any]:
    """Return the result, what its error stays below in nine pixels of ten, and the report."""
    made = make(job, numbers, valid, finish_at)
    return made.result, made.bound, made.report


@pytest.mark.parametrize("method", CONFIDENCE_METHODS)
def test_how_far_off_the_result_may_be_is_more_at_borders_than_in_fields(method: Method) -> None:
    numbers = farmland(3, 48, 72)
    result, bound, report = mapped(replace(CONFIDENCE_JOB, method=method), numbers)
    plain, _, _ = enhanced(replace(CONFIDENCE_JOB, method=method, maps_confidence=False), numbers)
    np.testing.assert_array_equal(result, plain)
    assert (bound > 0.0).all()
    # Fields are eight pixels a side: their borders are the outermost of sixteen high-res pixels.
    place = (np.arange(96) % 16, np.arange(144) % 16)
    is_border = ((place[0] < 2) | (place[0] > 13))[:, None] | ((place[1] < 2) | (place[1] > 13))[None]
    assert bound[:, is_border].mean() > 1.5 * bound[:, ~is_border].mean()
    assert report["uncertain_share"] < 0.1
    assert any(model["name"] == "confidence.npz" for model in report["models"])


def test_it_is_in_the_units_of_the_input_and_knows_nothing_where_that_is_invalid() -> None:
    numbers = farmland(3, 48, 72)
    valid = np.ones(numbers.shape, dtype=bool)
    valid[:, 8:16, 8:16] = False
    _, bound, report = mapped(CONFIDENCE_JOB, numbers, valid)
    _, tenfold, tenfold_report = mapped(CONFIDENCE_JOB, numbers.astype(np.uint32) * 10 + 500, valid)
    assert not bound[:, 20:28, 20:28].any()
    np.testing.assert_allclose(tenfold, 10.0 * bound, rtol=0.05, atol=1.0)
    assert tenfold_report["uncertain_share"] == pytest.approx(report["uncertain_share"], abs=0.01)


def test_the_uncertain_share_is_that_of_the_valid_area_where_the_bands_are_far_off_on_average() -> None:
    numbers = farmland(2, 24, 32)
    valid = np.ones(numbers.shape, dtype=bool)
    valid[:, :, :8] = False
    valid[1, :, 8:16] = False
    scene = Scene.measure(numbers, valid, (0.25, 0.25), 2, torch.device("cpu"))
    ranges = 1.0 / np.array(scene.normalisation.gains)
    bound = np.zeros((2, 48, 64))
    assert uncertain_share(scene, bound, 0.25) == 0.0
    # One band alone does not reach the mean, but where it is the only valid one.
    bound[0] = 0.4 * ranges[0]
    assert uncertain_share(scene, bound, 0.25) == pytest.approx(1 / 3)
    bound[1, :24] = 0.2 * ranges[1]
    assert uncertain_share(scene, bound, 0.25) == pytest.approx(2 / 3)


def test_the_cache_gives_it_again(tmp_path: Path) -> None:
    numbers = farmland(3, 48, 72)
    job = replace(CONFIDENCE_JOB, cache_folder=str(tmp_path), cache_limit_bytes=10**9)
    _, first, report = mapped(job, numbers)
    _, again, again_report = mapped(job, numbers)
    assert report["tiles"] > 1
    assert again_report["tiles_from_cache"] == report["tiles"]
    np.testing.assert_array_equal(first, again)


def test_what_a_stopped_run_made_in_a_quick_way_is_wholly_uncertain() -> None:
    _, bound, report = mapped(CONFIDENCE_JOB, farmland(3, 40, 70), finish_at="tile 2 of")
    _, whole, whole_report = mapped(CONFIDENCE_JOB, farmland(3, 40, 70))
    assert report["uncertain_share"] > whole_report["uncertain_share"]
    assert bound[:, -8:, -8:].min() > 5.0 * whole[:, -8:, -8:].mean()


@pytest.mark.parametrize(
    "wishes",
    [{"method": Method.DECRAPPIFY}, {"method": Method.ANCHOR}, {"preset": Preset.REFERENCE}, {"model": "mine.onnx"}],
    ids=str,
)
def test_what_was_not_calibrated_has_no_map(wishes: dict[str, Any]) -> None:
    with pytest.raises(JobError, match="How far off it may be is not known of the method"):
        replace(PLAIN_JOB, maps_confidence=True, **wishes)


def test_where_memory_runs_out_on_the_way_every_picture_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    job, numbers = replace(JOB, maps_confidence=True), farmland(3, 48, 72)
    tilings, decrappify, calls = pipeline.tilings, pipeline.Decrappify.__call__, itertools.count()
    # The second time in tiles of the same size, so that the same comes of them.
    monkeypatch.setattr(pipeline, "tilings", lambda *given: itertools.repeat(next(tilings(*given)), 2))
    expected = make(job, numbers)

    def run_out_once(self: pipeline.Decrappify, tile: Tile) -> Tile:
        if next(calls) == 2:
            raise MemoryError
        return decrappify(self, tile)

    monkeypatch.setattr(pipeline.Decrappify, "__call__", run_out_once)
    made = make(job, numbers)
    assert next(calls) == 3 + made.report["tiles"] == 9
    for name in ("result", "dip", "bound"):
        np.testing.assert_array_equal(getattr(made, name), getattr(expected, name), err_msg=name)


def test_the_worker_leaves_a_file_of_each(tmp_path: Path) -> None:
    # Drawn fields are no sensor's, and the anchor would take Deep Image Prior's place.
    numbers = np.moveaxis(tifffile.imread(SCENE), -1, 0)[:3, :64, :64]
    replace(JOB, maps_confidence=True).save(tmp_path)
    np.save(tmp_path / INPUT_FILE, numbers)
    np.save(tmp_path / VALID_FILE, np.ones(numbers.shape, dtype=bool))
    run_worker(Path(sys.executable), tmp_path, lambda _event: None, lambda: False)
    result, dip, bound = (np.load(tmp_path / name) for name in (OUTPUT_FILE, DIP_FILE, CONFIDENCE_FILE))
    assert result.shape == dip.shape == bound.shape == (3, 128, 128)
    assert np.abs(result - dip).max() > 10.0
    assert (bound > 0.0).all()
    assert bound.mean() < 0.5 * result.mean()
    names = ["confidence.npy", "dip.npy", "input.npy", "output.npy", "valid.npy"]
    assert sorted(path.name for path in tmp_path.glob("*.npy*")) == names
