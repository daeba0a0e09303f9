"""Held-out pixels tell a spoilt Deep Image Prior from a sound one, and the anchor takes its place for all tiles."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray

from headland.engine import pipeline
from headland.engine.dip.educated import EducatedPrior, FitSettings
from headland.engine.dip.held_out import HeldOut, hold_out
from headland.engine.job import Device, Job, Method, Preset, Sensor
from headland.engine.pipeline import FIT_SETTINGS, PRIOR_WEIGHTS
from headland.engine.progress import Cancelled
from headland.engine.scene import Scene
from headland.models.dip.prior_network import PriorNetwork, load_weights, save_weights
from headland.tests.engine.test_pipeline import Recorder, farmland
from headland.tests.support.tiles import plan_small_tiles

CROP = Path(__file__).resolve().parents[1] / "data" / "s2_farmland_virginia.tif"
JOB = Job(Method.DIP, 2, Preset.FAST, Device.CPU, 0, Sensor.AUTO, ("red", "green", "blue"))
CORE_PX = 40

Numbers = NDArray[np.uint16]
Break = Callable[[PriorNetwork], None]


@pytest.fixture(scope="module")
def crop() -> Numbers:
    """Real farmland, three bands of 96 x 96 pixels."""
    return np.moveaxis(tifffile.imread(CROP), -1, 0)[:3, :96, :96]


def scene_of(numbers: NDArray[Any], scale: int = 4, valid: NDArray[np.bool_] | None = None) -> Scene:
    valid = np.ones(numbers.shape, dtype=bool) if valid is None else valid
    return Scene.measure(numbers, valid, (0.25,) * len(numbers), scale, torch.device("cpu"))


def prior_of(network: PriorNetwork) -> EducatedPrior:
    return EducatedPrior(network, FIT_SETTINGS[Preset.FAST], seed=0)


@pytest.fixture(scope="module")
def sound() -> EducatedPrior:
    return prior_of(load_weights(PRIOR_WEIGHTS[Preset.FAST]))


def of_the_wrong_sign(network: PriorNetwork) -> None:
    for weights in network.tails.parameters():
        weights.mul_(-1.0)


def without_numbers(network: PriorNetwork) -> None:
    next(network.body.parameters()).view(-1)[0] = torch.nan


def disturbed(network: PriorNetwork) -> None:
    torch.manual_seed(0)
    for weights in network.parameters():
        if weights.numel() > 1:
            weights.add_(weights.std() * torch.randn_like(weights))


def broken(change: Break) -> PriorNetwork:
    network = load_weights(PRIOR_WEIGHTS[Preset.FAST])
    with torch.no_grad():
        change(network)
    return network


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("preset", list(PRIOR_WEIGHTS))
def test_both_shipped_networks_are_ahead_on_real_farmland(crop: Numbers, preset: Preset, scale: int) -> None:
    prior = EducatedPrior(load_weights(PRIOR_WEIGHTS[preset]), FIT_SETTINGS[preset], seed=0)
    answer = hold_out(scene_of(crop, scale), prior, seed=0)
    assert answer is not None
    assert answer.chosen is Method.DIP
    assert answer.gain_db > 0.0


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("change", [of_the_wrong_sign, without_numbers, disturbed])
def test_a_broken_network_is_found_out(crop: Numbers, change: Break, scale: int) -> None:
    answer = hold_out(scene_of(crop, scale), prior_of(broken(change)), seed=0)
    assert answer is not None
    assert answer.chosen is Method.ANCHOR


def test_an_image_that_drowns_in_noise_is_left_to_the_anchor(crop: Numbers, sound: EducatedPrior) -> None:
    noise = np.random.default_rng(0).normal(0.0, 1500.0, crop.shape)
    answer = hold_out(scene_of((crop + noise).round().astype(np.int32)), sound, seed=0)
    assert answer is not None
    assert answer.chosen is Method.ANCHOR


def test_the_same_seed_gets_the_same_answer_and_another_one_asks_elsewhere(sound: EducatedPrior) -> None:
    scene = scene_of(np.moveaxis(tifffile.imread(CROP), -1, 0)[:1, :200, :220], 2)
    first, again, other = (hold_out(scene, sound, seed) for seed in (3, 3, 4))
    assert first == again != other


def test_an_extent_that_is_too_small_or_empty_is_not_asked(crop: Numbers, sound: EducatedPrior) -> None:
    assert hold_out(scene_of(crop[:, :30, :90], 4), sound, seed=0) is None
    valid = np.zeros(crop.shape, dtype=bool)
    valid[:, :2, :2] = True
    assert hold_out(scene_of(crop, 4, valid), sound, seed=0) is None


def test_what_is_not_valid_does_not_count(crop: Numbers, sound: EducatedPrior) -> None:
    valid = np.ones(crop.shape, dtype=bool)
    valid[:, 20:50, 30:60] = False
    low, high = (np.where(valid, crop, value).astype(np.uint16) for value in (0, 60000))
    answers = [hold_out(scene_of(numbers, 4, valid), sound, seed=0) for numbers in (low, high)]
    assert answers[0] == answers[1]


def test_what_is_read_at_a_time_does_not_grow_with_the_bands(sound: EducatedPrior) -> None:
    numbers = Recorder(farmland(bands=10, rows_px=60, columns_px=70))
    scene = Scene.measure(numbers, np.ones(numbers.shape, bool), (0.25,) * 10, 4, torch.device("cpu"))
    numbers.largest = 0
    assert hold_out(scene, sound, seed=0) is not None
    assert 0 < numbers.largest <= 6 * 60 * 70


def test_who_is_to_finish_hears_what_is_known_by_then(sound: EducatedPrior) -> None:
    scene, told = scene_of(np.moveaxis(tifffile.imread(CROP), -1, 0)[:1, :240, :240], 4), []
    answer = hold_out(scene, sound, 0, lambda step, steps: told.append((step, steps)) or True)
    assert told == [(1, 4)]
    assert answer is not None


def test_small_differences_leave_deep_image_prior_in_its_place() -> None:
    assert HeldOut(dip=10.0, anchor=9.9).chosen is Method.DIP
    assert HeldOut(dip=10.0, anchor=5.0).chosen is Method.ANCHOR
    # Far below the noise of the measured pixels themselves, a ratio means nothing.
    assert HeldOut(dip=0.02, anchor=0.001).chosen is Method.DIP
    assert HeldOut(dip=math.nan, anchor=9.0).chosen is HeldOut(dip=math.inf, anchor=9.0).chosen is Method.ANCHOR


@pytest.mark.parametrize("nothing", [math.nan, math.inf])
def test_an_anchor_without_numbers_takes_nobodys_place(nothing: float) -> None:
    assert HeldOut(dip=10.0, anchor=nothing).chosen is Method.DIP
    assert HeldOut(dip=nothing, anchor=nothing).chosen is Method.DIP


@pytest.mark.parametrize("dip", [10.0, math.nan, math.inf])
@pytest.mark.parametrize("other", [9.0, math.nan, math.inf])
def test_what_goes_into_the_report_is_plain_json(dip: float, other: float) -> None:
    figures = HeldOut(dip, other).figures
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert (figures["dip"] is None) == (not math.isfinite(dip))
    assert (figures["anchor"] is None) == (not math.isfinite(other))
    assert figures["chosen"] == HeldOut(dip, other).chosen.value


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    plan_small_tiles(monkeypatch, CORE_PX)
    monkeypatch.setitem(pipeline.FIT_SETTINGS, Preset.FAST, FitSettings(rounds=1, patch_px=24, patches=1))


@pytest.fixture
def broken_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_weights(broken(of_the_wrong_sign), tmp_path / "prior.npz")
    monkeypatch.setitem(pipeline.PRIOR_WEIGHTS, Preset.FAST, tmp_path / "prior.npz")


def enhanced(job: Job, numbers: Numbers, cancel_at: str = "never") -> tuple[list[NDArray[Any]], dict[str, Any]]:
    """Return the result, Deep Image Prior's picture and the bound, and the report."""
    pictures = list(np.zeros((3, 3, numbers.shape[1] * job.scale, numbers.shape[2] * job.scale), np.float32))
    phases: list[str] = []
    report = pipeline.enhance(
        job,
        numbers,
        np.ones(numbers.shape, dtype=bool),
        pictures[0],
        lambda phase, _fraction: phases.append(phase),
        lambda: any(cancel_at in phase for phase in phases),
        dip_output=pictures[1] if job.keeps_dip else None,
        bound_output=pictures[2] if job.maps_confidence else None,
    )
    return pictures, report


def distance(one: NDArray[Any], other: NDArray[Any], report: dict[str, Any]) -> float:
    """Return the root of the mean squared difference, in units of the noise."""
    return float(np.sqrt(np.square((one - other) / np.array(report["noise_sd"])[:, None, None]).mean()))


@pytest.mark.usefixtures("small_tiles", "broken_weights")
def test_the_anchor_takes_the_place_of_a_broken_network_in_every_tile_and_the_report_says_so(crop: Numbers) -> None:
    (result, *_), report = enhanced(JOB, crop)
    (expected, *_), plain = enhanced(replace(JOB, method=Method.ANCHOR), crop)
    assert report["held_out"]["chosen"] == "anchor"
    assert report["held_out"]["gain_db"] < 0.0
    assert report["tiles"] == 9
    assert "held_out" not in plain
    assert "anchor" in report["seconds"]
    assert not {"dip", "dip fit"} & set(report["seconds"])
    assert (report["models"], report["dip"]) == ([], {"replaced_by": "anchor"})
    # The consistency step at the end of the method moves it by less than its noise.
    assert distance(result, expected, report) < 0.5


@pytest.mark.usefixtures("small_tiles")
def test_a_network_without_numbers_leaves_a_report_of_plain_json(
    crop: Numbers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "hold_out", lambda *_: HeldOut(dip=math.nan, anchor=9.0))
    _, report = enhanced(JOB, crop[:, :40, :40])
    assert report["held_out"] == {"dip": None, "anchor": 9.0, "gain_db": None, "chosen": "anchor"}
    json.dumps(report, allow_nan=False)


@pytest.mark.usefixtures("small_tiles")
def test_a_sound_network_stays_in_its_place_and_the_report_says_that_too(crop: Numbers) -> None:
    _, report = enhanced(JOB, crop)
    assert report["held_out"]["chosen"] == "dip"
    assert {"dip", "dip fit", "held out"} <= set(report["seconds"])
    assert [model["name"] for model in report["models"]] == ["prior.npz"]
    assert report["dip"]["rounds"] == 1


@pytest.mark.usefixtures("small_tiles", "broken_weights")
def test_a_cancelled_job_in_which_the_anchor_stands_in_goes_on_to_the_same_pixels(
    crop: Numbers, tmp_path: Path
) -> None:
    job = replace(JOB, cache_folder=str(tmp_path / "tiles"), cache_limit_bytes=10**9)
    with pytest.raises(Cancelled):
        enhanced(job, crop, cancel_at="tile 4 of")
    (again, *_), report = enhanced(job, crop)
    assert report["tiles_from_cache"] == 3
    np.testing.assert_array_equal(again, enhanced(JOB, crop)[0][0])


@pytest.mark.usefixtures("small_tiles", "broken_weights")
def test_what_goes_with_the_result_is_the_anchors_and_no_error_is_promised(crop: Numbers) -> None:
    job = replace(JOB, method=Method.CHAIN, keeps_dip=True, maps_confidence=True)
    (result, beside, bound), report = enhanced(job, crop)
    (anchored, *_), _ = enhanced(replace(JOB, method=Method.ANCHOR), crop)
    assert distance(beside, anchored, report) < 0.5
    assert distance(result, anchored, report) > 1.0
    assert report["uncertain_share"] == 1.0
    assert [model["name"] for model in report["models"]] == ["decrappify.onnx"]
    assert bound.min() > 0.0
