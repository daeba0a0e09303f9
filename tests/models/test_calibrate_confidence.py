"""Confidence is fitted, calibrated and judged on different places, and what it is fitted to it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headland.models.confidence.error_network import (
    COVERAGES,
    HIGH_RES_CHANNELS,
    LOW_RES_CHANNELS,
    Calibrated,
    ErrorNetwork,
    load_calibrated,
    save_calibrated,
)
from headland.models.training import calibrate_confidence
from headland.models.training.calibrate_confidence import PIXELS_A_TILE, Example, fit, quantiles
from headland.models.training.imagery import HELD_OUT_FARMLAND
from headland.models.training.judged_places import (
    FARMLAND,
    VALIDATION_FARMLAND,
    Part,
    draw_misjudged_sensor,
    part_of,
    places,
)
from headland.tests.support.places import make_places

FACTORS = (0.6, 1.5, 2.2, 3.0)
FARMS = (HELD_OUT_FARMLAND[0], HELD_OUT_FARMLAND[5], VALIDATION_FARMLAND[0], "41.0--91.0")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with fields of 32 pixels: one place of each part and set, and one too small."""
    names = {
        FARMLAND: tuple(f"{name}.png" for name in FARMS),
        "naip_urban_0.6m": ("riverside_2016_1.png", "chico_2016_1.png", "claremont_2016_1.png"),
        "ucmerced_0.3m": ("river90.png", "river92.png", "river94.png", "river10.png"),
    }
    make_places(tmp_path / "highres", names, fields=12, field_px=32)
    merced = tmp_path / "highres" / "ucmerced_0.3m"
    Image.open(merced / "river10.png").crop((0, 0, 200, 200)).save(merced / "river11.png")
    return tmp_path


def names(data: Path, part: Part) -> set[str]:
    return {image.name for image in places(data / "highres", part)}


def test_no_place_is_in_two_parts(data: Path) -> None:
    assert names(data, Part.FIT) == {"41.0--91.0", "chico_2016_1", "river10"}
    assert names(data, Part.FACTORS) == {HELD_OUT_FARMLAND[5], "riverside_2016_1"}
    assert names(data, Part.VALIDATION) == {VALIDATION_FARMLAND[0], "claremont_2016_1", "river90"}
    assert names(data, Part.REPORT) == {HELD_OUT_FARMLAND[0], "river94"}


def test_nothing_is_reported_on_cities_which_other_weights_were_chosen_by() -> None:
    assert part_of("naip_urban_0.6m", "eureka_2018_3", held_out=True) is Part.FACTORS


def test_sensors_are_drawn_that_the_engine_takes_for_much_sharper_and_much_blurrier_ones() -> None:
    rng = np.random.default_rng(1)
    drawn = [draw_misjudged_sensor(rng) for _ in range(400)]
    ratios = [one.assumed_psfs[0].sigma_px / one.psfs[0].sigma_px for one in drawn]  # type: ignore[attr-defined]
    assert np.quantile(ratios, 0.05) < 0.85
    assert np.quantile(ratios, 0.95) > 1.2
    assert max(one.noise_sd for one in drawn) > 0.012


def test_every_set_of_places_counts_alike_however_many_it_has() -> None:
    small, large = np.full(PIXELS_A_TILE, 1.0), np.full(PIXELS_A_TILE, 3.0)
    assert quantiles([[small] * 11, [small], [large]]) == (1.0, 3.0, 3.0, 3.0)
    assert quantiles([[small] * 12 + [large]]) == (1.0, 1.0, 1.0, 3.0)


def test_the_network_learns_the_mean_error_of_pixels_that_look_alike() -> None:
    rng = np.random.default_rng(2)
    halves = torch.zeros(40 * 2, 40 * 2)
    halves[:, 40:] = 1.0
    examples = []
    for _ in range(4):
        error = torch.from_numpy(rng.exponential(size=halves.shape)).float() * (0.2 + 0.6 * halves)
        high_res = torch.cat([torch.zeros(HIGH_RES_CHANNELS - 1, 80, 80), halves[None]])
        examples.append(Example(high_res.half(), torch.zeros(LOW_RES_CHANNELS, 40, 40).half(), error.half(), 1.0))
    network = fit(examples, 2, steps=200, seed=0)
    with torch.inference_mode():
        expected = network(examples[0].high_res[None].float(), examples[0].low_res[None].float())[0, 0].exp()
    assert float(expected[10:70, 5:35].mean()) == pytest.approx(0.2, rel=0.15)
    assert float(expected[10:70, 45:75].mean()) == pytest.approx(0.8, rel=0.15)


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    torch.manual_seed(3)
    saved = {scale: Calibrated(ErrorNetwork(scale), {"chain": FACTORS}) for scale in (2, 4)}
    save_calibrated(saved, tmp_path / "confidence.npz")
    for scale, one in saved.items():
        loaded = load_calibrated(tmp_path / "confidence.npz", scale)
        assert loaded.factors == {"chain": FACTORS}
        for name, value in one.network.state_dict().items():
            torch.testing.assert_close(loaded.network.state_dict()[name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("wrong", [(2.0, 1.5, 1.0, 0.5), (0.5, 1.0, np.nan, 2.0), (1.0, 2.0)])
def test_factors_that_cannot_be_are_a_damaged_file(tmp_path: Path, wrong: tuple[float, ...]) -> None:
    save_calibrated({2: Calibrated(ErrorNetwork(2), {"chain": wrong})}, tmp_path / "confidence.npz")
    with pytest.raises(ValueError, match="install Headland again"):
        load_calibrated(tmp_path / "confidence.npz", 2)


def test_a_scale_factor_that_the_file_does_not_hold_is_named(tmp_path: Path) -> None:
    save_calibrated({2: Calibrated(ErrorNetwork(2), {"chain": FACTORS})}, tmp_path / "confidence.npz")
    with pytest.raises(ValueError, match="scale factor of 4"):
        load_calibrated(tmp_path / "confidence.npz", 4)


@pytest.mark.slow
def test_one_run_leaves_a_file_that_both_scale_factors_can_use(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate_confidence, "SENSORS_A_PLACE", {part: {} for part in Part})
    output = tmp_path / "confidence.npz"
    calibrate_confidence.main([str(data), str(output), "--steps", "3"])
    for scale in (2, 4):
        loaded = load_calibrated(output, scale)
        assert set(loaded.factors) == {"chain", "dip"}
        assert all(len(factors) == len(COVERAGES) for factors in loaded.factors.values())
